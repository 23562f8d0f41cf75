"""The spool: what a live call leaves on the disk as it goes, safe against a killed process.

A folder for each call holds ``log.jsonl`` (its header, where its sound lies, every finished turn,
its end), ``caller.raw`` and ``penny.raw``. Folders of one process lie in a folder of its own that
it holds locked: a folder without a living owner is a call that was cut off. Nothing here waits for
a database, and an event costs the call an append to a list; a thread writes ten times a second.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import structlog
from filelock import FileLock, Timeout
from pybase64 import b64decode

from penny.aio.tasks import TaskOwner
from penny.audio.format import count_base64_bytes
from penny.ids import new_id
from penny.writable import dump_json


log = structlog.get_logger()

Json = dict[str, Any]

FLUSH_S = 0.1
"""What a killed process may lose; a piece of audio of both sides is 13 kB by then."""
LOG, CALLER, PENNY = "log.jsonl", "caller.raw", "penny.raw"
_LOCK = "owner.lock"
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
"""As JSON writes it; no text of PostgreSQL's may hold it."""


@dataclass(slots=True)
class _File:
    """A file that only grows, whole lines and samples at a time."""

    path: Path
    waiting: list[bytes | str] = field(default_factory=list)
    size_bytes: int = 0
    """With what waits."""

    def write(self) -> None:
        """Append what waits now. Raises OSError, and leaves the file as it was.

        In a thread while the loop adds: the list stays the same one, and what is added meanwhile
        waits in it for the next time.
        """
        pieces = self.waiting[:]
        del self.waiting[: len(pieces)]
        data = b"".join(_decode(p) if isinstance(p, str) else p for p in pieces)
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            before = os.fstat(file).st_size
            try:
                left = memoryview(data)
                while left:
                    left = left[os.write(file, left) :]
            except OSError:
                os.ftruncate(file, before)
                later = [p for p in self.waiting[:] if isinstance(p, str)]
                self.size_bytes = before + sum(map(count_base64_bytes, later))
                raise
        finally:
            os.close(file)


class SpooledCall:
    """One live call's folder. Methods never wait and never raise for the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = _File(folder / LOG)
        self._sound = {"caller": _File(folder / CALLER), "penny": _File(folder / PENNY)}
        self._is_made = False
        self.is_ended = False

    def note(self, kind: str, **fields: Any) -> None:
        """Add a line to the log."""
        self._log.waiting.append(dump_json({"kind": kind, **fields}) + b"\n")

    def add(self, side: str, audio: str) -> int:
        """Add base64 audio to a side's file; the position in bytes at which it begins."""
        file = self._sound[side]
        at = file.size_bytes
        file.waiting.append(audio)
        file.size_bytes += count_base64_bytes(audio)
        return at

    def end(self, **fields: Any) -> None:
        """The last line; once it is on the disk the folder is whole."""
        self.note("end", **fields)
        self.is_ended = True

    @property
    def is_due(self) -> bool:
        """Whether something is to be written, or all of it was."""
        return self.is_ended or any(file.waiting for file in (self._log, *self._sound.values()))

    def write(self) -> None:
        """Bring what waits to the disk; sound before the lines that speak of it. Raises OSError."""
        if not self._is_made:
            self.folder.mkdir(parents=True, mode=0o700, exist_ok=True)
            self._is_made = True
        for file in (*self._sound.values(), self._log):
            if file.waiting:
                file.write()


