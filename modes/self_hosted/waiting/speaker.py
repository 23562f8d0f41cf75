"""A speaker for the time until the real one is there: it keeps company, and loses nothing.

A session begins with it when a worker takes longer than a moment. It answers what needs no
engine (the session's settings), says where things stand, keeps what the caller says and does,
and hands everything over in order when the worker has come. Where the caller may be moved to
another mode, they hear so first; what they said before, in private, is not taken along.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import Any

import structlog

from modes.self_hosted.waiting.attendance import Attendance
from modes.self_hosted.waiting.kept_events import KeptEvents, TrueTime
from modes.self_hosted.waiting.room import Room
from modes.self_hosted.waiting.sentences import Sentence
from penny.errors import ModeUnavailable, SpeakerLost
from penny.ids import new_id
from penny.realtime.errors import describe_error
from penny.realtime.formats import CORE_FORMAT, WIRE_FORMATS
from penny.session.mode import Elsewhere, Speaker


log = structlog.get_logger()

Json = dict[str, Any]

ANSWERING = "conversation_already_has_active_response"
LAST_WORDS_S = 1.0
"""Edge and network hold back so much of the apology; the session ends once it has been heard."""


class WaitingSpeaker:
    """One wait, then the speaker that was waited for.

    Args:
        opening: gives the real speaker, or raises ModeUnavailable. Owned from now on.
        room: the session's settings meanwhile.
        elsewhere: another mode for when the worker is too late; None where that is not allowed.
    """

    def __init__(
        self,
        opening: asyncio.Future[Speaker],
        room: Room,
        attendance: Attendance,
        clock: Callable[[], float],
        *,
        session_id: str,
        info: Json,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self.info: Json = {**info, "session": room.session}
        self._opening = opening
        self._room = room
        self._attendance = attendance
        self._company = attendance.company
        self._clock = clock
        self._session_id = session_id
        self._elsewhere = elsewhere
        self._kept = KeptEvents()
        self._time = TrueTime([(0.0, 0.0)])
        self._speaker: Speaker | None = None
        self._moving: asyncio.Future[Speaker] | None = None
        self._lock = asyncio.Lock()
        self._asked: dict[str, Json] = {}
        self._to_ask: deque[Json] = deque()

    # -- the caller -----------------------------------------------------------------------------

    async def send(self, event: Json) -> None:
        """Send one client event, or keep it. Raises SpeakerLost when the real one is gone."""
        if str(event.get("item_id")) in self._company.items:
            self._cut(event)
            return
        async with self._lock:
            if self._speaker is not None:
                await self._speaker.send(event)
                return
            self._keep(event)

    def _cut(self, event: Json) -> None:
        """The caller's side stops, or takes out, a sentence that no worker knows of."""
        if self._speaker is not None:
            return
        item_id = event["item_id"]
        self._attendance.tell(*self._company.hush(self._clock()))
        if event["type"] == "conversation.item.truncate":
            at = {name: event.get(name) for name in ("content_index", "audio_end_ms")}
            self._attendance.tell(_event("conversation.item.truncated", item_id=item_id, **at))
        elif event["type"] == "conversation.item.delete":
            self._attendance.tell(_event("conversation.item.deleted", item_id=item_id))

    def _keep(self, event: Json) -> None:
        kind, now_s = event["type"], self._clock()
        if kind == "input_audio_buffer.append":
            self._keep_audio(event, now_s)
            return
        if kind == "session.update":
            answers = self._room.update(event)
            self._attendance.tell(*answers)
            if any(answer["type"] == "error" for answer in answers):
                return
            self.info["session"] = self._room.session
            self._company.configure(self._room.session)
        elif kind == "response.cancel":
            self._attendance.tell(*self._company.hush(now_s))
        elif kind == "conversation.item.create":
            self._company.note_typed()
        if not self._kept.keep(event):
            fault = "too much is waiting for the worker already; send it again when it answers"
            self._attendance.tell(_refusal(event, fault))
        self._attendance.wake()

    def _keep_audio(self, event: Json, now_s: float) -> None:
        audio_in = self._room.session["audio"]["input"]
        wire = WIRE_FORMATS.get(audio_in["format"]["type"], CORE_FORMAT)
        audio_ms = wire.ms_of(len(str(event.get("audio") or "")) * 3 // 4)
        is_speech = self._company.hear(event, now_s)
        manual = audio_in.get("turn_detection") is None
        self._kept.keep_audio(event, audio_ms, worth_it=is_speech or manual)
        self._attendance.wake()

    # -- the session ----------------------------------------------------------------------------

    async def events(self) -> AsyncIterator[Json]:
        """Company, then the real speaker's events. Raises SpeakerLost when nobody comes."""
        async with aclosing(self._wait()) as waiting:
            async for event in waiting:
                yield event
        assert self._speaker is not None
        async for event in self._speaker.events():
            told = self._take(event)
            if told is not None:
                yield told
            if event["type"] == "response.done" and self._to_ask:
                await self.send(self._to_ask.popleft())

    async def aclose(self) -> None:
        """Whoever is on the way is turned back; whoever is here is let go."""
        for coming in (self._opening, self._moving):
            if coming is not None:
                await turn_back(coming)

    async def _wait(self) -> AsyncGenerator[Json, None]:
        started_s = self._clock()
        yield {"type": "penny.session", "session": self._room.session}
        async for event in self._attendance.until(self._opening):
            yield event
        try:
            speaker = await self._opening
        except ModeUnavailable as error:
            async for event in self._go_elsewhere(error):
                yield event
        else:
            waited_s = round(self._clock() - started_s, 1)
            log.info("wait_over", session_id=self._session_id, waited_s=waited_s)
            yield _event("penny.progress", stage="ready", message="", eta_ms=0)
            await self._hand_over(speaker)
        for event in self._attendance.drain():
            yield event

    async def _go_elsewhere(self, error: ModeUnavailable) -> AsyncIterator[Json]:
        """No worker came: another mode where that is allowed, else an apology and the end."""
        if error.code == "cold_budget_exceeded" and self._elsewhere is not None:
            self._moving = asyncio.ensure_future(self._elsewhere.open())
            async for event in self._attendance.until(self._moving):
                yield event
            with suppress(ModeUnavailable):
                speaker = await self._moving
                async for event in self._move(speaker, self._elsewhere):
                    yield event
                return
        log.warning("wait_given_up", session_id=self._session_id, reason=error.message)
        async for event in self._say("sorry"):
            yield event
        await asyncio.sleep(LAST_WORDS_S)
        raise SpeakerLost(error.message)

    async def _move(self, speaker: Speaker, elsewhere: Elsewhere) -> AsyncIterator[Json]:
        log.warning("session_moved_when_cold", session_id=self._session_id)
        yield _event("penny.warning", code="degraded", message=elsewhere.warning, field="mode")
        yield _event(
            "penny.mode_changed",
            mode=elsewhere.mode,
            privacy=elsewhere.privacy,
            speaker={
                "model": str(speaker.info.get("model") or elsewhere.mode),
                "voice": speaker.info.get("voice"),
                "provider": speaker.info.get("provider"),
            },
            capabilities=speaker.info.get("capabilities") or {},
        )
        async for event in self._say("moved"):
            yield event
        # Said to a private room: whoever answers now is not to hear it.
        self._kept.forget_words()
        await self._hand_over(speaker)

    async def _say(self, sentence: Sentence) -> AsyncIterator[Json]:
        for event in self._company.say(sentence, self._clock()):
            yield event
        async for event in self._attendance.speak_out():
            yield event

    # -- handing over ---------------------------------------------------------------------------

    async def _hand_over(self, speaker: Speaker) -> None:
        """Everything kept goes to ``speaker``, in order; then whatever comes, as it comes."""
        async with self._lock:
            events, self._time = self._kept.take()
            if self._kept.lost_ms:
                log.warning(
                    "speech_not_kept", session_id=self._session_id, lost_ms=self._kept.lost_ms
                )
            self.info.update(speaker.info)
            for event in events:
                if event["type"] == "response.create":
                    self._asked[str(event["event_id"])] = event
                await speaker.send(event)
            self._speaker = speaker

    def _take(self, event: Json) -> Json | None:
        kind = event["type"]
        if kind == "error" and self._asked:
            fault = event["error"]
            asked = self._asked.pop(str(fault.get("event_id")), None)
            if asked is not None and fault.get("code") == ANSWERING:
                self._to_ask.append(asked)  # two were owed: one after the other
                return None
        elif kind == "input_audio_buffer.speech_started":
            self._to_ask.clear()  # what is said now will be answered instead
        return self._time.restore(event)


async def turn_back(coming: asyncio.Future[Speaker]) -> None:
    """End an opening; a speaker that came of it is let go."""
    coming.cancel()
    [speaker] = await asyncio.gather(coming, return_exceptions=True)
    if not isinstance(speaker, BaseException):
        await speaker.aclose()


def _event(kind: str, **fields: Any) -> Json:
    return {"type": kind, "event_id": new_id("event"), **fields}


def _refusal(event: Json, message: str) -> Json:
    fault = describe_error(
        "waiting_room_full", message, None, event.get("event_id"), "invalid_request_error"
    )
    return _event("error", error=fault)
