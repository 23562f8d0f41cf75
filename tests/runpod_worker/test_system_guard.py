"""The kernel keeps a guarded process, its children and compiled code from the network."""

from __future__ import annotations

import json
import platform
import socket
import subprocess
import sys
import textwrap

import pytest


pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(
        platform.system() != "Linux" or platform.machine() not in ("x86_64", "aarch64"),
        reason="a guard of Linux's",
    ),
]


def run(code: str, *arguments: str) -> dict[str, object]:
    """Run ``code`` in a process of its own, which prints one JSON object."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


ATTEMPTS = """
    import ctypes, errno, json, socket, subprocess, sys
    from runpod_worker.system_guard import restrict

    def attempt(act):
        try:
            act()
        except OSError as error:
            return errno.errorcode[error.errno]
        return "done"

    def raw(family, kind):  # past Python: what a compiled library does
        libc = ctypes.CDLL(None, use_errno=True)
        made = libc.socket(family, kind, 0)
        return "done" if made >= 0 else errno.errorcode[ctypes.get_errno()]

    def child(family, kind):
        code = f"import socket; socket.socket({int(family)}, {int(kind)})"
        return subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL).returncode
"""


def test_nothing_can_be_dialled_and_what_comes_in_is_served() -> None:
    found = run(
        ATTEMPTS
        + """
    listening = socket.create_server(("127.0.0.1", 0))
    caller = socket.create_connection(listening.getsockname())
    waiting = socket.create_connection(listening.getsockname())
    guard = restrict()
    served, _ = listening.accept()
    waiting.sendall(b"x")
    print(json.dumps({
        "sockets": guard.sockets, "missing": guard.missing,
        "tcp": attempt(lambda: socket.create_connection(("127.0.0.1", 9))),
        "udp": attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
        "six": attempt(lambda: socket.socket(socket.AF_INET6)),
        "raw": raw(socket.AF_INET, socket.SOCK_STREAM),
        "packet": raw(17, socket.SOCK_RAW),
        "ring": ctypes.CDLL(None).syscall(425, 1, None),
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
        "ring": -1,
        "child": True,
        "unix": "done",
        "accepted": "done",
    }


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
