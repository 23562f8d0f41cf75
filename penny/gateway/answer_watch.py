"""Who answered a placed call, and what is said to them: a person, a machine, a machine's person.

Until that is known nothing is said and nothing is answered. What follows is decided by
``penny.telephony.answerer``: to a person the call's opening, to an unknown one who calls and that
it is a machine, after a voicemail's greeting the message, to a screener company and reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import structlog
from pybase64 import b64decode

from penny.edges.telephone.edge import PhoneEdge
from penny.gateway.opening import say_exactly
from penny.session.observers import Json, Observer
from penny.telephony.answerer import Answerer, Kind
from penny.telephony.beep import Beeps
from penny.telephony.opening import Opening


log = structlog.get_logger()

LOOK_EVERY_S = 0.05
VAD_S = 0.5
"""Silence after which an end of speech is told (``silence_duration_ms``)."""
GREETED_S = 2.0
"""A voicemail that does not beep: its greeting is over after so much silence."""
MESSAGE_WITHIN_S = 25.0
SCREENED_S = 30.0
"""A person behind a screener is waited for."""
RATE_HZ = 24_000


def listening(*, answers: bool) -> Json:
    """The event that has a speaker answer the caller's turns, or only hear them."""
    detection = {"type": "server_vad", "create_response": answers}
    session = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
    return {"type": "session.update", "session": session}


@dataclass(frozen=True, slots=True)
class AnswerPlan:
    """What is said to whom: the whole opening, who calls alone, to a screener, after a beep.

    ``message`` is None where nothing is left on a voicemail.
    """

    opening: Opening
    identity: Opening
    screened: Opening
    message: Opening | None


class AnswerWatch(Observer):
    """Observer of one placed call until it is known who answered.

    Args:
        end: ends the session, with this reason.
        found: is told who answered.
        clock: the loop's, seconds.
    """

    listens_to = (
        "input_audio_buffer.append",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "conversation.item.input_audio_transcription.completed",
        "penny.transcript",
    )

    def __init__(
        self,
        edge: PhoneEdge,
        plan: AnswerPlan,
        end: Callable[[str], object],
        found: Callable[[Kind], object],
        clock: Callable[[], float],
    ) -> None:
        self._edge, self._plan = edge, plan
        self._end, self._found, self._clock = end, found, clock
        self._stage: Literal["first", "message", "screening", "screened", "done"] = "first"
        self._answerer = Answerer(clock())
        self._beeps = Beeps(RATE_HZ)
        self._until_s = 0.0
        self._quiet_s: float | None = None
        self._has_beeped = False
        self._heard = ""
        edge.only_listens = True
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._look_later()

    def carrier_told(self, answered_by: str) -> None:
        """The carrier's own verdict; one that tells of a beep tells when to speak, too."""
        self._answerer.carrier_told(answered_by)
        self._has_beeped |= answered_by.startswith("machine_end")

    # -- what is heard ------------------------------------------------------------------------

    def caller_event(self, event: Json, at_s: float) -> None:
        if self._stage in ("first", "message") and self._beeps.take(b64decode(event["audio"])):
            self._answerer.tone()
            self._has_beeped = True

    def speaker_event(self, event: Json, at_s: float) -> None:
        match event["type"]:
            case "input_audio_buffer.speech_started":
                self._quiet_s = None
                self._answerer.speech(at_s, is_on=True)
            case "input_audio_buffer.speech_stopped":
                self._quiet_s = at_s - VAD_S
                self._answerer.speech(at_s - VAD_S, is_on=False)
            case _:
                words = event.get("transcript") or event.get("text") or ""
                if words and event["item_id"] != self._heard:
                    self._heard = event["item_id"]
                    self._answerer.words(words)

    def ended(self, reason: str, at_s: float) -> None:
        self._stage = "done"
        if self._timer is not None:
            self._timer.cancel()

    # -- what is done -------------------------------------------------------------------------

    def _look_later(self) -> None:
        self._timer = self._loop.call_later(LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        now_s = self._clock()
        if self._stage == "first" and (kind := self._answerer.look(now_s)) is not None:
            log.info("answered_by", kind=kind)
            self._found(kind)
            self._decide(kind, now_s)
        elif self._stage == "message":
            self._look_for_the_beep(now_s)
        elif self._stage == "screened":
            self._look_for_a_person(now_s)
        if self._stage != "done":
            self._look_later()

    def _decide(self, kind: Kind, now_s: float) -> None:
        match kind:
            case "human" | "unknown":
                self._talk(self._plan.opening if kind == "human" else self._plan.identity)
            case "screener":
                self._stage = "screening"
                self._say(self._plan.screened, self._listen_again)
            case "voicemail" if self._plan.message is not None:
                self._stage, self._until_s = "message", now_s + MESSAGE_WITHIN_S
            case _:
                self._stop(kind)

    def _look_for_the_beep(self, now_s: float) -> None:
        is_quiet = self._quiet_s is not None and now_s - self._quiet_s >= GREETED_S
        if self._has_beeped or is_quiet:
            self._stage = "done"
            assert self._plan.message is not None
            self._say(self._plan.message, lambda: self._end("voicemail"))
        elif now_s >= self._until_s:
            self._stop("voicemail")

    def _listen_again(self) -> None:
        now_s = self._clock()
        self._stage, self._until_s = "screened", now_s + SCREENED_S
        self._answerer = Answerer(now_s)

    def _look_for_a_person(self, now_s: float) -> None:
        """What a screener still says is passed over; silence, too, while there is time."""
        match self._answerer.look(now_s):
            case "human":
                self._found("human")
                self._talk(self._plan.opening)
            case "voicemail" | "menu" | "network" as kind:
                self._stop(kind)
            case "screener" | "unknown" if now_s < self._until_s:
                self._answerer = Answerer(now_s)
            case _ if now_s >= self._until_s:
                self._stop("screener")

    def _talk(self, opening: Opening) -> None:
        """A person is there: the opening is said, and their turns are answered from now on."""
        self._stage = "done"
        self._edge.only_listens = False
        self._edge.ask(listening(answers=True))
        self._edge.open_with(opening.is_in, opening.line, say_exactly(opening.identity)["response"])
        self._edge.ask_for(say_exactly(opening.line)["response"])

    def _say(self, opening: Opening, then: Callable[[], object]) -> None:
        """Say it whole, hearing nothing meanwhile."""
        again = say_exactly(opening.line)["response"]
        self._edge.open_with(opening.is_in, opening.line, again, then)
        self._edge.ask_for(again)

    def _stop(self, kind: Kind) -> None:
        self._stage = "done"
        self._end(kind)
