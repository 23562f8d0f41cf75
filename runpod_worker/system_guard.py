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
# BPF: load a word of the call, jump when equal, jump when greater or equal or a bit is set, and
# with, return.
_LOAD, _EQUAL, _AT_LEAST, _HAS, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NUMBER, _ARCHITECTURE = 0, 4
"""Offsets in ``struct seccomp_data``."""
_X32 = 0x40000000
_MSG_FASTOPEN = 0x20000000
"""Of the ``send`` family: it connects, past ``connect``."""

Instruction = tuple[int, int, int, int]
"""Operation, jump when true, jump when false, value."""

_PASS: Instruction = (_RETURN, 0, 0, 0x7FFF0000)
_REFUSE: Instruction = (_RETURN, 0, 0, 0x00050000 | errno.EACCES)
"""SECCOMP_RET_ERRNO: the call fails as a firewall's would, and the program goes on."""


@dataclass(frozen=True, slots=True)
class _Machine:
    """``AUDIT_ARCH_*``, and the numbers of the calls that are looked into and of those refused."""

    architecture: int
    socket: int
    socketpair: int
    connect: int
    sendto: int
    sendmsg: int
    sendmmsg: int
    refused: tuple[int, ...]


_SAME_EVERYWHERE = (425, 426, 427, 428, 429, 430, 438)
"""``io_uring_*``, which connects past every filter of system calls; ``open_tree``, ``move_mount``
and ``fsopen``; ``pidfd_getfd``."""
# refused: ptrace, process_vm_readv and _writev (another process would dial), bpf, setns, mount
# (the kernel itself connects for NFS), add_key, request_key and keyctl (it looks names up).
_MACHINES = {
    "x86_64": _Machine(
        *(0xC000003E, 41, 53, 42, 44, 46, 307),
        refused=(101, 310, 311, 321, 308, 165, 248, 249, 250, *_SAME_EVERYWHERE),
    ),
    "aarch64": _Machine(
        *(0xC00000B7, 198, 199, 203, 206, 211, 269),
        refused=(117, 270, 271, 280, 268, 40, 217, 218, 219, *_SAME_EVERYWHERE),
    ),
}
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_VERSION = 1
_LANDLOCK_BIND_TCP, _LANDLOCK_CONNECT_TCP = 1, 2
_LANDLOCK_NET_PORT = 2
_NET_SINCE = 4
"""The Landlock ABI (kernel 6.7) that knows TCP ports."""
_SCOPES, _SCOPES_SINCE = 3, 6
"""Abstract sockets of, and signals to, processes that are not guarded; kernel 6.12."""


@dataclass(frozen=True, slots=True)
class SystemGuard:
    """What the kernel enforces on this process and its children; ``missing`` says why not more."""

    sockets: bool = False
    """No socket can be made that leads out, and none connected; with ``ports`` TCP's can."""
    ports: tuple[int, ...] = ()
    """TCP ports that may be connected to; enforced where ``landlock`` is."""
    landlock: bool = False
    """No other process's memory or descriptors are in reach, and TCP reaches ``ports`` alone."""
    closed: int = 0
    """Sockets that were open already and led out, or could be made to: they lead nowhere now."""
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
    unlocked = _restrict_ports(libc, ports)
    filtered = _install(libc, _filter(machine, tcp=bool(ports), udp=bool(ports) and names))
    return SystemGuard(
        sockets=not filtered,
        ports=tuple(sorted(ports)),
        landlock=not unlocked,
        closed=_close_ways_out(),
        names=names,
        missing=filtered or (unlocked if ports else ""),
    )


def _close_ways_out() -> int:
    """Put nothing in place of every open socket that leads out, or could yet be connected.

    Left are sockets that listen, and local connections (a service's stdout may be one).
    """
    closed, nothing = 0, os.open(os.devnull, os.O_RDWR)
    for name in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(name))) as each:
                if not _leads_out(each):
                    continue
        except OSError:
            continue  # no socket
        os.dup2(nothing, int(name), inheritable=False)
        closed += 1
    os.close(nothing)
    return closed


