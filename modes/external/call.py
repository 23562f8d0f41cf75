"""A call in EXTERNAL: the speaker's stream, with a brain, tools and a memory beside it.

To the session this is a Speaker like any other: Realtime events in and out. What happens is
decided by the reducer; here its effects are carried out, and its deadlines kept.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, get_args

import structlog

from brain.service import BrainCounts
from modes.external.host import CallHost, Observed
from modes.external.line import Line
from modes.external.reducer import hear_audio, next_deadline_s, step
from modes.external.session_view import way_of
from modes.external.speaker import Json, UpstreamSpeaker
from modes.external.state import CallState, What
from penny.aio.tasks import TaskOwner
from penny.errors import SpeakerLost
from penny.session.mode import SpeakerSink


log = structlog.get_logger()

MOST_UNREAD = 4_096
"""Events kept for a session that has not begun to read."""


class ExternalCall:
    """One call. ``private``: ``mode`` and ``privacy`` of where it goes if its speaker is dead."""

    def __init__(
        self,
        state: CallState,
        line: Line,
        host: CallHost,
        clock: Callable[[], float],
        counts: BrainCounts,
        private: Json,
    ) -> None:
        self.info: Json = {}
        self.state, self.line, self.host = state, line, host
        host.happen, host.tell = self.happen, self.tell
        self._clock, self._counts, self._private = clock, counts, private
        self._loop = asyncio.get_running_loop()
        self._happened: deque[tuple[What, Any]] = deque()
        self._is_stepping = False
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = TaskOwner("call")
        self._sink: SpeakerSink | None = None
        self._unread: deque[Json] = deque(maxlen=MOST_UNREAD)
        self._error: SpeakerLost | None = None
        self._closed = False
        self._carry_out: dict[str, Callable[[Any], None]] = {
            "tell": self.tell,
            "send": line.send,
            "seed": partial(line.do, "seed"),
            "apply": partial(line.do, "change"),
            "abandon": line.abandon,
            "run": host.run,
            "look_up": lambda turn: self._happened.append(("facts", host.find(turn))),
            **{each: partial(host.observe, each) for each in get_args(Observed)},
            "refusal": self._refusal,
            "not_understood": self._not_understood,
        }

    @property
    def is_full(self) -> bool:
        return self.line.current is not None and self.line.current.is_full

    def start(self, sink: SpeakerSink) -> None:
        self._sink = sink
        while self._unread:
            sink.on_event(self._unread.popleft())
        self.line.listen()
        if self._error is not None:
            sink.on_closed(self._error)

    def send(self, event: Json) -> None:
        """Take a client event (its shape checked). Raises SpeakerLost when there is no upstream
        any more."""
        if self._error is not None:
            raise self._error
        if event["type"] == "input_audio_buffer.append":
            lasts_ms = self.state.view.input_format.ms_of_base64(event["audio"])
            self.state.position_ms += lasts_ms
            self.line.send_audio(event, lasts_ms)
            return
        self.happen("caller", event)

    def hint(self, text: str) -> None:
        """Place a hint in the speaker's context; it goes by itself after some turns."""
        self.host.hint(text)

    async def drain(self) -> None:
        with suppress(SpeakerLost):
            if self.line.current is not None:
                await self.line.current.drain()

    async def settle(self) -> list[Json]:
        """End what runs; returns the usage that was not told: of a response that is cut and of
        analyses, estimated from what came of them, and the speaker's seconds."""
        self._sink, self._unread = None, deque(maxlen=MOST_UNREAD)
        self.line.leave()
        await self.host.leave_brain()
        used: list[Json] = []
        for event in self._unread:
            if event["type"] == "response.done":
                # The record of its turn stays as it was: the caller has gone, not interrupted.
                cut = {**event["response"], "id": f"{event['response']['id']}_end"}
                used.append({**event, "response": {**cut, "conversation_id": None}})
            elif event["type"] == "penny.usage":
                used.append(event)
        return used

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        await self._tasks.aclose()
        await self.host.aclose()
        await self.line.aclose()
        self.state.context.close()
        for outcome in self.state.context.drain(self.state.turn, self._clock()):
            self.host.observe("outcome", outcome)
        await self.host.leave_brain()

    def tell(self, event: Json) -> None:
        """Pass an event on to the session, or keep it until there is one."""
        if self._sink is None:
            self._unread.append(event)
        elif not self._closed:
            self._sink.on_event(event)

    def on_upstream_event(self, event: Json) -> None:
        if event["type"] != "response.output_audio.delta" or self._is_stepping:
            self.happen("upstream", event)
        elif not self._closed:
            hear_audio(self.state, event, self._clock())
            self.tell(event)

    def on_attached(self, upstream: UpstreamSpeaker, reason: str) -> None:
        if reason == "fallback":
            self._go_private(upstream)
        if reason in ("start", "fallback"):
            self._present(upstream)
        if reason != "start":
            self._counts.rollovers[reason] += 1
            self.tell({"type": "penny.upstream_replaced", "reason": reason})
        self.happen("attached", upstream.able)

    def on_dead(self, error: SpeakerLost) -> None:
        self._error = error
        if self._sink is not None:
            self._sink.on_closed(error)

    def _present(self, upstream: UpstreamSpeaker) -> None:
        self.info.update(upstream.info)
        effective = self.info.get("session") or {}
        self.info["session"] = self.state.view.inward(effective, self.state.context.base)
        heard = way_of(effective, "input").get("transcription") or {}
        self.info["capabilities"] = {
            "context_updates": self.host.brain is not None,
            "tools": bool(self.state.view.own_tools) and upstream.able.calls_tools,
            "cost": True,
        }
        models = {"model": self.info.get("model"), "transcription_model": heard.get("model")}
        self.tell({"type": "penny.speaker", **{name: told or "" for name, told in models.items()}})

    def _go_private(self, upstream: UpstreamSpeaker) -> None:
        """Nothing goes to the vendors any more; the notes stay what they are, as instructions."""
        self.state.view.leave()
        self.state.has_brain = False
        self._tasks.spawn(self.host.leave_brain(), name="leave the brain")
        message = "the fast speaker is gone; the call goes on privately"
        self.tell({"type": "penny.warning", "code": "mode_changed", "message": message})
        speaker = {name: upstream.info.get(name) for name in ("model", "voice", "provider")}
        speaker["model"] = str(speaker["model"] or self._private["mode"])
        capabilities = upstream.info.get("capabilities") or {}
        changed = {**self._private, "speaker": speaker, "capabilities": capabilities}
        self.tell({"type": "penny.mode_changed", **changed})

    def happen(self, what: What, about: Any = None) -> None:
        """Take what happens; what an effect causes meanwhile is taken after it."""
        if self._closed:
            return
        self._happened.append((what, about))
        if self._is_stepping:
            return
        self._is_stepping = True
        try:
            while self._happened:
                self._step(*self._happened.popleft())
        finally:
            self._is_stepping = False
        self._set_timer()

    def _step(self, what: What, about: Any) -> None:
        try:
            effects = step(self.state, what, about, self._clock())
        except Exception as error:
            # A shape that was not known: passed over, so that the call does not go deaf.
            kind = about["type"] if what == "upstream" else what
            log.warning("event_not_understood", event_type=kind, error=type(error).__name__)
            self._not_understood(kind)
            return
        for effect, detail in effects:
            try:
                self._carry_out[effect](detail)
            except Exception:
                log.exception("effect_failed", effect=effect)

    def _not_understood(self, kind: str) -> None:
        self._counts.not_understood[kind] += 1

    def _set_timer(self) -> None:
        """Wait for the earliest deadline; a timer that is too early only looks again."""
        due_s = next_deadline_s(self.state)
        if due_s is None or self._closed or (self._timer and self._timer.when() <= due_s):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(due_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.happen("tick")

    def _refusal(self, about: tuple[str, Json]) -> None:
        kind, fields = about
        log.warning("speaker_refuses", kind=kind, **fields)
