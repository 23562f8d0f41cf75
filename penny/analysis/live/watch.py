"""The observer of a live call: what its caller feels and wants, as soon as words are known.

Nothing of the audio waits for it: sentences are judged in a thread of their own, one at a time. It
tells the speaker by a hint, a person by an alert, and the record by a trend; each once, until
things change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from penny.aio.tasks import TaskOwner
from penny.analysis.classifier import Array
from penny.analysis.heads import read_heads
from penny.analysis.intent import Intent, classify
from penny.analysis.sentiment import Mood, judge
from penny.analysis.signs import HINT, State, answer, hear
from penny.calls.record import Alert
from penny.localized import language_of
from penny.session.observers import Observer
from penny.session.turn_record import TurnReader, TurnRecord


log = structlog.get_logger()

Json = dict[str, Any]

SURE = 0.6
"""Of an intent that raises an alert: it stands alone, so it must say so outright."""
MOST_WAITING = 32
"""Sentences of all calls that wait to be judged; what comes beyond is left to the batch."""
MOST_TREND = 200
HINTS = {
    "frustrated": {
        "es": "[ÁNIMO] La persona está molesta y va a más. Reconócelo en media frase, no repitas "
        "lo que ya has dicho, y si no puedes resolverlo ofrece pasar con una persona.",
        "en": "[MOOD] The caller is upset, and more and more so. Acknowledge it in half a "
        "sentence, do not repeat what you said, and offer a person if you cannot solve it.",
    },
    "stuck": {
        "es": "[SIN AVANCE] Van tres respuestas sin avanzar. Ofrece ahora pasar con una persona.",
        "en": "[NO PROGRESS] Three answers brought nothing. Offer to put through to a person now.",
    },
}


class Embeds(Protocol):
    """What makes vectors: the knowledge base's embedder."""

    name: str

    def embed_query(self, text: str) -> Array: ...


@dataclass(frozen=True, slots=True)
class Ways:
    """How an observer of one call reaches the others.

    Args:
        hint: tells the speaker.
        alert: tells a person; with the loop's clock.
        keep: writes the trend into the record; with the loop's clock.
    """

    hint: Callable[[str], None]
    alert: Callable[[Alert, float], None]
    keep: Callable[[Json, float], None]


class LiveAnalysis:
    """Judges what callers say while they speak on, for all calls of a gateway.

    Args:
        embedder: of the knowledge base; None while it has none.
    """

    def __init__(self, embedder: Callable[[], Embeds | None]) -> None:
        self._embedder = embedder
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="live analysis")
        self._tasks = TaskOwner("live analysis")
        self._waiting = 0
        self.left_out = 0
        """Sentences that came while too many waited."""

    def watch(self, ways: Ways, language: str, alert_intents: Collection[str]) -> LiveCall:
        """The observer of a call that begins; add it to the session and to its turns' readers."""
        return LiveCall(self, ways, language_of(language), alert_intents)

    async def aclose(self) -> None:
        await self._tasks.aclose()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def decide(self, words: str, then: Callable[[Mood, Intent], None]) -> None:
        """Judge a sentence in the thread, and go on with what came of it in the loop."""
        if self._waiting >= MOST_WAITING:
            self.left_out += 1
            return
        self._waiting += 1
        self._tasks.spawn(self._decide(words, then), name="judge")

    async def _decide(self, words: str, then: Callable[[Mood, Intent], None]) -> None:
        loop = asyncio.get_running_loop()
        try:
            mood, intent = await loop.run_in_executor(self._threads, self._judge, words)
        finally:
            self._waiting -= 1
        then(mood, intent)

    def _judge(self, words: str) -> tuple[Mood, Intent]:
        vectors, heads = None, {}
        embedder = self._embedder()
        if embedder is not None and (heads := read_heads(embedder.name)):
            try:
                vectors = embedder.embed_query(words)[None, :]
            except Exception as error:
                # Whatever its engine raises, words alone are judged.
                log.warning("live_vectors_failed", error=type(error).__name__)
        mood = judge([words], vectors, heads.get("sentiment"))[0]
        return mood, classify([words], vectors, heads.get("intent"))[0]


class LiveCall(TurnReader, Observer):
    """One of these is both an observer of a live call and a reader of its turns."""

    listens_to = (
        "conversation.item.input_audio_transcription.completed",
        "penny.transcript",
    )

    def __init__(
        self, analysis: LiveAnalysis, ways: Ways, language: str, alert_intents: Collection[str]
    ) -> None:
        self.state = State()
        self.trend: list[float] = []
        self._analysis = analysis
        self._ways = ways
        self._language = language
        self._alert_intents = frozenset(alert_intents)
        self._open: dict[str, TurnRecord] = {}
        self._judged: set[int] = set()
        self._alerted: set[str] = set()
        self._hinted: set[str] = set()

    # -- what is said -------------------------------------------------------------------------

    def turn_began(self, turn: TurnRecord) -> None:
        if turn.item_id:
            self._open[turn.item_id] = turn

    def speaker_event(self, event: Json, at_s: float) -> None:
        turn = self._open.get(event.get("item_id", ""))
        words = event.get("transcript") or event.get("text") or ""
        if turn is not None and words:
            self._hear(turn.number, words)

    def turn_answered(self, turn: TurnRecord) -> None:
        self._hear(turn.number, turn.words or "")

    def turn_finished(self, turn: TurnRecord) -> None:
        self._open.pop(turn.item_id, None)
        self._hear(turn.number, turn.words or "")
        if turn.heard_text.strip():
            self.state = answer(self.state, turn.number, turn.heard_text)
            if self.state.is_stuck:
                self._hint("stuck")
            else:
                self._hinted.discard("stuck")

    def _hear(self, number: int, words: str) -> None:
        if words.strip() and number not in self._judged:
            self._judged.add(number)
            self._analysis.decide(words, lambda m, i: self._decided(number, words, m, i))

    # -- what comes of it ---------------------------------------------------------------------

    def _decided(self, number: int, words: str, mood: Mood, intent: Intent) -> None:
        self.state = hear(self.state, number, words, mood)
        self.trend = [*self.trend, round(mood.score, 2)][-MOST_TREND:]
        mood_so_far = {"trend": self.trend, "frustration": self.state.frustration}
        self._ways.keep(mood_so_far, asyncio.get_running_loop().time())
        if self.state.frustration >= HINT:
            self._hint("frustrated")
        else:
            self._hinted.discard("frustrated")
        if self.state.is_alarming:
            kinds = sorted({sign.kind for sign in self.state.recent})
            self._alert("sentiment", self.state.turns, -self.state.frustration, ", ".join(kinds))
        if intent.name in self._alert_intents and intent.confidence >= SURE:
            self._alert("intent", (number,), intent.confidence, intent.name)

    def _hint(self, name: str) -> None:
        if name not in self._hinted:
            self._hinted.add(name)
            self._ways.hint(HINTS[name][self._language])

    def _alert(self, kind: Any, turns: tuple[int, ...], score: float, reason: str) -> None:
        if kind not in self._alerted:
            self._alerted.add(kind)
            alert = Alert(kind=kind, turns=list(turns), score=round(score, 3), reason=reason)
            self._ways.alert(alert, asyncio.get_running_loop().time())
