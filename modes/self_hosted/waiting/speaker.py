"""A speaker for the time until the real one is there: a spoken filler, and nothing is lost.

A session begins with it when a worker takes longer than a moment. It answers changes of the
session's settings, keeps what the caller says and does, and hands everything over in order when
the worker has come. Where the caller may be moved to another mode, that is said aloud first; what
was said before, in private, is not taken along.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import structlog

from modes.self_hosted.positions import shift_positions
from modes.self_hosted.spoken_response import say
from modes.self_hosted.waiting.kept_events import KeptEvents
from modes.self_hosted.waiting.sentences import Recordings, Sentence
from modes.self_hosted.waiting.session import WaitingSession
from penny.aio.tasks import TaskOwner
from penny.audio.format import PCM24K
from penny.audio.level import rms_dbfs
from penny.errors import ModeUnavailable, SpeakerLost
from penny.ids import new_id
from penny.realtime.errors import describe_error
from penny.realtime.formats import CORE_FORMAT, WIRE_FORMATS
from penny.session.mode import Elsewhere, Json, Speaker, SpeakerSink, TakesHints


log = structlog.get_logger()

MIN_SPEECH_DBFS = -45.0
"""Quieter than this is no speech into a microphone, whatever the room."""
SPEECH_GAP_S = 1.0
"""No sentence begins within so long of the caller's last sound."""
PIECE_BYTES = PCM24K.bytes_of(200)
LAST_WORDS_S = 1.0
"""Edge and network hold back so much of the apology; the session ends once it has been heard."""


