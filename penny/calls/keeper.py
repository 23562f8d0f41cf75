"""Brings finished calls from the spool to where they are kept, and lets go of what is too old.

One task, one call at a time, oldest first: while the database is away calls wait in the spool and
follow in order. A folder is removed only after its record and its sound are both safe.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import soundfile
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from penny.aio.tasks import TaskOwner
from penny.calls.database import StoreUnavailable
from penny.calls.masking import mask_secrets, silenced, without_words
from penny.calls.query import MOST, CallQuery
from penny.calls.record import Call, Claim, Recorded, Stopped, Turn, measure
from penny.calls.rows import to_ms
from penny.calls.shelf import SUFFIX, Shelf, ShelfUnavailable
from penny.calls.sound import place, sizes_of, write_sound
from penny.calls.spool import Spool, read_log
from penny.calls.store import CallStore
from penny.calls.sums import count_anew
from penny.errors import PennyError


log = structlog.get_logger()

Json = dict[str, Any]

RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Between attempts while the database or the disk refuses; the last one repeats."""
LET_GO_EVERY_S = 3600.0
SWEEP_EVERY = 24
"""Files and rows are compared once in so many of those: a bucket is listed whole."""
SETTLED = timedelta(days=1)
COUNTED_AT_ONCE = 10
COUNT_EVERY_S = 0.05
UNREADABLE = "unreadable"
"""Where folders go that make no call: for a person to look at."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Days that a tenant's sound and records are kept; None: for ever."""

    sound_days: int | None
    record_days: int | None


class Tells(Protocol):
    """What writes down who is to be told of a call, in the transaction that keeps it."""

    async def kept(self, connection: AsyncConnection, call: Call) -> None:
        """The record is new."""

    async def sound_lost(self, connection: AsyncConnection, call: Call) -> None:
        """The file of its sound is not where it was put."""


