"""The connection of a call to its upstream, and the one that follows it: make before break.

A planned replacement opens the next upstream beside the old one, seeds it, and swaps at a quiet
moment. After a drop the caller's audio is kept (bounded) until another upstream has taken it.
Terminal errors stop the attempts; then the call goes over to the fallback, or ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, Protocol

import structlog

from config.brain import SpeakerSection
from modes.external import turns
from modes.external.replacement import KeptAudio, plan_replacement
from modes.external.speaker import Json, Step, UpstreamSpeaker
from modes.external.state import CallState, What
from penny.aio.tasks import TaskOwner
from penny.errors import ModeUnavailable, SpeakerLost


log = structlog.get_logger()

RECOVERY = "recover"
FIRST_RETRY_S = 0.2
MAX_RETRY_S = 3.0
QUIET_POLL_S = 0.25
QUIET_LIMIT_S = 120.0
"""How long a planned replacement waits for a quiet moment before it does without."""
SWAP_S = 2.0
"""What is kept of the last seconds before that end for the swap itself."""
PREROLL_MS = 500
"""Audio before the swap that the next upstream also gets, so that no onset is lost."""

Open = Callable[[Json, Sequence[Json]], Awaitable[UpstreamSpeaker]]


class LineHost(Protocol):
    """The call, as its line sees it. All in the loop, none waits."""

    state: CallState

    def happen(self, what: What, about: Any = None) -> None: ...

    def on_upstream_event(self, event: Json) -> None: ...

    def on_attached(self, upstream: UpstreamSpeaker, reason: str) -> None:
        """Another upstream has taken over; it knows the seed and the audio."""

    def on_dead(self, error: SpeakerLost) -> None:
        """There will be no upstream any more."""


class _Sink:
    """Brings an upstream's events to the call as long as it is the current one."""

    def __init__(self, line: Line, upstream: UpstreamSpeaker) -> None:
        self._line, self._upstream = line, upstream

    def on_event(self, event: Json, /) -> None:
        if self._line.current is self._upstream:
            self._line.host.on_upstream_event(event)

    def on_closed(self, error: SpeakerLost | None, /) -> None:
        if self._line.current is self._upstream:
            self._line.lose(error or SpeakerLost("the speaker closed the connection"))


