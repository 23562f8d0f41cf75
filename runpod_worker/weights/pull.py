"""Weights from a hub to a folder: resumed where they broke off, kept only when they are whole.

A file grows as ``name.part`` and gets its name when its SHA-256 is the pinned one. What is not
pinned yet is pinned then (trust on first use), after a comparison with the hub's own digest.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

import stamina

from penny.errors import PennyError
from runpod_worker.weights.catalogue import Weights
from runpod_worker.weights.hub import Hub, HubError, HubFile
from runpod_worker.weights.lock import Lock, LockedFile, LockedWeights


TRIES = 5
"""Of one file; each goes on where the last broke off."""
RETRY_PAUSE_S = 1.0
BLOCK_BYTES = 1 << 20

Progress = Callable[[str, int, int], None]
"""File, bytes so far, bytes in all."""


class WeightsDamaged(PennyError):
    """Bytes that are not the ones that were pinned; names the file and the remedy."""

    code = "weights_damaged"


def hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


async def pull(
    name: str,
    weights: Weights,
    hub: Hub,
    models: Path,
    progress: Progress,
    *,
    retry_pause_s: float = RETRY_PAUSE_S,
) -> LockedWeights:
    """Bring one model's weights; files that are here and whole are not fetched again.

    Raises:
        HubError: the hub does not give them. WeightsDamaged: it gives others than the pinned.
    """
    assert weights.repo is not None
    lock = Lock(models)
    pinned = lock.pins.get(name)
    if pinned is not None and pinned.repo != weights.repo:
        pinned = None
    commit = pinned.commit if pinned else await hub.commit_of(weights.repo, weights.revision)
    done = dict(pinned.files) if pinned else {}
    for file in await hub.files_of(weights.repo, commit, weights.files):
        known = done.get(file.name)
        expected = known.sha256 if known else weights.sha256.get(file.name) or file.sha256
        target = weights.place(models, file.name)
        here = target.is_file() and target.stat().st_size == file.bytes
        if here and expected and await asyncio.to_thread(hash_file, target) == expected:
            digest = expected
        else:
            fetcher = _Fetcher(hub, weights.repo, commit, retry_pause_s, progress)
            digest = await fetcher.fetch(file, target, expected)
        progress(file.name, file.bytes, file.bytes)
        done[file.name] = LockedFile(sha256=digest, bytes=file.bytes)
        pinned = LockedWeights(repo=weights.repo, commit=commit, files=done)
        lock.pin(name, pinned)
    assert pinned is not None
    return pinned


class _Fetcher:
    """Downloads the files of one commit of one repository."""

    def __init__(
        self, hub: Hub, repo: str, commit: str, retry_pause_s: float, progress: Progress
    ) -> None:
        self._hub = hub
        self._repo = repo
        self._commit = commit
        self._retry_pause_s = retry_pause_s
        self._progress = progress

    async def fetch(self, file: HubFile, target: Path, expected: str | None) -> str:
        """Bring one file whole; returns its SHA-256."""
        part = target.with_name(f"{target.name}.part")
        part.parent.mkdir(parents=True, exist_ok=True)
        async for attempt in stamina.retry_context(
            on=_is_retryable,
            attempts=TRIES,
            timeout=None,
            wait_initial=self._retry_pause_s,
            wait_max=self._retry_pause_s,
            wait_jitter=0,
        ):
            with attempt:
                await self._append(file, part)
        digest = await asyncio.to_thread(hash_file, part)
        if part.stat().st_size != file.bytes or (expected and digest != expected):
            part.unlink()
            raise WeightsDamaged(
                f"{file.name}: these are not the pinned bytes (sha256 {digest[:12]}…, expected "
                f"{(expected or 'unknown')[:12]}…); try again; if it stays, the hub has other "
                "weights than models.lock.json or the catalogue pin"
            )
        part.replace(target)
        return digest

    async def _append(self, file: HubFile, part: Path) -> None:
        have = part.stat().st_size if part.is_file() else 0
        if have > file.bytes:
            part.unlink()
            have = 0
        if have == file.bytes and part.is_file():
            return
        async with self._hub.open(self._repo, self._commit, file.name, have) as (start, blocks):
            with part.open("r+b" if have and start else "wb") as out:
                out.seek(start)
                async for block in blocks:
                    await asyncio.to_thread(out.write, block)
                    start += len(block)
                    self._progress(file.name, start, file.bytes)
        if start < file.bytes:
            raise HubError(f"{file.name}: the download broke off", retryable=True)


def _is_retryable(error: Exception) -> bool:
    return isinstance(error, HubError) and error.retryable


def find_faults(name: str, weights: Weights, models: Path) -> list[str]:
    """What is wrong with a hub's weights here, as sentences; empty when every byte is right."""
    pinned = Lock(models).pins.get(name)
    if pinned is None:
        return [f"not pulled; get it: python -m penny models pull {name}"]
    faults = []
    for file, locked in sorted(pinned.files.items()):
        path = weights.place(models, file)
        if not path.is_file():
            faults.append(f"{file}: missing")
        elif path.stat().st_size != locked.bytes:
            faults.append(f"{file}: {path.stat().st_size} bytes, expected {locked.bytes}")
        elif hash_file(path) != locked.sha256:
            faults.append(f"{file}: damaged (its SHA-256 is another)")
    return [*faults, f"mend it: python -m penny models pull {name}"] if faults else []