class CallKeeper:
    """Keeps the calls of one gateway process.

    Args:
        shelf: where finished sound lies.
        retention: by tenant.
        wall_clock: Unix time in seconds.
    """

    def __init__(
        self,
        store: CallStore,
        shelf: Shelf,
        root: Path,
        retention: Callable[[str], Retention],
        wall_clock: Callable[[], float],
    ) -> None:
        self.store = store
        self.shelf = shelf
        self.spool = Spool(root / "spool", self._take)
        self._root = root
        self._retention = retention
        self._wall_clock = wall_clock
        self._waiting: deque[Path] = deque()
        self._news = asyncio.Event()
        self._tasks = TaskOwner("calls")
        self._idle = asyncio.Event()
        self.tells: Tells | None = None
        """Set before ``start``, where others are to be told of calls."""
        self.kept = 0
        self.is_counting = True
        """Whether the figures lack calls that an earlier version kept."""
        self.fault = ""
        """Why calls wait in the spool; '' while they do not."""

    @property
    def waiting(self) -> int:
        """Finished calls that are in the spool alone."""
        return len(self._waiting)

    async def start(self) -> None:
        """Begin; calls that another process left are taken up first.

        Raises:
            OSError: the folder cannot be written.
        """
        await self.spool.start()
        self._waiting.extend(await asyncio.to_thread(lambda: list(self.spool.orphans())))
        self._news.set()
        self._tasks.spawn(self._keep_on(), name="keep calls")
        self._tasks.spawn(self._let_go_on(), name="let go of calls")
        self._tasks.spawn(self._count_anew(), name="count calls anew")

    async def aclose(self) -> None:
        """Keep what is ready now; what is not waits in the spool for the next start."""
        await self.spool.aclose()
        try:
            async with asyncio.timeout(5.0):
                if not self.fault:
                    await self._idle.wait()
        except TimeoutError:
            log.warning("calls_left_in_spool", calls=len(self._waiting))
        await self._tasks.aclose()
        await self.store.aclose()

    def keep_unconnected(self, header: Json, reason: str) -> None:
        """Keep a call that never connected: missed, refused, busy, unanswered …

        Args:
            header: fields of ``record.Call``, with ``mode``: which would have answered.
        """
        now = datetime.fromtimestamp(self._wall_clock(), UTC).isoformat()
        spooled = self.spool.begin(header["id"])
        spooled.note("call", at_ms=0.0, call={"started_at": now, **header})
        spooled.end(at_ms=0.0, reason=reason, ended_at=now, totals={}, status="failed")

    def _take(self, folder: Path) -> None:
        self._waiting.append(folder)
        self._idle.clear()
        self._news.set()

    # -- keeping ------------------------------------------------------------------------------

    async def _keep_on(self) -> None:
        attempt = 0
        while True:
            await self._news.wait()
            while self._waiting:
                try:
                    await self._keep(self._waiting[0])
                except (StoreUnavailable, ShelfUnavailable, OSError) as error:
                    self._note_fault(error)
                    await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
                    attempt += 1
                    continue
                self._waiting.popleft()
                attempt = 0
                if self.fault:
                    self.fault = ""
                    log.info("calls_kept_again", waiting=len(self._waiting))
            self._idle.set()
            self._news.clear()

    def _note_fault(self, error: Exception) -> None:
        reason = error.message if isinstance(error, PennyError) else str(error.strerror)  # type: ignore[attr-defined]
        if not self.fault:
            log.error("calls_wait_in_spool", reason=reason, waiting=len(self._waiting))
        self.fault = reason

    async def _keep(self, folder: Path) -> None:
        lines = await asyncio.to_thread(read_log, folder)
        try:
            call = make_call(lines, sizes_of(folder))
        except (KeyError, TypeError, ValueError):  # lines as no version of ours writes them
            call = None
        if call is None:
            log.error("call_unreadable", call_id=folder.name)
            await asyncio.to_thread(self._set_aside, folder)
            return
        call.sound = await self._keep_sound(folder, lines, call)
        call.metrics = measure(call)
        tells = self.tells
        await self.store.put(call, partial(tells.kept, call=call) if tells else None)
        await asyncio.to_thread(self.spool.forget, folder)
        self.kept += 1

    async def _keep_sound(self, folder: Path, lines: list[Json], call: Call) -> Json:
        name = f"{call.tenant}/{call.started_at:%Y-%m-%d}/{call.id}{SUFFIX}"
        unfinished = (self.shelf.folder / name).with_suffix(".part")
        try:
            silent = silenced(call.turns)
            sound = await asyncio.to_thread(write_sound, folder, lines, unfinished, silent)
        except soundfile.LibsndfileError as error:
            raise OSError(5, f"the sound cannot be written: {error}") from error
        if sound is None:
            return {"state": "absent"}
        await self.shelf.keep(unfinished, name)
        return {
            "state": "stored",
            "path": name,
            "sha256": sound.sha256,
            "bytes": sound.size_bytes,
            "duration_ms": sound.duration_ms,
            "rate_hz": sound.rate_hz,
            "channels": ["caller", "penny"],
        }

    def _set_aside(self, folder: Path) -> None:
        place_for = self._root / UNREADABLE
        place_for.mkdir(parents=True, exist_ok=True)
        folder.replace(place_for / folder.name)

    async def _count_anew(self) -> None:
        """Count what an earlier version kept, a few at a time: the same loop carries calls."""
        wait_s = COUNT_EVERY_S
        while True:
            try:
                if not await count_anew(self.store.database, self.store.zone_of, COUNTED_AT_ONCE):
                    self.is_counting = False
                    return
                wait_s = COUNT_EVERY_S
            except StoreUnavailable as error:
                log.warning("figures_wait", reason=error.message)
                wait_s = RETRY_S[-1]
            await asyncio.sleep(wait_s)

    # -- letting go ---------------------------------------------------------------------------

    async def _let_go_on(self) -> None:
        hours = 0
        while True:
            await asyncio.sleep(LET_GO_EVERY_S)
            hours += 1
            try:
                await self.let_go()
                if hours % SWEEP_EVERY == 0:
                    await self.sweep()
            except (StoreUnavailable, ShelfUnavailable, OSError) as error:
                log.warning("retention_postponed", reason=type(error).__name__)

    async def let_go(self) -> dict[str, int]:
        """Remove what its tenant keeps no longer, legal holds apart; how much of each."""
        done = {"records": 0, "sounds": 0}
        now = datetime.fromtimestamp(self._wall_clock(), UTC)
        await self.store.purge(await self.store.half_erased())
        for tenant in await self.store.tenants():
            kept = self._retention(tenant)
            if kept.record_days is not None:
                before = now - timedelta(days=kept.record_days)
                while old := await self.store.expired(tenant, to_ms(before)):
                    done["records"] += len(await self.erase(tenant, old))
            if kept.sound_days is not None:
                until = now - timedelta(days=kept.sound_days)
                old_sound = CallQuery(until=until, sound="stored", limit=MOST)
                async for call in self.store.stream(tenant, old_sound):
                    if not call.held:
                        await self.shelf.remove(call.sound["path"])
                        await self.store.set_sound(call.id, {"state": "deleted"})
                        done["sounds"] += 1
        return done

    async def sweep(self) -> dict[str, int]:
        """Files that no call has are removed; calls whose file is gone say ``lost``.

        A file younger than ``SETTLED`` is left alone: its call may be on its way to the database.
        """
        done = {"orphans": 0, "lost": 0}
        settled = datetime.fromtimestamp(self._wall_clock(), UTC) - SETTLED
        names = set()
        async for each in self.shelf.lying():
            names.add(each.name)
            if each.written_at < settled:
                call = await self.store.get(None, Path(each.name).stem)
                if call is None or call.sound.get("path") != each.name:
                    await self.shelf.remove(each.name)
                    log.warning("orphan_sound_removed", name=each.name)
                    done["orphans"] += 1
        async for call in self.store.stream(None, CallQuery(sound="stored", limit=MOST)):
            if call.sound["path"] not in names and call.ended_at < settled:
                also = partial(self.tells.sound_lost, call=call) if self.tells else None
                await self.store.set_sound(call.id, {**call.sound, "state": "lost"}, also)
                log.error("sound_lost", call_id=call.id)
                done["lost"] += 1
        return done

    async def erase(self, tenant: str | None, ids: list[str]) -> list[str]:
        """Remove calls for good, rows and sound; those under hold stay. Returns what went.

        Raises:
            StoreUnavailable, ShelfUnavailable, OSError: some of it may be gone; repeat it.
        """
        gone = []
        for each in ids:
            call = await self.store.get(tenant, each)
            if call is None:
                continue
            marked = await self.store.delete(
                call.tenant, [call.id], round(self._wall_clock() * 1000)
            )
            if marked:
                if "path" in call.sound:
                    await self.shelf.remove(call.sound["path"])
                gone += marked
        await self.store.purge(gone)
        return gone


