"""Whether pocketsphinx heard what it says it heard. Pure; every number here was measured.

The decoders always find *something*. What they found is held against a loop of phones that may
say anything: the more the loop explains better, per second, the less the words are worth.

Measured on 600 clips of phrases in held-out synthetic voices (200 of them through a telephone
band), 226 of other Spanish sentences, 150 human Spanish and 150 human English prompts (8 kHz), and
the recordings of issue 2; the figures stand in ``runpod_worker/README.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runpod_worker.engines.spanish_phones import split_words
from runpod_worker.stages import TimedWord


# A phrase alone. With the second ear beside: in-set 0.885 right and none wrong, other synthetic
# Spanish taken for a phrase 0.027, human Spanish 0.027.
SURE_GAP = 0.2
# The same when a second recogniser was asked and did not agree: it agrees with 94 % of the phrases
# in held-out voices, so its silence speaks. Costs 5 of 147 right phrases of 176; by their gaps it
# turns away the 3 of 68 human Spanish prompts that passed SURE_GAP alone.
SURE_UNSUPPORTED_GAP = 0.12
SURE_COVER = 0.92
# A phrase that a second recogniser heard too.
AGREED_GAP = 0.5
AGREED_SHARE = 0.4
# The beam may lose the last words of a long phrase; its beginning, well heard, names it.
BEGINNING_GAP = 0.15
BEGINNING_SHARE = 0.5
BEGINNING_COVER = 0.5
# Connected Spanish speech, letters per second: 5.1 to 17.4 covers 98 % of the in-set clips.
LETTERS_PER_S = (4.0, 20.0)

# Logistic regression of English against Spanish speech: gap per second, mean letters of a word,
# words per second. Above ENGLISH_SURE: 4 % of human Spanish, none of the in-set phrases.
_ENGLISH_WEIGHTS = (3.91, -14.6, 0.64, -0.35)
ENGLISH_SURE = 1.5
# The session says that it is English: only noise and mumbling are turned away.
ENGLISH_GIVEN = -1.0
_SHORTEST_S = 0.3


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A decoded word and where it was spoken, in ms of the utterance."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one decoder made of an utterance.

    ``score`` is the log of the path's probability, comparable between decoders for the same
    audio; ``words`` are without silences."""

    text: str
    score: float
    words: tuple[SpokenWord, ...]

    @property
    def spoken_s(self) -> float:
        """From the start of the first word to the end of the last."""
        return self.words[-1].end_s - self.words[0].start_s if self.words else 0.0


@dataclass(frozen=True, slots=True)
class Heard:
    """One utterance by three decoders; what was not decoded is empty."""

    spanish: Decoded
    english: Decoded
    loop: Decoded


@dataclass(frozen=True, slots=True)
class PhraseEvidence:
    """What speaks for and against one phrase.

    ``gap``: what the phone loop explains better, per second (less is surer).
    ``cover``: the share of the speech that the words span."""

    gap: float
    cover: float
    letters_per_s: float


def weigh(words: Decoded, loop: Decoded) -> PhraseEvidence:
    spoken_s = max(_SHORTEST_S, words.spoken_s)
    speech_s = max(_SHORTEST_S, loop.spoken_s)
    letters = len(words.text.replace(" ", ""))
    return PhraseEvidence(
        gap=(loop.score - words.score) / spoken_s,
        cover=words.spoken_s / speech_s,
        letters_per_s=letters / spoken_s,
    )


def is_spanish_sure(spanish: Decoded, loop: Decoded, most_gap: float = SURE_GAP) -> bool:
    """Whether the grammar's answer stands without a second opinion."""
    if not spanish.text:
        return False
    evidence = weigh(spanish, loop)
    return (
        evidence.gap < most_gap
        and evidence.cover >= SURE_COVER
        and LETTERS_PER_S[0] <= evidence.letters_per_s <= LETTERS_PER_S[1]
    )


def rate_english(english: Decoded, loop: Decoded) -> float:
    """How English the speech is, in logits; very low when no word was heard."""
    if not english.words:
        return -100.0
    spoken_s = max(_SHORTEST_S, english.spoken_s)
    letters = sum(len(word.text) for word in english.words) / len(english.words)
    bias, by_gap, by_letters, by_pace = _ENGLISH_WEIGHTS
    gap = (loop.score - english.score) / spoken_s
    return bias + by_gap * gap + by_letters * letters + by_pace * len(english.words) / spoken_s


def time_words(decoded: Decoded) -> tuple[TimedWord, ...]:
    """The words as decoded, which a phrase of the closed set is written otherwise than."""
    return tuple(
        TimedWord(word.text, round(word.start_s * 1000), round(word.end_s * 1000))
        for word in decoded.words
    )


class PhraseBook:
    """The closed set: from words as decoded to the phrase as the kb writes it."""

    def __init__(self, phrases: Sequence[str]) -> None:
        self._by_words = {" ".join(split_words(phrase)): phrase for phrase in phrases}

    def find(self, words: str) -> str | None:
        """The phrase of exactly these words, however they are written."""
        return self._by_words.get(" ".join(split_words(words)))

    def complete(self, beginning: str) -> str | None:
        """The one phrase that begins so, if these words are at least half of it."""
        found = [words for words in self._by_words if words.startswith(f"{beginning} ")]
        if len(found) != 1 or len(beginning) < BEGINNING_SHARE * len(found[0]):
            return None
        return self._by_words[found[0]]

    def accept(self, heard: Heard, second_opinion: str | None = None) -> str | None:
        """The phrase that was said, or None when that is not sure enough.

        ``second_opinion``: what a second recogniser heard ("" is nothing it knows); None when
        there is none to ask.
        """
        spanish, loop = heard.spanish, heard.loop
        if not spanish.text:
            return None
        phrase, evidence = self.find(spanish.text), weigh(spanish, loop)
        second = self.find(second_opinion) if second_opinion else None
        if second is not None and evidence.gap < AGREED_GAP:
            same = second == phrase
            if same or (phrase is None and _is_beginning(spanish.text, second)):
                return second
        if phrase is not None:
            most_gap = SURE_GAP if second_opinion is None else SURE_UNSUPPORTED_GAP
            return phrase if is_spanish_sure(spanish, loop, most_gap) else None
        good = evidence.gap < BEGINNING_GAP and evidence.cover >= BEGINNING_COVER
        return self.complete(spanish.text) if good else None


def _is_beginning(words: str, phrase: str) -> bool:
    whole = " ".join(split_words(phrase))
    return whole.startswith(f"{words} ") and len(words) >= AGREED_SHARE * len(whole)
