"""The kernel keeps a guarded process, its children and compiled code from the network."""

from __future__ import annotations

import json
import platform
import socket
import subprocess
import sys
import textwrap
from collections.abc import Collection
from pathlib import Path

import pytest


pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(
        platform.system() != "Linux" or platform.machine() not in ("x86_64", "aarch64"),
        reason="a guard of Linux's",
    ),
]


def run(code: str, *arguments: str, given: Collection[int] = ()) -> dict[str, object]:
    """Run ``code`` in a process of its own, which prints one JSON object.

    Args:
        given: descriptors that it inherits.
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        pass_fds=given,
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


ATTEMPTS = """
    import ctypes, errno, json, os, socket, subprocess, sys
    from runpod_worker.system_guard import restrict

    def attempt(act):
        try:
            act()
        except OSError as error:
            return errno.errorcode[error.errno]
        return "done"

    libc = ctypes.CDLL(None, use_errno=True)

    def call(function, *arguments):  # past Python: what a compiled library does
        made = function(*arguments)
        return "done" if made >= 0 else errno.errorcode[ctypes.get_errno()]

    def raw(family, kind):
        return call(libc.socket, family, kind, 0)

    def child(family, kind):
        code = f"import socket; socket.socket({int(family)}, {int(kind)})"
        return subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL).returncode
