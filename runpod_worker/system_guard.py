"""The kernel's own guard of a private worker: a seccomp filter and a Landlock ruleset (Linux).

Unlike the audit hooks of ``egress.py`` it binds compiled code and child processes, cannot be taken
back, and needs no root. It is set before any engine is loaded, with the listening socket already
open: connections that come in are served, none can be opened but to the ports that are named.

Numbers are those of the kernel's headers: ``linux/seccomp.h``, ``linux/filter.h``,
``linux/landlock.h``, ``asm/unistd.h``.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import socket
import struct
import subprocess
import sys
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | errno.EACCES
"""SECCOMP_RET_ERRNO: the call fails as a firewall's would, and the program goes on."""
# BPF: load a word of the call, jump when equal, jump when greater or equal, and with, return.
_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_NUMBER, _ARCHITECTURE, _DOMAIN, _TYPE, _PROTOCOL = 0, 4, 16, 24, 32
"""Offsets in ``struct seccomp_data``; of an argument the lower half, on little-endian machines."""
_X32 = 0x40000000
_IO_URING_SETUP = 425
"""It opens sockets and connects past every filter of system calls: no engine of ours needs it."""
_MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""``AUDIT_ARCH_*`` and the number of ``socket``."""
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_VERSION = 1
_LANDLOCK_CONNECT_TCP = 2
_LANDLOCK_NET_PORT = 2
_NET_SINCE = 4
"""The Landlock ABI (kernel 6.7) that knows TCP ports."""


@dataclass(frozen=True, slots=True)
class SystemGuard:
    """What the kernel enforces on this process and its children; ``missing`` says why not more."""

    sockets: bool = False
    """No socket of IPv4 or IPv6 can be made, or with ``ports`` none but TCP's."""
    ports: tuple[int, ...] = ()
    """TCP ports that may be connected to; enforced where ``landlock`` is."""
    landlock: bool = False
    names: bool = False
    """Whether UDP is open, for the look-up of a configured host's name."""
    missing: str = ""

    def describe(self) -> str:
        """A line for ``penny check``."""
        if self.missing:
            return f"Python's hooks alone: {self.missing}"
        if not self.ports:
            return "the kernel refuses it and its children every connection"
        shown = ", ".join(map(str, self.ports))
        return f"the kernel leaves it and its children TCP to ports {shown} alone" + (
            ", and UDP for names" if self.names else ""
        )


NO_GUARD = SystemGuard(missing="it was not asked for")


def restrict(ports: Collection[int] = (), names: bool = False) -> SystemGuard:
    """From now on this process and its children open no connection but to TCP ``ports``.

    Args:
        ports: of the hosts that the settings name; none closes the network altogether.
        names: leave UDP open, where one of those hosts has a name to be looked up.

    It cannot be taken back. What the machine cannot enforce is told in the result, not raised.
    """
    machine = _MACHINES.get(platform.machine())
    if not sys.platform.startswith("linux") or machine is None or sys.byteorder != "little":
        return SystemGuard(missing="only Linux on x86-64 and ARM64 has such a guard")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return SystemGuard(missing=_reason("no_new_privs"))
    missing = ""
    is_landlocked = False
    if ports:
        missing = _restrict_ports(libc, ports)
        is_landlocked = not missing
    filtered = _install(libc, _filter(*machine, tcp=bool(ports), udp=bool(ports) and names))
    return SystemGuard(
        sockets=not filtered,
        ports=tuple(sorted(ports)),
        landlock=is_landlocked,
        names=names,
        missing=filtered or missing,
    )


