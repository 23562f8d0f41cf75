"""Penny as a newcomer starts it: cloned and run by make, or from this tree as it stands."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from pathlib import Path

from modes.self_hosted.natural import LIGHT


ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 900.0
STOP_TIMEOUT_S = 40.0
LISTENS = re.compile(r"Penny listens on http://([\d.]+:\d+)")
NATURAL = re.compile(r"natural_ready|^    natural \(")
NO_NATURAL = re.compile(r"natural_unavailable|embedded, not natural")
TO_DOWNLOAD = re.compile(r"about ([\d,]+) MB to download")


class House:
    """One start of Penny; ``output`` is all that it printed."""

    def __init__(self, process: Process, began_s: float) -> None:
        self._process = process
        self._began_s = began_s
        self.output: list[str] = []
        self._seen: dict[re.Pattern[str], float] = {}
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read(), name="house output")
        self._clone_mb = 0.0
        self.address = ""

    @classmethod
    async def clone(cls, folder: Path) -> House:
        """Clone this repository and run `make run` in the clone, with nothing in pip's cache."""
        began_s = time.monotonic()
        subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
        config = folder / "penny.yaml"
        text = config.read_text(encoding="utf-8")
        config.write_text(text.replace("  port: 8080  #", "  port: 0  #"), encoding="utf-8")
        house = await cls._start(["make", "-C", str(folder), "run"], folder, began_s)
        objects = Path(folder, ".git/objects").rglob("*")
        house._clone_mb = sum(path.stat().st_size for path in objects) / 1e6
        return house

    @classmethod
    async def here(cls, folder: Path, models: Path | None) -> House:
        """Start this tree with this Python, and with what it writes in ``folder``."""
        config = folder / "penny.yaml"
        lines = ["gateway: {port: 0}", f"kb: {{documents: {ROOT / 'kb/documents'}}}"]
        if models is not None:
            lines.append(f"worker: {{models: {models.resolve()}}}")
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "penny", "serve", "--config", str(config)]
        return await cls._start(command, ROOT, time.monotonic())

    @classmethod
    async def _start(cls, command: list[str], folder: Path, began_s: float) -> House:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env={name: value for name, value in os.environ.items() if name != LIGHT}
            | {"PIP_CACHE_DIR": str(folder.with_name("pip-cache"))},
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,
        )
        house = cls(process, began_s)
        try:
            await house.until(LISTENS)
        except BaseException:
            await house.stop()
            raise
        found = LISTENS.search("\n".join(house.output))
        assert found is not None
        house.address = found[1]
        return house

    @property
    def age_s(self) -> float:
        """Since the first command."""
        return time.monotonic() - self._began_s

    @property
    def download_mb(self) -> float:
        """What came before Penny listened: the clone, and what `make run` said of packages."""
        found = TO_DOWNLOAD.search("\n".join(self.output))
        return self._clone_mb + (float(found[1].replace(",", "")) if found else 0)

    async def until(self, *patterns: re.Pattern[str]) -> float:
        """Wait for a line; how old the house was then. Raises SystemExit when it ends before."""
        async with asyncio.timeout(START_TIMEOUT_S), self._news:
            while True:
                for pattern in patterns:
                    if pattern in self._seen:
                        return self._seen[pattern]
                if self._process.returncode is not None:
                    raise SystemExit("Penny ended:\n" + "\n".join(self.output[-20:]))
                await self._news.wait()

    def has(self, pattern: re.Pattern[str]) -> bool:
        return pattern in self._seen

    async def stop(self) -> None:
        if self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await self._process.wait()
            except TimeoutError:
                os.killpg(self._process.pid, signal.SIGKILL)
                await self._process.wait()
        await self._reader

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            text = line.decode(errors="replace").rstrip()
            async with self._news:
                self.output.append(text)
                for pattern in (LISTENS, NATURAL, NO_NATURAL):
                    if pattern.search(text):
                        self._seen.setdefault(pattern, self.age_s)
                self._news.notify_all()
        async with self._news:
            await self._process.wait()
            self._news.notify_all()
