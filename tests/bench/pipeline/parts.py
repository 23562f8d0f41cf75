"""The engines of fixed latency, as both systems get them. Nothing of either system is imported."""

from __future__ import annotations

import array
import json
import math


STT_S = 0.300
"""A streaming recogniser has its final text this long after the last sound."""
LLM_FIRST_S = 0.200
LLM_GAP_S = 0.020
TTS_FIRST_S = 0.150

ANSWER = (
    "Claro, ahora mismo se lo miro. Su factura de enero vence el día quince y suma ochenta y "
    "cuatro euros con cincuenta céntimos. Puede pagarla con tarjeta o por transferencia, y si lo "
    "prefiere la dividimos en tres plazos sin ningún coste para usted."
)
QUESTION = "¿Cuánto debo de la factura de enero?"
"""What the recogniser answers, whatever was said."""
FIRST_SENTENCE_TOKENS = 6
SUM_S = STT_S + LLM_FIRST_S + (FIRST_SENTENCE_TOKENS - 1) * LLM_GAP_S + TTS_FIRST_S
"""Answer time of a pipeline that adds nothing: text, first sentence, its first audio."""
LOUD = 0.01
"""-40 dBFS: sound, in the recordings and for the recogniser."""
AUDIO_MS_PER_CHARACTER = 60


def tokens(answer: str = ANSWER) -> list[str]:
    words = answer.split(" ")
    return [words[0], *(f" {word}" for word in words[1:])]


def is_loud(pcm16: bytes) -> bool:
    samples = array.array("h", pcm16)
    if not samples:
        return False
    return math.sqrt(sum(s * s for s in samples) / len(samples)) / 32768 >= LOUD


def tone(ms: int, rate_hz: int) -> bytes:
    step = 2 * math.pi * 220 / rate_hz
    count = ms * rate_hz // 1000
    return array.array("h", (int(6000 * math.sin(step * i)) for i in range(count))).tobytes()


class Recogniser:
    """When the text of what was heard is there; ``now_s`` is any steady clock."""

    def __init__(self) -> None:
        self._loud_s: float | None = None

    def feed(self, pcm16: bytes, now_s: float) -> None:
        if is_loud(pcm16):
            self._loud_s = now_s

    def due_s(self) -> float | None:
        """When the final text comes, None while there was no sound."""
        return None if self._loud_s is None else self._loud_s + STT_S

    def take(self) -> None:
        """The text was delivered: what follows is another utterance."""
        self._loud_s = None


class Told:
    """What a peer's engines say in one call: the question and answer above, unless a caller's
    script told the words and when each ends, in seconds of its audio."""

    def __init__(self) -> None:
        self.answer = ANSWER
        self._words: list[tuple[float, str]] | None = None
        self._fed_s = 0.0

    def take(self, script: str) -> None:
        told = json.loads(script)
        self.answer, self._words = told["answer"], [(end, text) for end, text in told["words"]]

    def feed(self, pcm16: bytes, rate_hz: int) -> None:
        self._fed_s += len(pcm16) / 2 / rate_hz

    def text(self) -> str:
        """What the recogniser writes of what was fed since it wrote last; "" where no word was."""
        if self._words is None:
            return QUESTION
        said = [text for end_s, text in self._words if end_s - 0.1 <= self._fed_s]
        self._words = self._words[len(said) :]
        return " ".join(said)