def make_call(lines: list[Json], sizes: dict[str, int]) -> Call | None:
    """The call that a log tells of; one without an end was cut off. None where it has no header."""
    if not lines or lines[0].get("kind") != "call":
        return None
    header = lines[0]["call"]
    end = next((line for line in lines if line["kind"] == "end"), None)
    turns = mask_secrets(
        [Turn.model_validate(line["turn"]) for line in lines if line["kind"] == "turn"]
    )
    if not header.get("consent", {}).get("text", True):  # until here, for the numbers to silence
        turns = [without_words(turn) for turn in turns]
    modes = [header["mode"], *(line["mode"] for line in lines if line["kind"] == "mode")]
    started_at = datetime.fromisoformat(header["started_at"])
    if end is not None:
        ended_at = datetime.fromisoformat(end["ended_at"])
    else:
        sounds = [p.starts_ms + p.ms for side in place(lines, sizes).values() for p in side]
        last_ms = max([*sounds, *(line.get("at_ms", 0.0) for line in lines)])
        ended_at = started_at + timedelta(milliseconds=last_ms)
    totals = (end or {}).get("totals", {})
    told = [
        {name: value for name, value in line.items() if name != "kind"}
        for line in lines
        if line["kind"] in ("announced", "consent")
    ]
    consent = {**header.get("consent", {}), **({"told": told} if told else {})}
    plain = {name: header[name] for name in header.keys() - {"mode", "started_at", "consent"}}
    for line in lines:
        plain |= line["links"] if line["kind"] == "links" else {}
    alerts = [line["alert"] for line in lines if line["kind"] == "alert"]
    mood = next((line["mood"] for line in reversed(lines) if line["kind"] == "mood"), None)
    derived = {"summary": totals.get("details"), "alerts": alerts, "mood": mood}
    reason = (end or {}).get("reason", "")
    stopped = _STOPPED.get(reason, "end") if end is not None else "fault"
    return Call(
        **plain,
        consent=consent,
        modes=modes,
        started_at=started_at,
        ended_at=ended_at,
        end_reason=reason,
        claims=[
            Claim(at_ms=line["at_ms"], **line["claim"]) for line in lines if line["kind"] == "claim"
        ],
        recorded=_recorded(lines, (ended_at - started_at).total_seconds() * 1000, stopped),
        status=end.get("status", "completed") if end is not None else "interrupted",
        models=sorted({model for turn in turns for model in turn.models}),
        cost={"total_usd": totals.get("usd"), "usd_by": totals.get("usd_by", {})},
        derived={name: value for name, value in derived.items() if value},
        turns=turns,
    )


_STOPPED: dict[str, Stopped] = {
    "handoff": "transfer",
    "error": "fault",
    "speaker_lost": "fault",
}


def _recorded(lines: list[Json], ended_ms: float, stopped: Stopped) -> list[Recorded]:
    """When a call's sound was kept.

    Args:
        stopped: what ended it, where it was kept to the end of the call.
    """
    kept: list[Recorded] = []
    from_ms: float | None = None
    for line in lines:
        if line["kind"] == "keeps" and line["on"]:
            from_ms = line["at_ms"]
        elif line["kind"] == "keeps" and from_ms is not None:
            until_ms = line["at_ms"]
            kept.append(Recorded(from_ms=from_ms, until_ms=until_ms, stopped=line["stopped"]))
            from_ms = None
    if from_ms is not None:
        kept.append(Recorded(from_ms=from_ms, until_ms=round(ended_ms, 1), stopped=stopped))
    return kept