def _filter(architecture: int, socket_call: int, *, tcp: bool, udp: bool) -> bytes:
    """The BPF program. Every jump that refuses goes to its last instruction but one."""
    kinds = [int(socket.SOCK_STREAM)] if tcp else []
    kinds += [int(socket.SOCK_DGRAM)] if udp else []
    # Not MPTCP or SCTP: Landlock sees TCP's connections alone.
    protocols = [0, socket.IPPROTO_TCP, *([socket.IPPROTO_UDP] if udp else [])]
    program: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 0, -1, architecture),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, -1, 0, _X32),
        (_EQUAL, -1, 0, _IO_URING_SETUP),
        (_EQUAL, 0, -2, socket_call),
        (_LOAD, 0, 0, _DOMAIN),
        (_EQUAL, -2, 0, int(socket.AF_UNIX)),
        (_EQUAL, -2, 0, int(socket.AF_NETLINK)),
    ]
    if kinds:
        program += [
            (_EQUAL, 1, 0, int(socket.AF_INET)),
            (_EQUAL, 0, -1, int(socket.AF_INET6)),
            (_LOAD, 0, 0, _TYPE),
            (_AND, 0, 0, 0xF),
            *((_EQUAL, len(kinds) - at, 0, each) for at, each in enumerate(kinds)),
            (_EQUAL, -1, -1, 0),  # another type
            (_LOAD, 0, 0, _PROTOCOL),
            *((_EQUAL, -2, 0, int(each)) for each in protocols),
        ]
    refuse, allow = len(program), len(program) + 1
    targets = {-1: refuse, -2: allow}
    code = b"".join(
        struct.pack(
            "HBBI",
            operation,
            targets[yes] - at - 1 if yes < 0 else yes,
            targets[no] - at - 1 if no < 0 else no,
            value,
        )
        for at, (operation, yes, no, value) in enumerate(program)
    )
    return code + struct.pack("HBBI", _RETURN, 0, 0, _REFUSE) + struct.pack("HBBI", 6, 0, 0, _ALLOW)


def _install(libc: ctypes.CDLL, code: bytes) -> str:
    """Returns why it could not be, or ""."""
    program = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(
        struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(program))
    )
    done = libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(header), 0, 0)
    return "" if done == 0 else _reason("seccomp")


def _restrict_ports(libc: ctypes.CDLL, ports: Collection[int]) -> str:
    """Returns why it could not be, or ""."""
    if libc.syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION) < _NET_SINCE:
        return "this kernel's Landlock knows no ports (it takes Linux 6.7)"
    attributes = struct.pack("QQ", 0, _LANDLOCK_CONNECT_TCP)
    ruleset = libc.syscall(_LANDLOCK_CREATE, attributes, len(attributes), 0)
    if ruleset < 0:
        return _reason("landlock")
    try:
        for port in ports:
            rule = struct.pack("QQ", _LANDLOCK_CONNECT_TCP, port)
            if libc.syscall(_LANDLOCK_ADD, ruleset, _LANDLOCK_NET_PORT, rule, 0) < 0:
                return _reason("landlock")
        return "" if libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0) == 0 else _reason("landlock")
    finally:
        os.close(ruleset)


def _reason(what: str) -> str:
    return f"{what}: {os.strerror(ctypes.get_errno())}"


def ports_of(addresses: Sequence[tuple[str, int]]) -> tuple[frozenset[int], bool]:
    """The ports of (host, port) pairs, and whether any host is a name to be looked up."""
    ports = frozenset(port for _, port in addresses)
    return ports, any(not _is_numeric(host) for host, _ in addresses)


def _is_numeric(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False


def probe(ports: Collection[int] = (), names: bool = False) -> SystemGuard:
    """What ``restrict`` would enforce on this machine, tried in a process that then ends."""
    given = json.dumps([sorted(ports), names])
    done = subprocess.run(
        [sys.executable, "-m", "runpod_worker.system_guard", given],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=30,
    )
    if done.returncode != 0:
        return SystemGuard(missing="the kernel ended the process that tried it")
    told = json.loads(done.stdout)
    return SystemGuard(**{**told, "ports": tuple(told["ports"])})


if __name__ == "__main__":
    print(json.dumps(asdict(restrict(*json.loads(sys.argv[1])))))  # noqa: T201 - read by probe
