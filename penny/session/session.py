"""One session from open to close: an edge joined to a speaker. The only home of its state.

The session knows neither: it carries Realtime events both ways, lets observers see them, watches
its limits, and ends once with a reason. New behaviour enters as an edge, a mode, an observer or a
pure decision; never as another attribute here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from penny.errors import SpeakerLost
from penny.session.audience import Audience
from penny.session.edge import Edge, HandsOver
from penny.session.mode import BringsAtOnce, Speaker, TakesAtOnce
from penny.session.observer import Observer


log = structlog.get_logger()

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """``max_s`` of the whole session; ``idle_s`` without any speech or text of either side."""

    max_s: float
    idle_s: float


@dataclass(slots=True)
class SessionState:
    """Everything that changes while a session lives."""

    started_s: float
    last_activity_s: float
    audio_in_bytes: int = 0
    reason: str = ""
    totals: Json = field(default_factory=dict)


class Session:
    """Joins one edge to one speaker.

    Args:
        clock: the loop's clock, seconds.
        observers: see every event in order; they never delay it.
    """

    def __init__(
        self,
        session_id: str,
        mode: str,
        edge: Edge,
        speaker: Speaker,
        observers: Sequence[Observer],
        limits: SessionLimits,
        clock: Callable[[], float],
    ) -> None:
        self.id = session_id
        self.mode = mode
        self._edge = edge
        self._speaker = speaker
        self._audience = Audience(session_id, observers)
        self._limits = limits
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._ending: asyncio.Future[str] = self._loop.create_future()
        now_s = clock()
        self.state = SessionState(started_s=now_s, last_activity_s=now_s)

    def add_observer(self, *observers: Observer) -> None:
        """Let ``observers`` see what comes from now on."""
        self._audience.add(*observers)

    def remove_observer(self, observer: Observer) -> None:
        """``observer`` sees no more, not even the end. Idempotent."""
        self._audience.remove(observer)

    async def run(self) -> str:
        """Carry the session to its end; returns the reason. The edge is told and closed."""
        tasks = [
            asyncio.create_task(self._carry_in(), name=f"{self.id} inbound"),
            asyncio.create_task(self._carry_out(), name=f"{self.id} outbound"),
            asyncio.create_task(self._watch_limits(), name=f"{self.id} limits"),
        ]
        for task in tasks:
            task.add_done_callback(self._on_task_done)
        if isinstance(self._edge, HandsOver) and isinstance(self._speaker, TakesAtOnce):
            self._edge.hand_over_to(self._hand_over(self._speaker.take_at_once))
        if isinstance(self._speaker, BringsAtOnce):
            self._speaker.bring_to(self._bring)
        reason = "error"
        try:
            reason = await self._ending
        finally:
            self.state.reason = reason
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._close(reason)
        return reason

    def end(self, reason: str) -> None:
        """Ask the session to end; the first reason given is the one that counts."""
        if not self._ending.done():
            self._ending.set_result(reason)

    def tell_caller(self, event: Json) -> None:
        """Let an observer say something (a ``penny.*`` event), after what it is being shown."""
        self._loop.call_soon(self._tell, event)

    def _tell(self, event: Json) -> None:
        try:
            self._edge.deliver(event)
        except Exception:
            log.exception("caller_not_told", session_id=self.id, event_type=event["type"])

    # -- carrying -----------------------------------------------------------------------------

    async def _carry_in(self) -> None:
        async for event in self._edge.events():
            self._audience.caller_event(event, self._clock())
            await self._speaker.send(event)
        self.end(self._edge.end_reason)

    def _hand_over(self, take: Callable[[Json], bool]) -> Callable[[Json], bool]:
        """What the edge calls with a piece of audio that nobody has to wait for."""
        clock, show = self._clock, self._audience.caller_event

        def carry(event: Json) -> bool:
            try:
                if not take(event):
                    return False
            except Exception as error:
                self._failed("inbound", error)
            else:
                show(event, clock())
            return True

        return carry

    async def _carry_out(self) -> None:
        async for event in self._speaker.events():
            self._deliver(event)
        self.end("speaker_lost")

    def _bring(self, event: Json) -> None:
        """What the speaker calls with an event that ``_carry_out`` is waiting for."""
        try:
            self._deliver(event)
        except Exception as error:
            self._failed("outbound", error)

    def _deliver(self, event: Json) -> None:
        now_s = self._clock()
        if event["type"] in _ACTIVITY:
            self.state.last_activity_s = now_s
        self._audience.speaker_event(event, now_s)
        self._edge.deliver(event)

    async def _watch_limits(self) -> None:
        while True:
            now_s = self._clock()
            ends_s = self.state.started_s + self._limits.max_s
            idle_s = self.state.last_activity_s + self._limits.idle_s
            if now_s >= ends_s:
                self.end("time_limit")
                return
            if now_s >= idle_s:
                self.end("idle")
                return
            await asyncio.sleep(min(ends_s, idle_s) - now_s)

    # -- ending -------------------------------------------------------------------------------

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            return
        if isinstance(error, SpeakerLost):
            log.warning("speaker_lost", session_id=self.id, mode=self.mode, code=error.code)
            self.end("speaker_lost")
        else:
            self._failed(task.get_name(), error)

    def _failed(self, what: str, error: BaseException) -> None:
        log.error("session_task_failed", session_id=self.id, task=what, exc_info=error)
        self.end("error")

    async def _close(self, reason: str) -> None:
        now_s = self._clock()
        self._audience.ended(reason, now_s)
        await asyncio.sleep(0)  # what observers said last still goes out before the goodbye
        totals = {"duration_ms": round((now_s - self.state.started_s) * 1000), **self.state.totals}
        await self._edge.aclose(reason, totals)
        await self._speaker.aclose()


_ACTIVITY = frozenset(
    {
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "conversation.item.added",
        "response.created",
        "response.output_audio.delta",
        "response.done",
    }
)
"""Speaker events that show somebody is there. Caller audio alone does not: silence is streamed."""
