"""The upstream of a call, and the one that follows it: make before break.

A planned replacement opens the next upstream beside the old one, seeds it, and swaps at a quiet
moment. After a drop the caller's audio is kept (bounded) until another upstream has taken it.
Terminal errors stop the attempts; then the call goes over to the fallback, or ends.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from brain.journal import Journal
from config.brain import SpeakerSection
from modes.external.kept_audio import KeptAudio
from modes.external.speaker import Json, UpstreamSpeaker
from penny.aio.tasks import TaskOwner
from penny.errors import ModeUnavailable, SpeakerLost


log = structlog.get_logger()

FIRST_RETRY_S = 0.2
MAX_RETRY_S = 3.0
QUIET_POLL_S = 0.25
QUIET_LIMIT_S = 120.0
"""How long a planned replacement waits for a quiet moment before it does without."""
EXPIRY_LEAD_S = 180.0
"""A planned replacement begins so long before the provider's own end: time to open the next one
and to find a quiet moment. Of a shorter life it is half."""
SWAP_S = 2.0
"""What is kept of the last seconds before that end for the swap itself."""
PREROLL_MS = 500
"""Audio before the swap that the next upstream also gets, so that no onset is lost."""
WAITING_EVENTS = 64
"""Client events (not audio) that wait for the next upstream; past that the oldest go."""


def plan_replacement(max_age_s: float, left_s: float | None) -> tuple[float, str]:
    """In how many seconds a new upstream is to be replaced, and why.

    Args:
        left_s: until its provider ends it; None where it does not tell.
    """
    if left_s is None:
        return max_age_s, "age"
    due_s = left_s - min(EXPIRY_LEAD_S, left_s / 2)
    return (due_s, "expiry") if due_s < max_age_s else (max_age_s, "age")


class UpstreamHost(Protocol):
    """The call, as its upstreams see it."""

    def compose(self) -> tuple[Json, list[Json]]:
        """Session and seed of a new upstream, as of now."""
        ...

    async def take(self, event: Json) -> None: ...

    def lost(self) -> None:
        """The upstream is gone: close what hangs in the air."""
        ...

    def is_quiet(self) -> bool: ...

    def replay_from_ms(self) -> float:
        """From where on the kept audio is needed by the next upstream."""
        ...

    async def swapped(self, reason: str) -> None:
        """Another upstream has taken over; it knows the seed and the audio."""
        ...

    def failed(self, error: SpeakerLost) -> None:
        """There will be no upstream any more."""
        ...


Open = Callable[[Json, Sequence[Json]], Awaitable[UpstreamSpeaker]]


class Upstreams:
    """Owns the current upstream and everything that reads from it.

    Args:
        open_next: opens an upstream with a session and a seed.
        open_fallback: None where a dead speaker ends the session.
        wall_clock: Unix time in seconds, in which providers tell when a session expires.
    """

    def __init__(
        self,
        open_next: Open,
        open_fallback: Open | None,
        host: UpstreamHost,
        settings: SpeakerSection,
        journal: Journal,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._wall_clock = wall_clock
        self._expires_s: float | None = None
        self._open_next = open_next
        self._open_fallback = open_fallback
        self._host = host
        self._settings = settings
        self._journal = journal
        self._clock = clock
        self._tasks = TaskOwner("upstreams")
        self._age: asyncio.Task[None] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._swap = asyncio.Lock()
        self._waiting: deque[Json] = deque(maxlen=WAITING_EVENTS)
        self.kept = KeptAudio(round(settings.audio_kept_s * 1000))
        self.current: UpstreamSpeaker | None = None
        self.fell_back = False

    async def start(self) -> UpstreamSpeaker:
        """Open the first. Raises ModeUnavailable."""
        session, seed = self._host.compose()
        upstream = await self._open_next(session, seed)
        self._adopt(upstream)
        return upstream

    def _adopt(self, upstream: UpstreamSpeaker) -> None:
        self.current = upstream
        self._reader = self._tasks.spawn(self._read(upstream), name="upstream reader")
        # The watch that replaces its own upstream is in here: it has the old one to close yet.
        if self._age is not None and self._age is not asyncio.current_task():
            self._age.cancel()
        left_s = self._left_s(upstream)
        self._expires_s = None if left_s is None else self._clock() + left_s
        self._age = self._tasks.spawn(self._watch_age(upstream, left_s), name="upstream age")

    def _left_s(self, upstream: UpstreamSpeaker) -> float | None:
        """Seconds until the provider ends the session, as far as it tells and can be believed."""
        expires_at = upstream.info.get("expires_at")
        if not isinstance(expires_at, int | float):
            return None
        left_s = expires_at - self._wall_clock()
        if left_s > 0:
            return left_s
        # It has just been opened: one of the two clocks is wrong.
        log.warning("upstream_expiry_not_believed", left_s=round(left_s))
        return None

    # -- sending ------------------------------------------------------------------------------

    async def send(self, event: Json) -> None:
        """Send, or keep for the next upstream. Never raises: a loss is the reader's business."""
        audio = event["type"] == "input_audio_buffer.append"
        if audio:
            self.kept.append(event["audio"])
        upstream = self.current
        if upstream is not None:
            try:
                await upstream.send(event)
                return
            except SpeakerLost:
                pass  # the reader meets the same loss and replaces the upstream
        if not audio:
            self._waiting.append(event)

    # -- reading ------------------------------------------------------------------------------

    async def _read(self, upstream: UpstreamSpeaker) -> None:
        error = SpeakerLost("the speaker closed the connection")
        try:
            async for event in upstream.events():
                if upstream is not self.current:
                    return
                await self._host.take(event)
        except SpeakerLost as loss:
            error = loss
        if upstream is not self.current:
            return
        self.current = None
        log.warning("upstream_lost", code=error.code, reason=error.message)
        self._journal.write("upstream_lost", code=error.code, retryable=error.retryable)
        self._host.lost()
        await upstream.aclose()
        await self._recover(error)

    async def _recover(self, error: SpeakerLost) -> None:
        """Open another after a drop; past all attempts, fall back or give up."""
        delay_s, started_s = 0.0, self._clock()
        for _ in range(self._settings.reconnect_attempts if error.retryable else 0):
            await asyncio.sleep(delay_s)
            delay_s = min(max(FIRST_RETRY_S, delay_s * 2), MAX_RETRY_S)
            try:
                session, seed = self._host.compose()
                upstream = await self._open_next(session, seed)
            except ModeUnavailable as refusal:
                error = SpeakerLost(refusal.message, retryable=refusal.retryable)
                if not refusal.retryable:
                    break
                continue
            await self._take_over(upstream, seed, "drop", started_s)
            return
        log.error("speaker_dead", reason=error.message, retryable=error.retryable)
        await self._fall_back(error, started_s)

    async def _fall_back(self, error: SpeakerLost, started_s: float) -> None:
        if self._open_fallback is None or self.fell_back:
            self._host.failed(error)
            return
        try:
            session, seed = self._host.compose()
            upstream = await self._open_fallback(session, seed)
        except ModeUnavailable as refusal:
            log.error("fallback_unavailable", reason=refusal.message)  # noqa: TRY400
            self._host.failed(error)
            return
        self.fell_back = True
        await self._take_over(upstream, seed, "fallback", started_s)

    # -- replacing ----------------------------------------------------------------------------

    async def _watch_age(self, upstream: UpstreamSpeaker, left_s: float | None) -> None:
        """Replace the upstream before its provider's limit, at a quiet moment."""
        due_s, reason = plan_replacement(self._settings.max_age_s, left_s)
        await asyncio.sleep(due_s)
        if self.fell_back:
            return
        delay_s = FIRST_RETRY_S
        while self.current is upstream:
            try:
                await self.replace(reason)
                return
            except ModeUnavailable as refusal:
                log.warning("rollover_postponed", reason=refusal.message)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, 60.0)

    async def replace(self, reason: str) -> None:
        """Open the next upstream and swap when it is quiet. Raises ModeUnavailable."""
        old = self.current
        started_s = self._clock()
        session, seed = self._host.compose()
        upstream = await self._open_next(session, seed)
        deadline_s = self._clock() + QUIET_LIMIT_S
        if self._expires_s is not None:
            deadline_s = min(deadline_s, self._expires_s - SWAP_S)
        # Quiet is also a matter of playback, which no event tells the end of.
        while not self._host.is_quiet() and self._clock() < deadline_s:  # noqa: ASYNC110
            await asyncio.sleep(QUIET_POLL_S)
        if self.current is not old:
            await upstream.aclose()  # the old one was lost meanwhile and is replaced already
            return
        old_reader = self._reader
        await self._take_over(upstream, seed, reason, started_s)
        if old is not None and self.current is upstream:
            if old_reader is not None:
                old_reader.cancel()
                await asyncio.wait([old_reader])
            await old.aclose()

    async def _take_over(
        self, upstream: UpstreamSpeaker, seed: list[Json], reason: str, started_s: float
    ) -> None:
        """Give the new upstream what was said meanwhile, then let it be the current one."""
        async with self._swap:
            try:
                known = {item["id"]: item for item in seed}
                for item in self._host.compose()[1]:
                    if known.get(item["id"]) != item:
                        await upstream.seed(item)
                sent_ms = self._host.replay_from_ms()
                while self.kept.position_ms > sent_ms:
                    chunks, sent_ms = self.kept.since(sent_ms), self.kept.position_ms
                    for chunk in chunks:
                        await upstream.send({"type": "input_audio_buffer.append", "audio": chunk})
                self._adopt(upstream)
                while self._waiting:
                    await upstream.send(self._waiting.popleft())
            except SpeakerLost as loss:
                if self.current is not upstream:
                    await upstream.aclose()
                    await self._recover(loss)
                return
        took_ms = round((self._clock() - started_s) * 1000)
        log.info("upstream_replaced", reason=reason, took_ms=took_ms)
        self._journal.write("rollover", reason=reason, took_ms=took_ms)
        await self._host.swapped(reason)

    def forget_requests(self) -> None:
        """Drop waiting response requests: the swap asks anew."""
        kept = [event for event in self._waiting if event["type"] != "response.create"]
        self._waiting.clear()
        self._waiting.extend(kept)

    async def aclose(self) -> None:
        upstream, self.current = self.current, None
        await self._tasks.aclose()
        if upstream is not None:
            await upstream.aclose()