class Line:
    """Owns the current upstream and everything that reads from it. ``open_fallback``: None where a
    dead speaker ends the session; ``wall_clock``: Unix time in seconds, in which providers tell
    when a session expires."""

    host: LineHost

    def __init__(
        self,
        open_next: Open,
        open_fallback: Open | None,
        settings: SpeakerSection,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._open_next, self._open_fallback = open_next, open_fallback
        self._settings, self._clock, self._wall_clock = settings, clock, wall_clock
        self._expires_s: float | None = None
        self._tasks = TaskOwner("line", self._give_up)
        self._age: asyncio.Task[None] | None = None
        self.kept = KeptAudio(round(settings.audio_kept_s * 1000))
        self.current: UpstreamSpeaker | None = None
        self._leaving: asyncio.Task[None] | None = None
        self.fell_back = False
        self._heard_ms = 0.0
        """Caller's audio that an upstream has got."""

    async def start(self, host: LineHost) -> None:
        """Open the first. Raises ModeUnavailable."""
        self.host = host
        self.current, _ = await self._open(self._open_next)
        self._watch(self.current)
        host.on_attached(self.current, "start")

    def listen(self) -> None:
        """Begin to bring events of the first upstream."""
        if self.current is not None:
            self.current.start(_Sink(self, self.current))

    async def _open(self, opening: Open) -> tuple[UpstreamSpeaker, list[Json]]:
        """An upstream with the conversation as of now, and its seed. Raises ModeUnavailable."""
        state = self.host.state
        session = {**state.view.session, "instructions": state.context.render(())}
        seed = state.conversation.seed(self._clock())
        return await opening(session, seed), seed

    def send_audio(self, event: Json, duration_ms: float) -> None:
        """Caller's audio: sent, and kept for the next upstream."""
        self.kept.append(event["audio"], duration_ms)
        if (upstream := self.current) is not None:
            try:
                upstream.send(event)
            except SpeakerLost as error:
                self._lose_later(upstream, error)

    def send(self, event: Json) -> None:
        self.do("send", event)

    def do(self, act: Literal["send", "change", "seed"], what: Step | Json) -> None:
        """Never raises: a loss is told by the upstream's end, and the next one is seeded."""
        upstream = self.current
        if upstream is None:
            return
        try:
            getattr(upstream, act)(what)
        except SpeakerLost as error:
            self._lose_later(upstream, error)

    def _lose_later(self, upstream: UpstreamSpeaker, error: SpeakerLost) -> None:
        """The sender is in the middle of something: the loss is handled after it."""
        asyncio.get_running_loop().call_soon(_Sink(self, upstream).on_closed, error)

    def abandon(self, reason: str) -> None:
        """The upstream does not answer any more: take it for lost."""
        self.lose(SpeakerLost(f"the speaker is given up: {reason}", code=f"speaker_{reason}"))

    def lose(self, error: SpeakerLost) -> None:
        """The current upstream is gone: open another, or end."""
        upstream = self._detach()
        if upstream is None:
            return
        log.warning("upstream_lost", code=error.code, reason=error.message)
        self._tasks.spawn(upstream.aclose(), name="close the lost upstream")
        self._tasks.spawn(self._recover(error), name=RECOVERY)

    def _bill(self) -> None:
        """Tell what the upstream has used and its provider has not told."""
        for event in self.current.unbilled() if self.current is not None else ():
            self.host.on_upstream_event(event)

    def leave(self) -> None:
        """The call is over: bill the upstream and begin to close it, since what it would still say
        is paid for and heard by none."""
        upstream = self._detach()
        if upstream is not None:
            self._leaving = self._tasks.spawn(upstream.aclose(), name="leave the upstream")

    def _detach(self) -> UpstreamSpeaker | None:
        self._bill()
        upstream, self.current = self.current, None
        if upstream is not None:
            self._heard_ms = self.kept.position_ms
            self.host.happen("lost")
        return upstream

    def _give_up(self, task: str, error: BaseException) -> None:
        """A fault of ours, logged: a call whose speaker is not replaced is over."""
        if task == RECOVERY:
            self.host.on_dead(SpeakerLost(f"the speaker was not replaced: {type(error).__name__}"))

    async def _recover(self, error: SpeakerLost) -> None:
        delay_s, started_s = 0.0, self._clock()
        for _ in range(self._settings.reconnect_attempts if error.retryable else 0):
            await asyncio.sleep(delay_s)
            delay_s = min(max(FIRST_RETRY_S, delay_s * 2), MAX_RETRY_S)
            try:
                opened = await self._open(self._open_next)
            except ModeUnavailable as refusal:
                error = SpeakerLost(refusal.message, retryable=refusal.retryable)
                if not refusal.retryable:
                    break
                continue
            await self._take_over(*opened, "drop", started_s)
            return
        log.error("speaker_dead", reason=error.message, retryable=error.retryable)
        if self._open_fallback is not None and not self.fell_back:
            try:
                opened = await self._open(self._open_fallback)
            except ModeUnavailable as refusal:
                log.error("fallback_unavailable", reason=refusal.message)  # noqa: TRY400
            else:
                self.fell_back = True
                await self._take_over(*opened, "fallback", started_s)
                return
        self.host.on_dead(error)

    def _watch(self, upstream: UpstreamSpeaker) -> None:
        # The watch that replaces its own upstream is in here: it has the old one to close yet.
        if self._age is not None and self._age is not asyncio.current_task():
            self._age.cancel()
        expires_at = upstream.info.get("expires_at")
        left_s = expires_at - self._wall_clock() if isinstance(expires_at, int | float) else None
        if left_s is not None and left_s <= 0:
            log.warning("upstream_expiry_not_believed", left_s=round(left_s))
            left_s = None
        self._expires_s = None if left_s is None else self._clock() + left_s
        plan = plan_replacement(self._settings.max_age_s, left_s)
        self._age = self._tasks.spawn(self._watch_age(upstream, *plan), name="upstream age")

    async def _watch_age(self, upstream: UpstreamSpeaker, due_s: float, reason: str) -> None:
        """Replace the upstream before its provider's limit, at a quiet moment."""
        await asyncio.sleep(due_s)
        delay_s = FIRST_RETRY_S
        while self.current is upstream and not self.fell_back:
            try:
                await self.replace(reason)
                return
            except ModeUnavailable as refusal:
                log.warning("rollover_postponed", reason=refusal.message)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, 60.0)

    async def replace(self, reason: str) -> None:
        """Open the next upstream and swap when it is quiet. Raises ModeUnavailable."""
        old, started_s = self.current, self._clock()
        upstream, seed = await self._open(self._open_next)
        deadline_s = self._clock() + QUIET_LIMIT_S
        if self._expires_s is not None:
            deadline_s = min(deadline_s, self._expires_s - SWAP_S)
        while not self._is_quiet() and self._clock() < deadline_s:  # noqa: ASYNC110
            await asyncio.sleep(QUIET_POLL_S)
        if self.current is not old or old is None:
            await upstream.aclose()  # the old one was lost meanwhile and is replaced already
            return
        self._detach()
        await self._take_over(upstream, seed, reason, started_s)
        await old.aclose()

    def _is_quiet(self) -> bool:
        self.host.state.now_s = self._clock()
        return self.host.state.is_quiet

    async def _take_over(
        self, upstream: UpstreamSpeaker, seed: list[Json], reason: str, started_s: float
    ) -> None:
        """Give the new upstream what was said meanwhile; then it is the current one."""
        state = self.host.state
        known = {item["id"]: item for item in seed}
        try:
            for item in state.conversation.seed(self._clock()):
                if known.get(item["id"]) != item:
                    upstream.seed(item)
            from_ms = turns.replay_from_ms(state)
            from_ms = self._heard_ms - PREROLL_MS if from_ms is None else from_ms
            for event in self.kept.since(from_ms, turns.replayed_requests(state)):
                upstream.send(event)
        except SpeakerLost as loss:
            await upstream.aclose()
            await self._recover(loss)
            return
        self.current = upstream
        self._watch(upstream)
        log.info("upstream_replaced", reason=reason, took_s=round(self._clock() - started_s, 3))
        self.host.on_attached(upstream, reason)
        upstream.start(_Sink(self, upstream))

    async def aclose(self) -> None:
        upstream, self.current = self.current, None
        if self._leaving is not None:
            await asyncio.wait({self._leaving})
        await self._tasks.aclose()
        if upstream is not None:
            await upstream.aclose()
