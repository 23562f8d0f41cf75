"""Two network namespaces joined by a forwarder that loses and delays packets, as root on Linux.

Each side has a TUN device; the forwarder between them is this module, so no kernel queueing
discipline (netem) is needed. ``python -m tests.bench.lossy_network FD FD LOSS JITTER`` forwards.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import random
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count


TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
"""From <linux/if_tun.h>."""
MTU_BYTES = 1500
_NUMBERS = count(1)
ONE_WAY_MS = 20.0
"""Delay without jitter: a caller in the same country."""


@dataclass(frozen=True, slots=True)
class LossyNetwork:
    """Names of the two namespaces; Penny's side is 10.77.0.1, the caller's 10.77.0.2."""

    penny: str
    caller: str
    address: str = "10.77.0.1"

    def run(self, namespace: str, *command: str, **options: object) -> subprocess.Popen[bytes]:
        """Start a command inside."""
        return subprocess.Popen(["ip", "netns", "exec", namespace, *command], **options)  # type: ignore[call-overload,no-any-return]


@contextmanager
def lossy_network(loss: float, jitter_ms: float) -> Iterator[LossyNetwork]:
    """Both ways lose ``loss`` of all packets and delay the rest by 20 ms and 0 to ``jitter_ms``."""
    mark = f"{os.getpid()}{next(_NUMBERS)}"
    names = (f"penny{mark}", f"caller{mark}")
    devices = [_open_device(name) for name in names]
    forwarder = None
    try:
        for number, name in enumerate(names, 1):
            _ip("netns", "add", name)
            _ip("link", "set", name, "netns", name)
            mine, theirs = f"10.77.0.{number}", f"10.77.0.{3 - number}"
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "addr", "add", mine, "peer", theirs, "dev", name)
            _ip("-n", name, "link", "set", name, "mtu", str(MTU_BYTES), "up")
        forwarder = subprocess.Popen(
            [sys.executable, "-m", __name__, *map(str, devices), str(loss), str(jitter_ms)],
            pass_fds=devices,
        )
        yield LossyNetwork(*names)
    finally:
        if forwarder is not None:
            forwarder.terminate()
            forwarder.wait()
        for device in devices:
            os.close(device)
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)


@contextmanager
def loopback() -> Iterator[LossyNetwork]:
    """One namespace for both sides: no forwarder, so every packet goes by the loopback.

    It has a device with an address because WebRTC offers no candidate of a loopback interface.
    """
    name = f"alone{os.getpid()}{next(_NUMBERS)}"
    device = _open_device(name)
    try:
        _ip("netns", "add", name)
        _ip("link", "set", name, "netns", name)
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "addr", "add", "10.77.0.1/24", "dev", name)
        _ip("-n", name, "link", "set", name, "up")
        yield LossyNetwork(name, name)
    finally:
        os.close(device)
        subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)


def _open_device(name: str) -> int:
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return device


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


async def forward(devices: tuple[int, int], loss: float, jitter_ms: float) -> None:
    """Carry packets between two devices until cancelled."""
    loop = asyncio.get_running_loop()
    chance = random.Random(7)

    def carry(source: int, target: int) -> None:
        while True:
            try:
                packet = os.read(source, 65_536)
            except BlockingIOError:
                return
            if chance.random() >= loss:
                delay_s = (ONE_WAY_MS + chance.uniform(0, jitter_ms)) / 1000
                loop.call_later(delay_s, write, target, packet)

    def write(target: int, packet: bytes) -> None:
        try:
            os.write(target, packet)
        except OSError:
            return  # the device is full or going down: one more packet is lost

    first, second = devices
    loop.add_reader(first, carry, first, second)
    loop.add_reader(second, carry, second, first)
    await asyncio.Event().wait()


if __name__ == "__main__":
    one, two = int(sys.argv[1]), int(sys.argv[2])
    asyncio.run(forward((one, two), float(sys.argv[3]), float(sys.argv[4])))
