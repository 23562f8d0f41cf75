"""A gateway whose files lie on a small disk of its own, which a test fills and frees.

The disk is a tmpfs that only the process's mount namespace has: no root is needed, nothing else
on the machine notices, and it is gone with the process.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import yaml

from tests.doubles.processes import Json, PennyProcess, free_port, started


SIZE = "16m"
CHUNK = bytes(64 * 1024)


class SmallDisk:
    """``folder`` as the process sees it."""

    def __init__(self, gateway: PennyProcess, folder: Path) -> None:
        self.gateway = gateway
        self._inside = Path(f"/proc/{gateway.process.pid}/root{folder}")

    def __truediv__(self, name: str) -> Path:
        return self._inside / name

    def fill(self) -> None:
        """Not a byte is left."""
        with (self / "filler").open("ab", buffering=0) as file:
            for size in (len(CHUNK), 4096, 1):
                try:
                    while file.write(CHUNK[:size]):
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        (self / "filler").unlink()


@asynccontextmanager
async def gateway_on_small_disk(
    folder: Path, sections: Json, *, log_on_disk: bool = False, **environment: str
) -> AsyncIterator[SmallDisk]:
    """``python -m penny serve`` with an empty disk at ``folder/disk``."""
    disk, config, port = folder / "disk", folder / "gateway.yaml", free_port()
    disk.mkdir()
    config.write_text(yaml.safe_dump(sections), encoding="utf-8")
    stderr = f"2>>'{disk}/penny.log'" if log_on_disk else ""
    run = f"exec \"$0\" -m penny serve --config '{config}' --port {port} {stderr}"
    script = f"mount -t tmpfs -o size={SIZE} tmpfs '{disk}' && {run}"
    command = ("unshare", "--map-root-user", "--mount", "sh", "-c", script, sys.executable)
    async with started(folder, "gateway", port, *command, **environment) as gateway:
        await gateway.logged("Penny listens on")
        await gateway.answers()
        yield SmallDisk(gateway, disk)