def _leads_out(each: socket.socket) -> bool:
    if each.family == socket.AF_UNIX:
        return each.type == socket.SOCK_DGRAM
    return not each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


def _filter(machine: _Machine, *, tcp: bool, udp: bool) -> bytes:
    """The BPF program: each call that is looked into has a block that ends with its verdict."""
    no_fast_open = (_HAS, 0, 1, _MSG_FASTOPEN), _REFUSE
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        *_one_of(machine.architecture),
        (_LOAD, 0, 0, _NUMBER),
        *((_AT_LEAST, 0, 1, _X32), _REFUSE),
    ]
    for number in machine.refused if tcp else (*machine.refused, machine.connect):
        program += _when(number, _REFUSE)
    program += _when(machine.socket, *_check_socket(tcp=tcp, udp=udp))
    # One of datagrams could still be sent elsewhere.
    pairs = _one_of(int(socket.SOCK_STREAM), int(socket.SOCK_SEQPACKET))
    program += _when(machine.socketpair, *_load(1), (_AND, 0, 0, 0xF), *pairs, _PASS)
    no_address = *_load(4), *_one_of(0), (_LOAD, 0, 0, _at(4) + 4), *_one_of(0)
    program += _when(machine.sendto, *no_address, *_load(3), *no_fast_open, _PASS)
    program += _when(machine.sendmsg, *_load(2), *no_fast_open, _PASS)
    program += _when(machine.sendmmsg, *_load(3), *no_fast_open, _PASS)
    return b"".join(
        struct.pack("HBBI", operation, yes, no, value)
        for operation, yes, no, value in (*program, _PASS)
    )


def _check_socket(*, tcp: bool, udp: bool) -> list[Instruction]:
    """The verdict on ``socket(domain, type, protocol)``."""
    kind = *_load(1), (_AND, 0, 0, 0xF)
    # Names' and messages' daemons are spoken to by streams and datagrams: they would carry a word
    # out. Packets in sequence are what a GPU's driver listens with.
    local = *kind, *_one_of(int(socket.SOCK_SEQPACKET)), _PASS
    program = [*_load(0), *_when(int(socket.AF_UNIX), *local)]
    if not tcp:
        return [*program, _REFUSE]
    kinds = [int(socket.SOCK_STREAM)] + ([int(socket.SOCK_DGRAM)] if udp else [])
    # Not MPTCP or SCTP: Landlock sees TCP's connections alone.
    protocols = [0, socket.IPPROTO_TCP, *([socket.IPPROTO_UDP] if udp else [])]
    program += _one_of(int(socket.AF_INET), int(socket.AF_INET6))
    return [*program, *kind, *_one_of(*kinds), *_load(2), *_one_of(*protocols), _PASS]


def _at(argument: int) -> int:
    """Offset of an argument's lower half, on little-endian machines."""
    return 16 + 8 * argument


def _load(argument: int) -> list[Instruction]:
    return [(_LOAD, 0, 0, _at(argument))]


def _when(value: int, *block: Instruction) -> list[Instruction]:
    """Run a block, which ends with a verdict, where what was loaded is that."""
    return [(_EQUAL, 0, len(block), value), *block]


def _one_of(*values: int) -> list[Instruction]:
    """Refuse unless what was loaded is one of these."""
    last = len(values)
    return [*((_EQUAL, last - at, 0, int(each)) for at, each in enumerate(values)), _REFUSE]


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
    version = libc.syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION)
    if version < _NET_SINCE:
        return "this kernel's Landlock knows no ports (it takes Linux 6.7)"
    attributes = struct.pack("QQ", 0, _LANDLOCK_BIND_TCP | _LANDLOCK_CONNECT_TCP)
    if version >= _SCOPES_SINCE:
        attributes += struct.pack("Q", _SCOPES)
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