class Spool:
    """The spool of one process.

    Args:
        root: shared by all processes on this machine.
        on_finished: called in the loop with the folder of each call that is whole on the disk.
    """

    def __init__(self, root: Path, on_finished: Callable[[Path], None]) -> None:
        self._root = root
        self._on_finished = on_finished
        self._own = root / new_id("proc")
        self._lock = FileLock(self._own / _LOCK, thread_local=False)
        self._calls: dict[str, SpooledCall] = {}
        self._tasks = TaskOwner("call spool")
        self.fault = ""
        """Why calls are not being kept; '' while they are."""
        self.lost = 0
        """Times that something of a call could not be written."""

    async def start(self) -> None:
        """Claim a folder and begin to write. Raises OSError where the root cannot be written."""
        await asyncio.to_thread(self._claim)
        self._tasks.spawn(self._write_on(), name="call spool")

    def begin(self, call_id: str) -> SpooledCall:
        """A new call's folder."""
        call = self._calls[call_id] = SpooledCall(self._own / call_id)
        return call

    def orphans(self) -> Iterator[Path]:
        """Folders of calls whose process is gone, oldest first; a process' that left none goes."""
        for own, is_live in self._owners():
            if not is_live:
                calls = _calls_in(own)
                if not calls:
                    shutil.rmtree(own, ignore_errors=True)
                yield from calls

    def folders(self) -> Iterator[tuple[Path, bool]]:
        """Every call's folder of every process, and whether its process lives."""
        for own, is_live in self._owners():
            yield from ((folder, is_live) for folder in _calls_in(own))

    def is_used(self) -> bool:
        """Whether a process keeps calls here now."""
        return any(is_live for _, is_live in self._owners())

    def _owners(self) -> Iterator[tuple[Path, bool]]:
        """Each process' folder, and whether it lives or is not ours to read; of one that is gone
        the lock is held until the next is asked for."""
        for own in sorted(self._root.glob("proc_*")):
            lock = FileLock(own / _LOCK)
            try:
                lock.acquire(timeout=0)
            except (Timeout, OSError):
                yield own, True
                continue
            try:
                yield own, False
            finally:
                lock.release()

    def forget(self, folder: Path) -> None:
        """Remove a call's folder, once it is kept elsewhere; the last one's owner goes too."""
        shutil.rmtree(folder, ignore_errors=True)
        if folder.parent != self._own and not _calls_in(folder.parent):
            shutil.rmtree(folder.parent, ignore_errors=True)

    async def aclose(self) -> None:
        """Write what waits; calls that have not ended are found as cut off."""
        await self._tasks.aclose()
        await self._write()
        self._lock.release()
        if not _calls_in(self._own):
            shutil.rmtree(self._own, ignore_errors=True)

    def _claim(self) -> None:
        self._root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._own.mkdir(parents=True, mode=0o700, exist_ok=True)
        self._lock.acquire(timeout=0)

    async def _write_on(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            await self._write()

    async def _write(self) -> None:
        # A call may end while a thread writes it, its last line too: then nothing of it waits.
        calls = [(name, call) for name, call in self._calls.items() if call.is_due]
        if not calls:
            return  # a thread woken ten times a second for nothing costs more than a call
        ended = [(name, call) for name, call in calls if call.is_ended]
        faults = await asyncio.to_thread(_write_all, [call for _, call in calls])
        self._note_faults(faults)
        for name, call in ended:
            del self._calls[name]
            self._on_finished(call.folder)

    def _note_faults(self, faults: list[str]) -> None:
        self.lost += len(faults)
        if faults and not self.fault:
            log.error("calls_not_kept", reason=faults[0], folder=str(self._root))
        elif self.fault and not faults:
            log.info("calls_kept_again", lost=self.lost)
        self.fault = faults[0] if faults else ""


def _decode(audio: str) -> bytes:
    """The bytes of base64; of what is none, which the speaker refuses, as much silence."""
    size = count_base64_bytes(audio)
    try:
        data = b64decode(audio, validate=True)
    except ValueError:
        data = b""
    return data.ljust(size, b"\0")


def _write_all(calls: list[SpooledCall]) -> list[str]:
    """Why some were not written. In a thread."""
    faults = []
    for call in calls:
        try:
            call.write()
        except OSError as error:
            faults.append(error.strerror or type(error).__name__)
    return faults


def _calls_in(own: Path) -> list[Path]:
    """Folders of calls, oldest first; one may go to where it is kept while it is looked at."""
    found = []
    with suppress(FileNotFoundError):
        for path in own.iterdir():
            with suppress(FileNotFoundError):
                if path.is_dir():
                    found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found)]


def is_whole(folder: Path) -> bool:
    """Whether a call's folder has all of the call. Raises FileNotFoundError where it is gone."""
    lines = (folder / LOG).read_bytes().splitlines()
    return bool(lines) and lines[-1].startswith(b'{"kind":"end"')


def read_log(folder: Path) -> list[Json]:
    """The lines of a call's log, mended so that any database takes them; one that a crash cut in
    half is left out."""
    try:
        lines = (folder / LOG).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    read = []
    for line in lines:
        try:
            read.append(orjson.loads(_NUL.sub(rb"\1\\ufffd", line)))
        except orjson.JSONDecodeError:
            continue
    return read
