"""The outside world of a test: a network that answers whatever is asked of it, and notes it.

Run in a network namespace of its own at the far end of a veth. Every address leads here: names
resolve, TCP connections to the common ports are accepted. Each packet that arrives is noted, of any
process and library that sent it. On SIGTERM it prints what came as one JSON array.
"""

from __future__ import annotations

import json
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress


DEVICE = "trap0"
HOUSE, HERE = "10.66.0.2", "10.66.0.1"
HOUSE_6, HERE_6 = "fd66::2", "fd66::1"
ANSWER = "203.0.113.9"
"""What every name resolves to (RFC 5737)."""
PORTS = (80, 443, 853, 4317, 5671, 8080, 8443)
_IPV4, _IPV6 = 0x0800, 0x86DD
_ICMP6, _HOP_BY_HOP = 58, 0
"""The kernel's own chatter on a new IPv6 link: neighbours, multicast reports."""


def prepare() -> None:
    """Wait for the far end of the veth, and let every address be this machine's."""
    while DEVICE not in [name for _, name in socket.if_nameindex()]:
        time.sleep(0.05)
    for words in (
        "link set lo up",
        f"addr add {HERE}/24 dev {DEVICE}",
        f"-6 addr add {HERE_6}/64 dev {DEVICE} nodad",
        f"link set {DEVICE} up",
        "route add local default dev lo",
        "-6 route add local default dev lo",
    ):
        subprocess.run(["ip", *words.split()], check="-6" not in words, capture_output=True)


def describe(packet: bytes) -> str | None:
    """Protocol, address and port of what was sent; None for what no program sends."""
    kind = struct.unpack("!H", packet[12:14])[0]
    body = packet[14:]
    if kind == _IPV4 and body[9] in (6, 17):
        head = (body[0] & 15) * 4
        to, protocol = socket.inet_ntop(socket.AF_INET, body[16:20]), body[9]
    elif kind == _IPV6 and body[6] not in (_ICMP6, _HOP_BY_HOP):
        head, protocol = 40, body[6]
        to = socket.inet_ntop(socket.AF_INET6, body[24:40])
    elif kind == _IPV4 and body[9] != 2:  # IGMP is the kernel's
        return f"protocol {body[9]}"
    else:
        return None
    port = struct.unpack("!H", body[head + 2 : head + 4])[0]
    return f"{'tcp' if protocol == 6 else 'udp'} {to} {port}"


def listen(seen: list[str]) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as wire:
        wire.bind((DEVICE, 0))
        while True:
            data, (_, _, kind, *_) = wire.recvfrom(65_536)
            told = describe(data) if kind != socket.PACKET_OUTGOING else None  # type: ignore[attr-defined]
            if told is not None:
                seen.append(told)


def answer_names(seen: list[str]) -> None:
    """A name server that knows every name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("0.0.0.0", 53))
        while True:
            question, asker = server.recvfrom(4096)
            at, labels = 12, []
            while question[at]:
                labels.append(question[at + 1 : at + 1 + question[at]].decode("ascii", "replace"))
                at += 1 + question[at]
            seen.append(f"name {'.'.join(labels)}")
            is_a = question[at + 1 : at + 3] == b"\x00\x01"
            record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04" + socket.inet_aton(ANSWER)
            head = question[:2] + b"\x81\x80\x00\x01" + (b"\x00\x01" if is_a else b"\x00\x00")
            reply = head + bytes(4) + question[12 : at + 5] + (record if is_a else b"")
            server.sendto(reply, asker)


def accept(port: int) -> None:
    with socket.create_server(("0.0.0.0", port)) as server:
        held = []
        while True:
            held.append(server.accept()[0])


def main() -> None:
    seen: list[str] = []

    def tell(*_: object) -> None:
        print(json.dumps(seen), flush=True)
        sys.exit(0)

    signal.signal(signal.SIGTERM, tell)
    prepare()
    jobs = [(listen, (seen,)), (answer_names, (seen,)), *((accept, (port,)) for port in PORTS)]
    for job, arguments in jobs:
        threading.Thread(target=job, args=arguments, daemon=True).start()
    time.sleep(0.5)
    print("ready", flush=True)
    with suppress(KeyboardInterrupt):
        while True:
            signal.pause()


if __name__ == "__main__":
    main()
