"""One person over everything that is kept: erased, or copied out whole."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from penny.calls.keeper import CallKeeper
from penny.calls.query import CallQuery
from penny.calls.record import Call
from penny.calls.spool import Spool, read_log
from penny.calls.transcript import as_text


Json = dict[str, Any]

ZIP = "zip"
MANIFEST = "manifest.json"
EXPORTS = "exports"
"""Folder beside the sound: copies that were made of persons are erased with them."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whose calls: of a number or name that the edge knew, or by the application's own name."""

    caller: str = ""
    user_id: str = ""

    @property
    def query(self) -> CallQuery:
        """The calls of theirs that are kept."""
        return CallQuery(caller=self.caller or None, user_id=self.user_id or None)

    def is_of(self, header: Json) -> bool:
        """Whether a call with that header is theirs."""
        names = {"caller": self.caller, "user_id": self.user_id}
        return all(header.get(name) == value for name, value in names.items() if value)


@dataclass(slots=True)
class Erased:
    """What went, and what stayed."""

    calls: list[str] = field(default_factory=list)
    sounds: int = 0
    sound_bytes: int = 0
    waiting: list[str] = field(default_factory=list)
    """Ended calls that were not in the database yet."""
    exports: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    """Under legal hold: they stay."""
    live: list[str] = field(default_factory=list)
    """They go on just now: erase again when they have ended."""


async def erase_person(
    keeper: CallKeeper, root: Path, tenant: str | None, person: Person
) -> Erased:
    """Remove what is kept of a person: rows, sound, texts, spool and copies.

    Args:
        root: the folder of kept calls, with its spool.

    Raises:
        StoreUnavailable, ShelfUnavailable, OSError: some of it may be gone; repeat it.
    """
    done = Erased()
    # In this order nothing falls between: a call leaves the spool after it is in the store.
    _erase_waiting(keeper.spool, tenant, person, done)
    found = [call async for call in keeper.store.stream(tenant, person.query)]
    gone = await keeper.erase(tenant, [call.id for call in found])
    for call in found:
        if call.id not in gone:
            done.held.append(call.id)
            continue
        done.calls.append(call.id)
        if call.sound.get("state") == "stored":
            done.sounds += 1
            done.sound_bytes += call.sound.get("bytes", 0)
    told = (person.caller, person.user_id)
    await keeper.store.forget_events(tenant, done.waiting, *told)
    for copy in sorted((root / EXPORTS).glob("*.zip")):
        held = _calls_in(copy)
        if held is None or held & {*gone, *done.waiting}:
            copy.unlink()
            done.exports.append(str(copy))
    return done


def _erase_waiting(spool: Spool, tenant: str | None, person: Person, done: Erased) -> None:
    for folder, is_live in spool.folders():
        header = (read_log(folder) or [{}])[0].get("call", {})
        if not person.is_of(header) or tenant not in (None, header.get("tenant")):
            continue
        if is_live:
            done.live.append(folder.name)
        else:
            shutil.rmtree(folder)
            done.waiting.append(folder.name)


def _calls_in(copy: Path) -> set[str] | None:
    """Ids of the calls in a copy; None where it was cut off, and may hold anybody's."""
    try:
        with zipfile.ZipFile(copy) as archive:
            return {each["id"] for each in json.loads(archive.read(MANIFEST))["calls"]}
    except (zipfile.BadZipFile, KeyError):
        return None


class _Outlet:
    """Where a ZIP is written to that goes out at once: it cannot be sought in."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None: ...

    def take(self) -> bytes:
        """What was written since."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


async def copy_calls(
    keeper: CallKeeper,
    tenant: str | None,
    query: CallQuery,
    note: Callable[[Call], Awaitable[None]],
) -> AsyncIterator[bytes]:
    """A ZIP of the calls that are found, in pieces as it is made: records, texts, sound, and a
    manifest with the SHA-256 of each.

    Args:
        note: told each call before it goes in.

    Raises:
        StoreUnavailable, ShelfUnavailable, OSError.
    """
    told: list[Json] = []
    outlet = _Outlet()
    with zipfile.ZipFile(cast("IO[bytes]", outlet), "w", zipfile.ZIP_DEFLATED) as archive:
        async for call in keeper.store.stream(tenant, query):
            await note(call)
            files = {
                f"{call.id}/record.json": call.model_dump_json(indent=1).encode(),
                f"{call.id}/transcript.txt": as_text(call).encode(),
            }
            sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
            for name, data in files.items():
                archive.writestr(name, data)
            if call.sound.get("state") == "stored":
                name, digest, path = f"{call.id}/audio.flac", hashlib.sha256(), call.sound["path"]
                size = await keeper.shelf.size(path) or 0
                with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as file:
                    async for piece in keeper.shelf.read(path, 0, size):
                        digest.update(piece)
                        file.write(piece)
                        yield outlet.take()
                sums[name] = digest.hexdigest()
            told.append({"id": call.id, "started_at": call.started_at.isoformat(), "sha256": sums})
            yield outlet.take()
        archive.writestr(MANIFEST, json.dumps({"calls": told}, indent=1))
    yield outlet.take()
