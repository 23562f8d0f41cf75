"""What one turn of a conversation was: who said, heard and waited for what, and when. Pure data.

All moments are ms since the session began, on the event loop's clock: audio of both sides, stages
and marks lie on one line. Durations and positions inside an item are ms of audio.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from penny.turns.heard import HeardText


Json = dict[str, Any]
Input = Literal["speech", "text"]

STAGES = ("turn_decided", "transcript", "first_token", "first_audio", "done")


@dataclass(slots=True)
class Mark:
    """Something that happened beside the words: a tool call, a folio, a correction, a hand-off.

    ``kind`` is the event's type without ``penny.`` (``function_call`` for the model's own);
    ``fields`` are the event's.
    """

    kind: str
    at_ms: float
    fields: Json


@dataclass(slots=True)
class SpokenItem:
    """One item of a response, as sent to the caller and as heard.

    ``heard_ms`` is None until that is known: told by the caller's side when it cut the item, else
    taken from the clock once the turn is over.
    """

    item_id: str
    starts_ms: float | None = None
    audio_ms: float = 0.0
    heard_ms: float | None = None
    _words: HeardText = field(default_factory=HeardText)
    _placed_ms: float = 0.0

    def say(self, delta: str) -> None:
        """More of its text arrived."""
        self._place_audio()
        self._words.text(delta)

    @property
    def text(self) -> str:
        """All that was generated."""
        return self._words.spoken

    @property
    def heard_text(self) -> str:
        """The words that were heard; all of them where there is no audio: they were read."""
        if not self.audio_ms or self.heard_ms is None:
            return self.text
        self._place_audio()
        return self._words.heard(self.heard_ms)

    def _place_audio(self) -> None:
        """Let the text know of its audio: now and then, not for each of fifty pieces a second."""
        self._words.audio(self.audio_ms - self._placed_ms)
        self._placed_ms = self.audio_ms


@dataclass(slots=True)
class Response:
    """One response of the speaker. A turn has several when tools are called in between.

    ``status`` is the Realtime one, ``lost`` where its end never came; ``is_aside``: out of band,
    not part of the conversation (``conversation: "none"``).
    """

    response_id: str
    created_ms: float
    model: str = ""
    is_aside: bool = False
    status: str = "in_progress"
    first_token_ms: float | None = None
    first_audio_ms: float | None = None
    done_ms: float | None = None
    usage: Json = field(default_factory=dict)
    items: dict[str, SpokenItem] = field(default_factory=dict)

    @property
    def audio_ms(self) -> float:
        """Audio sent of it."""
        return sum(item.audio_ms for item in self.items.values())

    def item(self, item_id: str) -> SpokenItem:
        """Its item of this id, begun where it is new."""
        item = self.items.get(item_id)
        if item is None:
            item = self.items[item_id] = SpokenItem(item_id)
        return item

    @property
    def is_silent(self) -> bool:
        """Whether it came to its end without a word: it called a tool, and another follows."""
        return self.status == "completed" and not self.items


@dataclass(slots=True)
class TurnRecord:
    """One turn: the caller's item and every response to it.

    ``number`` counts the caller's turns from 1. A record without ``item_id`` is what was said
    unasked (a greeting, a question after silence) and bears the number of the turn before.
    ``words`` are as recognised, or as typed; None while no transcript came: a client may have asked
    for none.
    """

    number: int
    from_ms: float
    item_id: str = ""
    input: Input = "speech"
    until_ms: float = 0.0
    """When the end of the speech, or the typed text, had arrived: latencies count from here."""
    stream_ms: tuple[float, float] | None = None
    """Where it lies in the caller's audio (``audio_start_ms`` to its end), whenever that came."""
    speech_ms: int | None = None
    decided_ms: float | None = None
    transcript_ms: float | None = None
    is_transcript_failed: bool = False
    words: str | None = None
    confidence: float | None = None
    """Of the transcript as a whole, 0..1; None where the engine does not say."""
    timed_words: list[Json] = field(default_factory=list)
    """As recognised: ``text``, ``start_ms`` and ``end_ms`` (None where only the confidence is
    known) and ``confidence`` (None likewise); moments on the session's line."""
    is_understood: bool | None = None
    language: str = ""
    responses: list[Response] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    is_answered: bool = False
    is_interrupted: bool = False
    onset_ms: float | None = None
    """When the caller began to speak over the answer, interrupted or not."""
    cut_ms: float | None = None
    """When the interrupted answer fell silent."""
    sounds_until_ms: float = 0.0
    last_ms: float = 0.0
    """The last event of it."""
    finished_ms: float | None = None

    @property
    def answers(self) -> list[Response]:
        """The responses that are part of the conversation."""
        return [response for response in self.responses if not response.is_aside]

    @property
    def status(self) -> str:
        """That of the last response; '' where there is none."""
        answers = self.answers
        return answers[-1].status if answers else ""

    @property
    def items(self) -> list[SpokenItem]:
        """What was said in answer, in order."""
        return [item for response in self.answers for item in response.items.values()]

    @property
    def text(self) -> str:
        """The answer as generated."""
        return " ".join(item.text.strip() for item in self.items if item.text.strip())

    @property
    def heard_text(self) -> str:
        """The answer as heard."""
        return " ".join(text for item in self.items if (text := item.heard_text.strip()))

    @property
    def audio_ms(self) -> float:
        """Audio of the answer that was sent."""
        return sum(item.audio_ms for item in self.items)

    @property
    def heard_ms(self) -> float:
        """Audio of the answer that was heard; the whole of it while nothing else is known."""
        return sum(i.audio_ms if i.heard_ms is None else i.heard_ms for i in self.items)

    @property
    def first_audio_ms(self) -> float | None:
        """When the answer's first audio left the gateway."""
        return _first(response.first_audio_ms for response in self.answers)

    def latency_ms(self) -> dict[str, int | None]:
        """Each of ``STAGES`` in ms after the end of the caller's speech; None where unknown.

        Negative for what was reached early: a transcript made while the caller still spoke.
        """
        answers = self.answers
        reached = {
            "turn_decided": self.decided_ms,
            "transcript": self.transcript_ms,
            "first_token": _first(response.first_token_ms for response in answers),
            "first_audio": self.first_audio_ms,
            "done": answers[-1].done_ms if answers else None,
        }
        return {
            stage: None if at_ms is None else round(at_ms - self.until_ms)
            for stage, at_ms in reached.items()
        }

    def is_live(self, at_ms: float) -> bool:
        """Whether it is being answered, or its answer sounds."""
        return self.sounds_until_ms > at_ms or any(r.done_ms is None for r in self.answers)

    # -- what the recorder writes -------------------------------------------------------------

    def add_audio(self, response: Response, item_id: str, audio_ms: float, now_ms: float) -> None:
        """Audio of one of its responses was sent."""
        item = response.items.get(item_id) or response.item(item_id)
        if item.starts_ms is None:
            item.starts_ms = max(self.sounds_until_ms, now_ms)
        if response.first_audio_ms is None:
            response.first_audio_ms = now_ms
            response.first_token_ms = response.first_token_ms or now_ms
        item.audio_ms += audio_ms
        self.sounds_until_ms = max(self.sounds_until_ms, now_ms) + audio_ms

    def interrupt(self, now_ms: float) -> None:
        """What sounded of the answer has stopped."""
        self.is_interrupted = True
        self.cut_ms = self.cut_ms or now_ms
        self.last_ms = now_ms
        self.sounds_until_ms = min(self.sounds_until_ms, now_ms)

    def finish(self, now_ms: float) -> None:
        """Nothing more comes of it: what was not told of playback is taken from the clock."""
        self.finished_ms = now_ms
        until_ms = self.onset_ms if self.is_interrupted and self.onset_ms is not None else now_ms
        for item in self.items:
            if item.heard_ms is None and item.starts_ms is not None:
                item.heard_ms = min(item.audio_ms, max(0.0, until_ms - item.starts_ms))


class TurnReader:
    """What a reader of turns is told; override what you need.

    Called in line with the audio: do nothing slow. A raise is logged and ends nothing.
    """

    def turn_began(self, turn: TurnRecord) -> None:
        """``turn`` was given its number; most of it is still to come."""

    def turn_answered(self, turn: TurnRecord) -> None:
        """The first response to say something is done (or failed, or was cut); once a turn."""

    def turn_finished(self, turn: TurnRecord) -> None:
        """``turn`` changes no more and the recorder forgets it. In order of beginning."""

    def session_ended(self, reason: str, at_s: float) -> None:
        """After the last ``turn_finished``. ``at_s`` is the loop's clock."""


def _first(moments: Iterable[float | None]) -> float | None:
    return min((at_ms for at_ms in moments if at_ms is not None), default=None)