class WaitingSpeaker:
    """A Speaker that waits for another one, then passes everything on to it.

    Args:
        opening: gives the real speaker, or raises ModeUnavailable. Owned from now on.
        session: the settings meanwhile.
        every_s: silence between two sentences.
        elsewhere: another mode for when the worker is too late; None where that is not allowed.
        clock: the loop's clock, seconds.
    """

    def __init__(
        self,
        opening: asyncio.Future[Speaker],
        session: WaitingSession,
        recordings: Recordings,
        clock: Callable[[], float],
        *,
        language: str,
        every_s: float,
        session_id: str,
        info: Json,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self.info: Json = {**info, "session": session.settings}
        self._opening = opening
        self._session = session
        self._recordings = recordings
        self._clock = clock
        self._language = language
        self._every_s = every_s
        self._session_id = session_id
        self._elsewhere = elsewhere
        self._kept = KeptEvents()
        self._loud_s = float("-inf")
        self._said: set[str] = set()
        self._sink: SpeakerSink | None = None
        self._speaker: Speaker | None = None
        self._moved_to: Speaker | None = None
        self._tasks = TaskOwner("waiting speaker", self._failed)

    # -- the Speaker --------------------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        return self._speaker is not None and self._speaker.is_full

    def start(self, sink: SpeakerSink) -> None:
        self._sink = sink
        self._tell({"type": "penny.session", "session": self._session.settings})
        self._tasks.spawn(self._wait(), name=f"{self._session_id} waits")

    def send(self, event: Json) -> None:
        """Send one client event, or keep it. Raises SpeakerLost when the real one is gone."""
        if str(event.get("item_id")) in self._said:
            return  # about a sentence that no worker knows of
        if self._speaker is not None:
            self._speaker.send(event)
        elif event["type"] == "input_audio_buffer.append":
            self._keep_audio(event)
        elif event["type"] == "session.update":
            self._update(event)
        elif event["type"] != "response.cancel":  # there is no response to cancel yet
            self._keep(event)

    def hint(self, text: str) -> None:
        if isinstance(self._speaker, TakesHints):
            self._speaker.hint(text)

    async def drain(self) -> None:
        if self._speaker is not None:
            await self._speaker.drain()

    async def aclose(self) -> None:
        self._sink = None
        await self._tasks.aclose()
        await turn_back(self._opening)
        if self._moved_to is not None:
            await self._moved_to.aclose()

    # -- what the real speaker says -------------------------------------------------------------

    def on_event(self, event: Json) -> None:
        self._tell(shift_positions(event, self._kept.lost_ms))

    def on_closed(self, error: SpeakerLost | None) -> None:
        if self._sink is not None:
            self._sink.on_closed(error)

    def tell_progress(self, event: Json) -> None:
        """Take a ``penny.progress`` event of the worker's source."""
        self._tell({"event_id": new_id("event"), **event})

    def _tell(self, event: Json) -> None:
        if self._sink is not None:
            self._sink.on_event(event)

    # -- what the caller does meanwhile ---------------------------------------------------------

    def _keep(self, event: Json) -> None:
        if not self._kept.keep(event):
            fault = "too much is waiting for the worker already; send it again when it answers"
            kind, cause = "invalid_request_error", event.get("event_id")
            error = describe_error("waiting_room_full", fault, None, cause, kind)
            self._tell(_event("error", error=error))

    def _update(self, event: Json) -> None:
        answers = self._session.update(event)
        if not any(answer["type"] == "error" for answer in answers):
            self.info["session"] = self._session.settings
            self._keep(event)
        for answer in answers:
            self._tell(answer)

    def _keep_audio(self, event: Json) -> None:
        audio_in = self._session.settings["audio"]["input"]
        wire = WIRE_FORMATS.get(audio_in["format"]["type"], CORE_FORMAT)
        try:
            data = b64decode(event["audio"], validate=True)
            is_loud = rms_dbfs(wire.to_pcm16(data)) > MIN_SPEECH_DBFS
        except (KeyError, TypeError, ValueError):
            self._keep(event)  # the worker will say what is wrong with it
            return
        if is_loud:
            self._loud_s = self._clock()
        by_hand = audio_in.get("turn_detection") is None  # then silence is the client's business
        self._kept.keep_audio(event, wire.ms_of(len(data)), is_speech=is_loud or by_hand)

    # -- the wait -------------------------------------------------------------------------------

    async def _wait(self) -> None:
        started_s = self._clock()
        try:
            await self._fill()
            speaker = await self._opening
        except ModeUnavailable as error:
            await self._go_elsewhere(error)
            return
        waited_s = round(self._clock() - started_s, 1)
        log.info("wait_over", session_id=self._session_id, waited_s=waited_s)
        self._tell(_event("penny.progress", stage="ready", message="", eta_ms=0))
        await self._hand_over(speaker)

    async def _fill(self) -> None:
        """Say a sentence now and after every silence, but not while the caller speaks."""
        sentence: Sentence = "preparing"
        while not self._opening.done():
            rest_s = self._loud_s + SPEECH_GAP_S - self._clock()
            if rest_s <= 0:
                rest_s = self._say(sentence) + self._every_s
                sentence = "patience"
            await asyncio.wait({self._opening}, timeout=rest_s)

    def _say(self, sentence: Sentence) -> float:
        """Send a sentence; returns how long it is, in seconds."""
        recording = self._recordings.find(self._language, sentence)
        pcm = recording.pcm24k
        pieces = (pcm[at : at + PIECE_BYTES] for at in range(0, len(pcm), PIECE_BYTES))
        for event in say(recording.text, pieces, self._session.settings, aside=True):
            if item_id := event.get("item_id"):
                self._said.add(item_id)
            self._tell(event)
        return recording.seconds

    async def _go_elsewhere(self, error: ModeUnavailable) -> None:
        """No worker came: another mode where that is allowed, else an apology and the end."""
        if error.code == "cold_budget_exceeded" and self._elsewhere is not None:
            try:
                self._moved_to = await self._elsewhere.open()
            except ModeUnavailable as refused:
                error = refused
            else:
                await self._move(self._moved_to, self._elsewhere)
                return
        log.warning("wait_given_up", session_id=self._session_id, reason=error.message)
        await asyncio.sleep(self._say("sorry") + LAST_WORDS_S)
        self.on_closed(SpeakerLost(error.message))

    async def _move(self, speaker: Speaker, elsewhere: Elsewhere) -> None:
        log.warning("session_moved_when_cold", session_id=self._session_id)
        self._tell(
            _event("penny.warning", code="degraded", message=elsewhere.warning, field="mode")
        )
        shown = {
            "model": str(speaker.info.get("model") or elsewhere.mode),
            "voice": speaker.info.get("voice"),
            "provider": speaker.info.get("provider"),
        }
        changed = _event("penny.mode_changed", mode=elsewhere.mode, privacy=elsewhere.privacy)
        capabilities = speaker.info.get("capabilities") or {}
        self._tell({**changed, "speaker": shown, "capabilities": capabilities})
        await asyncio.sleep(self._say("moved"))
        # Said in private: the speaker that answers now is not to hear it.
        self._kept.forget_words()
        await self._hand_over(speaker)

    async def _hand_over(self, speaker: Speaker) -> None:
        """Send everything kept to ``speaker``, in order, and then what comes as it comes."""
        if self._kept.lost_ms:
            lost_ms = round(self._kept.lost_ms)
            log.info("audio_not_kept", session_id=self._session_id, lost_ms=lost_ms)
        self.info.update(speaker.info)
        speaker.start(self)
        try:
            while (event := self._kept.pop()) is not None:
                speaker.send(event)
                if speaker.is_full:
                    await speaker.drain()
        except SpeakerLost as error:
            self.on_closed(error)
        else:
            self._speaker = speaker

    def _failed(self, _task: str, error: BaseException) -> None:
        self.on_closed(SpeakerLost(f"the wait failed: {type(error).__name__}"))


async def turn_back(coming: asyncio.Future[Speaker]) -> None:
    """End an opening; a speaker that came of it is closed."""
    coming.cancel()
    [speaker] = await asyncio.gather(coming, return_exceptions=True)
    if not isinstance(speaker, BaseException):
        await speaker.aclose()


def _event(kind: str, **fields: Any) -> Json:
    return {"type": kind, "event_id": new_id("event"), **fields}
