"""One session from open to close: an edge joined to a speaker. The only home of its state.

The session knows neither: it carries Realtime events both ways, lets observers see them, and ends
once with a reason. New behaviour enters as an edge, a mode, an observer or a
pure decision; never as another attribute here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from penny.errors import SpeakerLost
from penny.session.edge import Edge
from penny.session.mode import Settles, Speaker, TakesHints
from penny.session.observers import Observer, ObserverDispatch


log = structlog.get_logger()

Json = dict[str, Any]

STALL_S = 1.0
"""A speaker that stays full for so long is taken for frozen: the caller is read again, so that an
interruption or a goodbye arrives, and their audio is dropped and counted."""
AUDIO = "input_audio_buffer.append"


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """``max_s`` of the whole session; ``idle_s`` without any speech or text of either side;
    ``grace_s`` more of both for what is being said. ``LimitWatch`` keeps them."""

    max_s: float
    idle_s: float
    grace_s: float = 0.0


@dataclass(slots=True)
class SessionState:
    """Everything that changes while a session lives."""

    started_s: float
    last_activity_s: float
    """Infinite while a caller is kept waiting: that is no silence of theirs."""
    reason: str = ""
    """Why it is closing; empty while it lives."""
    dropped_in: int = 0
    """Pieces of the caller's audio that a frozen speaker never took."""
    totals: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Sink:
    """What an edge or a speaker is given to call."""

    on_event: Callable[[Json], None]
    on_closed: Callable[..., None]


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
        self._observers = ObserverDispatch(session_id, observers)
        self.limits = limits
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._ending: asyncio.Future[str] = self._loop.create_future()
        self._holding: asyncio.Task[None] | None = None
        self._is_stalled = False
        now_s = clock()
        self.state = SessionState(started_s=now_s, last_activity_s=now_s)

    def add_observer(self, *observers: Observer) -> None:
        """Let ``observers`` see what comes from now on."""
        self._observers.add(*observers)

    def remove_observer(self, observer: Observer) -> None:
        """``observer`` sees no more, not even the end. Idempotent."""
        self._observers.remove(observer)

    async def run(self) -> str:
        """Carry the session to its end; returns the reason. The edge is told and closed."""
        reason = "error"
        try:
            self._speaker.start(_Sink(self._from_speaker, self._speaker_closed))
            self._edge.start(_Sink(self._from_caller, self._caller_left))
            reason = await self._ending
        finally:
            self.state.reason = reason
            if self._holding is not None:
                self._holding.cancel()
                await asyncio.gather(self._holding, return_exceptions=True)
            await self._close(reason)
        return reason

    def end(self, reason: str) -> None:
        """Ask the session to end; the first reason given is the one that counts."""
        if not self._ending.done():
            self._ending.set_result(reason)

    def tell_caller(self, event: Json) -> None:
        """Let an observer say something (a ``penny.*`` event), after what it is being shown."""
        self._loop.call_soon(self._tell, event)

    def hint(self, text: str) -> None:
        """Let what answers know something (``TakesHints``); nothing where it takes none."""
        if isinstance(self._speaker, TakesHints) and not self.state.reason:
            self._speaker.hint(text)

    def _tell(self, event: Json) -> None:
        try:
            self._edge.deliver(event)
        except Exception:
            log.exception("caller_not_told", session_id=self.id, event_type=event["type"])

    # -- carrying -----------------------------------------------------------------------------

    def _from_caller(self, event: Json) -> None:
        if self.state.reason:
            return
        try:
            if self._is_stalled and event["type"] == AUDIO:
                self.state.dropped_in += 1
                return
            self._observers.caller_event(event, self._clock())
            self._speaker.send(event)
            if self._speaker.is_full and self._holding is None:
                self._hold_caller()
        except Exception as error:
            self._failed("inbound", error)

    def _from_speaker(self, event: Json) -> None:
        if self.state.reason:
            return
        try:
            now_s = self._clock()
            if event["type"] in _ACTIVITY:
                self.state.last_activity_s = max(now_s, self.state.last_activity_s)
            self._observers.speaker_event(event, now_s)
            self._edge.deliver(event)
        except Exception as error:
            self._failed("outbound", error)

    def _hold_caller(self) -> None:
        self._edge.pause()
        self._holding = asyncio.create_task(self._wait_for_room(), name=f"{self.id} drain")
        self._holding.add_done_callback(self._on_task_done)

    async def _wait_for_room(self) -> None:
        """Read no more from the caller until the speaker has room, or is taken for frozen."""
        draining = asyncio.ensure_future(self._speaker.drain())
        try:
            await asyncio.wait({draining}, timeout=STALL_S)
            if not draining.done():
                log.warning("speaker_stalled", session_id=self.id, mode=self.mode)
                self._is_stalled = True
                self._edge.resume()
            await draining
        finally:
            draining.cancel()
            self._holding, self._is_stalled = None, False
        self._edge.resume()

    # -- ending -------------------------------------------------------------------------------

    def _caller_left(self) -> None:
        self.end(self._edge.end_reason)

    def _speaker_closed(self, error: SpeakerLost | None) -> None:
        if error is None:
            self.end("speaker_lost")
        else:
            self._failed("speaker", error)

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._failed(task.get_name(), error)

    def _failed(self, what: str, error: BaseException) -> None:
        if self.state.reason or self._ending.done():
            return  # what ended it is known; what breaks while it closes is its consequence
        if isinstance(error, SpeakerLost):
            log.warning("speaker_lost", session_id=self.id, mode=self.mode, code=error.code)
            self.end("speaker_lost")
        else:
            log.error("session_task_failed", session_id=self.id, task=what, exc_info=error)
            self.end("error")

    async def _close(self, reason: str) -> None:
        now_s = self._clock()
        for event in await self._settle():
            self._observers.speaker_event(event, now_s)
        self._observers.ended(reason, now_s)
        await asyncio.sleep(0)  # what observers said last still goes out before the goodbye
        totals = {"duration_ms": round((now_s - self.state.started_s) * 1000), **self.state.totals}
        await self._edge.aclose(reason, totals)
        await self._speaker.aclose()

    async def _settle(self) -> list[Json]:
        """What the speaker has used and not told."""
        try:
            return await self._speaker.settle() if isinstance(self._speaker, Settles) else []
        except Exception:
            log.exception("accounts_not_settled", session_id=self.id)
            return []


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
