"""One Realtime client of the worker: the pure core, carried out with real ears and a real voice.

The core decides; this carries out its outputs in order and feeds it what the engines report.
Everything runs in one loop, so the core needs no lock: outputs of one call are carried out
before the next call. The only writer to the socket is the task that drains ``outbound``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import structlog

from penny.aio.tasks import TaskOwner
from penny.ids import new_id
from penny.realtime.commands import (
    BufferAudio,
    CancelGeneration,
    ClearBuffer,
    CommitBuffer,
    Configure,
    EngineReport,
    Generate,
    GenerationDone,
    GenerationFailed,
    GenerationRequest,
    Hangup,
    IdleTimeout,
    ItemAudio,
    Output,
    PhraseDelta,
    Send,
)
from penny.realtime.core import RealtimeCore
from penny.realtime.session_config import TRANSCRIPTION
from penny.realtime.speech import BYTES_PER_MS
from runpod_worker.answering import AnswerAhead
from runpod_worker.asking_back import AskingBack
from runpod_worker.engines.registry import Engines
from runpod_worker.excuses import MIN_SPEECH_MS, Excuses
from runpod_worker.filler import Fillers, ThinkingAloud
from runpod_worker.hearing import AgentVoice, TurnListener
from runpod_worker.house import House, read_event
from runpod_worker.outbound import Outbound
from runpod_worker.pacing import PACER, Pacer
from runpod_worker.prompt_head import PromptHead
from runpod_worker.reading import write_llm_request
from runpod_worker.responder import Responder
from runpod_worker.settings import WorkerSettings
from runpod_worker.stages import LlmRequest, Transcript, Voice
from runpod_worker.transcripts import Transcripts


log = structlog.get_logger()

Json = dict[str, Any]

WRITER, LISTENER = "realtime writer", "realtime listener"


class Connection:
    """Server side of one Realtime connection.

    Runs one Realtime session until the socket or the session ends.
    """

    def __init__(
        self,
        core: RealtimeCore,
        engines: Engines,
        settings: WorkerSettings,
        *,
        penny_events: bool,
        send_event: Callable[[Json], Awaitable[None]],
        hang_up: Callable[[Hangup], Coroutine[Any, Any, None]],
        fillers: Fillers | None = None,
        apologies: Fillers | None = None,
    ) -> None:
        self._core = core
        self._thinking = ThinkingAloud(
            fillers or Fillers(engines.tts, settings.spoken.fillers),
            settings.spoken.filler_after_ms,
            self._report,
        )
        self._apologies = apologies or Fillers(engines.tts, settings.spoken.apologies())
        self._apologised_to: str | None = None
        self._engines, self._settings = engines, settings
        self._penny_events = penny_events
        self._tasks = TaskOwner("connection", self._end_without)
        self._outbound = Outbound(self._tasks, send_event, hang_up)
        self._pacer = Pacer(self._tasks, self._pass_on)
        self._agent = AgentVoice()
        self._session: Json = {}
        self._language, self._heard_language = settings.language, ""
        self._transcripts = Transcripts(
            engines.stt,
            settings.deadlines.stt_ms / 1000,
            report=self._report,
            announce=self._announce_transcript,
            spawn=self._tasks.spawn,
            language=lambda: self._heard_language or self._language,
        )
        self._responses: dict[str, asyncio.Task[None]] = {}
        self._speech_item_id, self._idle_timed_out = "", False
        self._turn: tuple[int, int] | None = None
        self._house = House(self._send_penny, self._tasks, searches=engines.llm.info.reads)
        self._head = PromptHead(engines.llm, self._house, self._tasks)
        self._llm = AnswerAhead(engines.llm)
        self._beginning: asyncio.Task[None] | None = None
        self._asking = AskingBack(settings.asking, self._send_penny)
        self._excuses = Excuses(needs_words=not engines.stt.info.closed_set)
        self._silent_ms = 0  # the caller's silence when the last turn was decided
        self._listener = TurnListener(
            vad=engines.vad,
            stt=engines.stt,
            turns=settings.turns,
            agent=self._agent,
            report=self._report,
            on_partial=self._offer_partial,
            on_turn_decided=self._note_turn,
            on_words_at_pause=self._answer_ahead,
            on_hold=self._note_hold,
            words=settings.asking.enabled,
            turn=engines.turn,
            cleaning=engines.cleaning,
        )

    # -- life ---------------------------------------------------------------------------------

    async def open(self, now_s: float) -> None:
        self._tasks.spawn(self._outbound.run(), name=WRITER)
        self._tasks.spawn(self._listener.run(), name=LISTENER)
        self._carry_out(self._core.open(now_s))

    async def receive(self, message: str | bytes) -> None:
        """Take one client message, when what came before is heard, and what it was told is sent.
        Never raises for its content."""
        await self._listener.room(wholly="input_audio_buffer.commit" in str(message[:512]))
        await self._outbound.room()
        if self._penny_events and (event := read_event(message)) is not None:
            if self._engines.llm.info.reads or self._engines.llm.info.acts:
                self._house.take(event)
                self._head.offer(self._session, self._language)
            return
        self._carry_out(self._core.receive(message))

    def tick(self, now_s: float) -> None:
        if not self._pacer.is_line_open:
            self._listener.give_up()
        self._carry_out(self._core.tick(now_s))

    async def aclose(self) -> None:
        """Stop hearing and speaking; every task of this connection ends here."""
        self._listener.close()
        self._head.close()
        self._llm.drop()
        self._outbound.close()
        await self._tasks.aclose()

    def _end_without(self, task: str, _error: BaseException) -> None:
        """A connection without its writer or pacer is mute, one without its ears deaf: it ends.

        Every other task has told the client of its failure itself.
        """
        if task in (WRITER, LISTENER, PACER):
            self._outbound.break_off(Hangup(1011, "internal error"))

    # -- core -> engines ----------------------------------------------------------------------

    def _report(self, report: EngineReport) -> None:
        # What is said outside the conversation is not this caller's to hear or interrupt.
        if getattr(report, "response_id", "") == self._core.active_response_id:
            self._agent.note(report, self._listener.position_ms)
            self._pacer.put(report)
        else:
            self._pass_on(report)

    def _pass_on(self, report: EngineReport) -> None:
        self._idle_timed_out = isinstance(report, IdleTimeout)
        try:
            self._carry_out(self._core.report(report))
        finally:
            self._idle_timed_out = False

    def _report_answer(self, report: EngineReport) -> None:
        if isinstance(report, PhraseDelta):
            self._thinking.stop(report.response_id)
        self._report(report)

    def _carry_out(self, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case Send(event=event):
                    self._send(event)
                case BufferAudio(pcm=pcm):
                    self._pacer.heard()
                    self._listener.feed(pcm)
                case CommitBuffer(item_id=item_id):
                    self._transcribe(item_id)
                case ItemAudio(item_id=item_id, pcm=pcm):
                    self._transcribe_item(item_id, pcm)
                case Generate():
                    self._answer(output)
                case CancelGeneration(response_id=response_id):
                    self._cancel(response_id)
                case ClearBuffer():
                    self._listener.clear()
                case Configure(session=session):
                    self._configure(session)
                case Hangup():
                    self._outbound.put(output)

    def _send(self, event: Json) -> None:
        kind = event["type"]
        if kind == "input_audio_buffer.speech_started":
            self._speech_item_id = event["item_id"]
            self._pacer.is_held = False  # it is a turn
            if self._session.get("type") != TRANSCRIPTION:
                # While the caller speaks the voice has nothing else to do.
                self._tasks.spawn(self._prepare(self._voice()), name="filler made")
        elif kind == "conversation.item.truncated":
            self._agent.stop(self._listener.position_ms)
        self._outbound.put(event)
        if kind == "input_audio_buffer.committed" and self._turn is not None:
            speech_end_ms, decided_ms = self._turn
            self._turn = None
            self._send_penny(
                "penny.turn.decided",
                item_id=event["item_id"],
                speech_end_ms=speech_end_ms,
                decided_ms=decided_ms,
            )

    def _send_penny(self, kind: str, **fields: Any) -> None:
        if self._penny_events:
            self._send({"type": kind, "event_id": new_id("event"), **fields})

    def _configure(self, session: Json) -> None:
        self._session = session
        transcription = ((session.get("audio") or {}).get("input") or {}).get("transcription") or {}
        self._language = transcription.get("language") or session.get(
            "penny_language", self._settings.language
        )
        self._listener.configure(session)
        self._pacer.configure(session)
        self._excuses.speech_ms = MIN_SPEECH_MS
        self._head.offer(session, self._language)

    # -- transcripts --------------------------------------------------------------------------

    def _transcribe(self, item_id: str) -> None:
        if self._idle_timed_out:
            # The ears would find no words in it and have the caller repeat what was never said.
            self._transcripts.note_silence(item_id)
            return
        self._transcripts.expect(item_id)
        self._listener.commit(partial(self._transcripts.finish, item_id))

    def _transcribe_item(self, item_id: str, pcm: bytes) -> None:
        """Audio that came inside an item, whole: heard at once, past the turn decisions."""
        self._excuses.speech_ms = MIN_SPEECH_MS
        self._transcripts.expect(item_id)
        utterance = self._listener.begin_apart(pcm)
        self._transcripts.finish(item_id, utterance, len(pcm) // BYTES_PER_MS)

    def _announce_transcript(self, item_id: str, transcript: Transcript) -> None:
        self._send_penny("penny.transcript", item_id=item_id, **transcript.told())

    # -- answers ------------------------------------------------------------------------------

    def _answer(self, command: Generate) -> None:
        response_id = command.response_id
        task = self._tasks.spawn(self._respond(command), name=f"response {response_id}")
        self._responses[response_id] = task
        task.add_done_callback(lambda _: self._responses.pop(response_id, None))

    def _cancel(self, response_id: str) -> None:
        task = self._responses.get(response_id)
        if task is not None:
            task.cancel()
        self._pacer.drop(response_id)
        self._agent.stop(self._listener.position_ms)

    async def _respond(self, command: Generate) -> None:
        filler: asyncio.Task[None] | None = None
        # A caller spoke, and hears nothing yet; what is generated beside the call is not heard.
        if command.needs and command.response_id == self._core.active_response_id:
            thinking = self._thinking.run(command.response_id, self._voice, self._silent_ms)
            filler = self._tasks.spawn(thinking, name="filler")
        try:
            await self._transcripts.wait(command.needs)
            request = self._core.request(command.response_id)
            if request is not None:
                await self._generate(request)
        except Exception:
            # The fault is the owner's to log; a response ends all the same, once.
            self._report(
                GenerationFailed(command.response_id, "engine_failed", "the answer had a fault")
            )
            raise
        finally:
            if filler is not None:
                filler.cancel()

    async def _prepare(self, voice: Voice) -> None:
        await self._thinking.prepare(voice)
        await self._apologies.prepare(voice)

    def _voice(self) -> Voice:
        """What a sentence of the worker's own is said in now."""
        output = (self._session.get("audio") or {}).get("output") or {}
        return Voice(
            language=self._heard_language or self._language,
            name=output.get("voice") or "",
            speed=output.get("speed") or 1.0,
        )

    async def _generate(self, request: GenerationRequest) -> None:
        last = request.items[-1] if request.items else {}
        heard = self._transcripts.find(last.get("id", "")) if last.get("role") == "user" else None
        failure = self._transcripts.find_failure(last.get("id", "")) if heard else None
        self._heard_language = heard.language if heard else ""
        language = self._heard_language or request.language or self._language
        instead = ""
        if failure is not None:
            language = self._language
        elif self._excuses.allows(heard):
            # Ears that do not trust the words cannot be trusted with their language either.
            language = self._language
            spoken = self._settings.spoken
            instead = spoken.in_language(spoken.not_understood, language)
        elif heard is not None and not heard.understood:
            self._report(GenerationDone(request.response_id))  # nobody said anything to Penny
            return
        asked = next((i.get("id") for i in request.items[::-1] if i.get("role") == "user"), None)
        # What is generated beside the conversation is the client's own affair.
        is_beside = request.response_id != self._core.active_response_id
        if not (instead or is_beside or failure):
            instead, request = self._asking.turn(request, self._transcripts.find, language)
        responder = Responder(
            llm=self._llm,
            tts=self._engines.tts,
            deadlines=self._settings.deadlines,
            report=self._report_answer,
            on_first_token=lambda of: self._send_penny(
                "penny.response.first_token", response_id=of
            ),
            apology=self._find_apology(request, language, asked),
            house=None if is_beside else self._house,
            fillers=self._settings.spoken.fillers.get(language[:2], ()),
        )
        try:
            await responder.run(request, language=language, instead=instead, failure=failure)
        finally:
            self._house.forget()
        if responder.has_apologised:
            self._apologised_to = asked

    def _find_apology(
        self, request: GenerationRequest, language: str, asked: str | None
    ) -> tuple[str, bytes]:
        if asked and asked == self._apologised_to:
            return "", b""
        text, pcm = self._apologies.take(Voice(language, request.voice, request.speed))
        spoken = self._settings.spoken
        return text or spoken.in_language(spoken.apology, language), pcm

    def _answer_ahead(self, words: str) -> None:
        """The caller paused and may have finished with these words, or ('') went on."""
        if self._beginning is not None:
            self._beginning.cancel()
        request = self._core.preview(words) if words else None
        if request is None:
            self._llm.drop()
            return
        # A guess: an answer in another language is not taken, and made anew.
        language = self._heard_language or request.language or self._language
        wanted = write_llm_request(request, language)
        self._beginning = self._tasks.spawn(self._begin_ahead(wanted), name="answer ahead")

    async def _begin_ahead(self, wanted: LlmRequest) -> None:
        self._llm.begin(await self._house.prepare(wanted))

    # -- small talk with the gateway ----------------------------------------------------------

    def _offer_partial(self, words: str) -> None:
        self._send_penny("penny.transcript.partial", item_id=self._speech_item_id, text=words)

    def _note_turn(self, speech_end_ms: int, decided_ms: int, speech_ms: int) -> None:
        self._excuses.speech_ms = speech_ms
        self._turn = (speech_end_ms, decided_ms)
        self._silent_ms = decided_ms - speech_end_ms

    def _note_hold(self, is_held: bool) -> None:
        """Playback waits while it is not decided what speech over Penny is, or goes on."""
        self._pacer.is_held = is_held
        self._send_penny("penny.playback.held" if is_held else "penny.playback.resumed")