"""


def test_nothing_can_be_dialled_and_what_comes_in_is_served() -> None:
    found = run(
        ATTEMPTS
        + """
    listening = socket.create_server(("127.0.0.1", 0))
    if not os.fork():
        callers = [socket.create_connection(listening.getsockname()) for _ in range(2)]
        callers[0].recv(1)
        os._exit(0)
    guard = restrict()
    served, _ = listening.accept()
    print(json.dumps({
        "sockets": guard.sockets, "missing": guard.missing,
        "tcp": attempt(lambda: socket.create_connection(("127.0.0.1", 9))),
        "udp": attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
        "six": attempt(lambda: socket.socket(socket.AF_INET6)),
        "raw": raw(socket.AF_INET, socket.SOCK_STREAM),
        "packet": raw(17, socket.SOCK_RAW),
        "ring": call(libc.syscall, 425, 1, None),
        "child": child(socket.AF_INET, socket.SOCK_STREAM) != 0,
        "unix": attempt(lambda: socket.socketpair()),
        "accepted": attempt(lambda: listening.accept()),
    }))
    """
    )

    assert found == {
        "sockets": True,
        "missing": "",
        "tcp": "EACCES",
        "udp": "EACCES",
        "six": "EACCES",
        "raw": "EACCES",
        "packet": "EACCES",
        "ring": "EACCES",
        "child": True,
        "unix": "done",
        "accepted": "done",
    }


def test_what_is_open_already_cannot_be_turned_outward(tmp_path: Path) -> None:
    """A socket that listens, once shut, may be connected; so may one that was accepted."""
    here = str(tmp_path / "daemon")
    with (
        socket.create_server(("127.0.0.1", 0)) as outside,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as daemon,
    ):
        daemon.bind(here)
        daemon.listen()
        found = run(
            ATTEMPTS
            + """
    outside, here = ("127.0.0.1", int(sys.argv[1])), sys.argv[2]
    listening = socket.create_server(("127.0.0.1", 0))
    if not os.fork():
        caller = socket.create_connection(listening.getsockname())
        caller.recv(1)
        os._exit(0)
    restrict()
    served, _ = listening.accept()
    nowhere = ctypes.create_string_buffer(16)
    local = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    tell = {"undone": call(libc.connect, served.fileno(), nowhere, 16)}
    listening.shutdown(socket.SHUT_RDWR)
    tell |= {
        "turned": attempt(lambda: listening.connect(outside)),
        "sent": attempt(lambda: listening.sendto(b"x", socket.MSG_FASTOPEN, outside)),
        "sent_on": attempt(lambda: listening.sendmsg([b"x"], [], socket.MSG_FASTOPEN, outside)),
        "daemon": attempt(lambda: local.connect(here)),
        "stream": raw(socket.AF_UNIX, socket.SOCK_STREAM),
        "datagram": raw(socket.AF_UNIX, socket.SOCK_DGRAM),
        "pair": attempt(lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)),
    }
    print(json.dumps(tell))
    """,
            str(outside.getsockname()[1]),
            here,
        )

    assert found == dict.fromkeys(found, "EACCES")
    assert len(found) == 8


def test_the_kernel_and_other_processes_dial_for_nobody() -> None:
    """Families of sockets beside IP, calls that connect by themselves, an unguarded neighbour."""
    found = run(
        ATTEMPTS
        + """
    arm = os.uname().machine == "aarch64"
    restrict()
    other, buffer = os.getppid(), ctypes.create_string_buffer(64)
    families = {"netlink": 16, "packet": 17, "bluetooth": 31, "alg": 38, "vsock": 40, "xdp": 44}
    tell = {name: raw(family, socket.SOCK_RAW) for name, family in families.items()}
    tell |= {f"{name} stream": raw(family, 1) for name, family in families.items()}
    calls = {
        "trace": (117 if arm else 101, 16, other, None, None),
        "read": (270 if arm else 310, other, None, 0, None, 0, 0),
        "write": (271 if arm else 311, other, None, 0, None, 0, 0),
        "take": (438, 0, 0, 0),
        "ring": (425, 1, buffer),
        "enter": (426, 0, 0, 0, 0, None, 0),
        "bpf": (280 if arm else 321, 0, buffer, 64),
        "space": (268 if arm else 308, 0, 0),
        "mount": (40 if arm else 165, b"none", b"/", b"tmpfs", 0, None),
        "look_up": (218 if arm else 249, b"dns_resolver", b"vendor.example", None, 0),
    }
    tell |= {name: call(libc.syscall, *arguments) for name, arguments in calls.items()}
    tell["memory"] = attempt(lambda: open(f"/proc/{other}/mem", "rb+"))
    print(json.dumps(tell))
    """
    )

    assert found == dict.fromkeys(found, "EACCES")


def test_open_sockets_that_lead_out_are_taken_from_it() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as connected,
        socket.socket() as unconnected,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon,
    ):
        daemon.bind("")  # an abstract name of the kernel's choice
        accepted, _ = server.accept()
        given = [each.fileno() for each in (connected, unconnected, datagram, local)]
        found = run(
            ATTEMPTS
            + """
    guard = restrict()
    given = [int(each) for each in sys.argv[1].split()]
    told = [attempt(lambda: socket.socket(fileno=os.dup(each)).send(b"x")) for each in given]
    print(json.dumps({"closed": guard.closed, "told": told}))
    """,
            " ".join(map(str, given)),
            given=given,
        )
        connected.close()
        with accepted:
            assert accepted.recv(1) == b""  # its end, and nothing before

    assert found == {"closed": 4, "told": ["ENOTSOCK"] * 4}


def test_only_a_named_port_can_be_dialled() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as named,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        found = run(
            ATTEMPTS
            + """
    named, other = int(sys.argv[1]), int(sys.argv[2])
    guard = restrict([named])
    print(json.dumps({
        "landlock": guard.landlock,
        "named": attempt(lambda: socket.create_connection(("127.0.0.1", named))),
        "other": attempt(lambda: socket.create_connection(("127.0.0.1", other))),
        "udp": attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
        "mptcp": attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)),
        "fast": attempt(
            lambda: socket.socket().sendto(b"x", socket.MSG_FASTOPEN, ("127.0.0.1", other))
        ),
        "bound": attempt(lambda: socket.create_server(("127.0.0.1", 0))),
        "daemon": raw(socket.AF_UNIX, socket.SOCK_STREAM),
    }))
    """,
            str(named.getsockname()[1]),
            str(other.getsockname()[1]),
        )

    if not found["landlock"]:
        pytest.fail("this kernel's Landlock knows no ports; the guard says so in `missing`")
    assert found == {
        "landlock": True,
        "named": "done",
        "other": "EACCES",
        "udp": "EACCES",
        "mptcp": "EACCES",
        "fast": "EACCES",
        "bound": "EACCES",
        "daemon": "EACCES",
    }


def test_udp_is_open_only_for_names_to_be_looked_up() -> None:
    found = run(
        ATTEMPTS
        + """
    restrict([443], names=True)
    print(json.dumps({
        "udp": attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
        "tcp": attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM)),
        "icmp": attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1)),
        "raw": attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
    }))
    """
    )

    assert found == {"udp": "done", "tcp": "done", "icmp": "EACCES", "raw": "EACCES"}
