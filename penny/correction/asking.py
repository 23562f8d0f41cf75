"""Asking back: a doubtful word in a slot that matters is confirmed before it is answered. Pure.

At most ``most`` questions in a call, and never the same slot twice in the same way: the value said
back ("setenta y cuatro euros, ¿verdad?"), two words to choose from ("¿ha dicho setenta o
sesenta?"), then letter by letter or number by number, which may come from the keys of a telephone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from rapidfuzz.distance import Levenshtein

from penny.correction.doubts import Doubt, HeardWord, find_doubt, plain, vocabulary


Way = Literal["implicit", "explicit", "spelled"]
Outcome = Literal["confirmed", "replaced", "refused", "unclear"]

WAYS: Final[tuple[Way, ...]] = ("implicit", "explicit", "spelled")
NEW_SENTENCE_WORDS: Final = 4
"""An answer with so many words that say nothing of the question is a sentence of its own."""
SAID_BACK_WORDS: Final = 10
"""A longer row of figures is not said back whole."""
STRAY_WORDS: Final = 2
NEAR_NAME: Final = 0.5
SPELLED_LETTERS: Final = 3
_SPLIT: Final = re.compile(r"[\s,.;:]+")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: ``words`` are the caller's, in which ``doubt`` stands."""

    text: str
    way: Way
    words: tuple[HeardWord, ...]
    doubt: Doubt
    language: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question; ``words`` is the sentence as it was meant."""

    outcome: Outcome
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """What a turn leads to: ``question`` is said in place of an answer; ``sentence`` ('' where
    there is none) is answered in place of what was heard; ``answered`` is what came of the
    question before."""

    question: Question | None = None
    sentence: str = ""
    answered: Answer | None = None
    before: Question | None = None


@dataclass(slots=True)
class Asking:
    """One call's questions. ``below``: confidence under which a word is doubtful."""

    below: float
    most: int
    asked: int = 0
    _used: set[tuple[str, Way]] = field(default_factory=set)
    _open: Question | None = None

    def hear(self, words: Sequence[HeardWord], language: str) -> Step:
        """Take a turn's words; to be called once for each turn that is to be answered."""
        before, self._open = self._open, None
        answered = None
        if before is not None:
            answered = read_answer(before, " ".join(word.text for word in words))
            if answered.outcome in ("confirmed", "replaced"):
                sentence = " ".join(answered.words)
                return Step(sentence=sentence, answered=answered, before=before)
            if answered.outcome == "refused" or len(words) < NEW_SENTENCE_WORDS:
                question = self._ask(before.words, before.doubt, before.language)
                if question is None:
                    sentence = " ".join(word.text for word in before.words)
                    return Step(sentence=sentence, answered=answered, before=before)
                return Step(question, answered=answered, before=before)
        doubt = find_doubt(words, self.below, language)
        question = self._ask(tuple(words), doubt, language) if doubt is not None else None
        return Step(question, answered=answered, before=before)

    def _ask(self, words: tuple[HeardWord, ...], doubt: Doubt, language: str) -> Question | None:
        ways = WAYS[:2] if doubt.slot == "cancellation" else WAYS
        if doubt.last - doubt.first >= SAID_BACK_WORDS:
            ways = WAYS[2:]
        way = next((each for each in ways if (doubt.slot, each) not in self._used), None)
        if way is None or self.asked >= self.most:
            return None
        self.asked += 1
        self._used.add((doubt.slot, way))
        text = _write(way, words, doubt, vocabulary(language))
        self._open = Question(text, way, words, doubt, language)
        return self._open


def _write(way: Way, words: Sequence[HeardWord], doubt: Doubt, known: dict[str, Any]) -> str:
    texts: dict[str, str] = known["asked"]
    heard = " ".join(word.text for word in words[doubt.first : _end(words, doubt, known)])
    heard = heard.strip(".,;:!?¡¿")
    if way == "spelled":
        return texts["spelled"]
    word = words[doubt.at].text.strip(".,;:!?¡¿")
    if way == "explicit":
        if doubt.other:
            return texts["explicit"].format(heard=word, other=doubt.other)
        return texts["say_again"].format(heard=heard)
    is_other = doubt.slot == "amount" and doubt.first == doubt.last and _is_noun(doubt)
    said = texts["implicit"].format(heard=doubt.other if is_other else heard)
    return said[:1].upper() + said[1:]


def _end(words: Sequence[HeardWord], doubt: Doubt, known: dict[str, Any]) -> int:
    """Where the value ends as it is said back: with its currency, or its month."""
    after = [plain(word.text) for word in words[doubt.last + 1 : doubt.last + 3]]
    if after and after[0] in known["money"]:
        return doubt.last + 2
    return doubt.last + 3 if len(after) == 2 and after[1] in known["months"] else doubt.last + 1


def _is_noun(doubt: Doubt) -> bool:
    """Whether the doubt is of a word that may have been a noun of the slot (salgo: saldo)."""
    return any(doubt.other in vocabulary(language)["nouns"] for language in ("es", "en"))


def read_answer(question: Question, reply: str) -> Answer:
    """What the caller made of a question. Only a yes, the value said again, or one that can stand
    in its place settle it."""
    known = vocabulary(question.language)
    words = [each for each in _SPLIT.split(reply) if plain(each)]
    said = [plain(each) for each in words]
    kept = tuple(word.text for word in question.words)
    if not said or said in (["#"], ["*"]):
        return Answer("unclear", kept)
    digits = "".join(each for each in said if each.isdigit())
    rest = [each for each in said if not each.isdigit() and each not in ("#", "*", *known["keys"])]
    if digits and not rest:
        return Answer("replaced", _put(question, [digits], whole=True))
    after = _after_no(words, known, question.doubt.slot)
    if spelled := _read_spelled([plain(each) for each in after], known):
        return Answer("replaced", _put(question, [spelled]))
    value = _read_value(question, after, known)
    has_no = any(each in known["denies"] for each in said)
    if value:
        if _is_same(question, value) and not has_no:
            return Answer("confirmed", kept)
        return Answer("replaced", _put(question, value))
    if has_no:
        is_bare = all(each in known["denies"] or each in known["beside"] for each in said)
        return Answer("refused" if is_bare else "unclear", kept)
    if any(each in known["agrees"] for each in said):
        if question.way == "implicit" and _is_noun(question.doubt):
            return Answer("replaced", _put(question, [question.doubt.other]))
        return Answer("confirmed", kept)
    return Answer("unclear", kept)


def _is_same(question: Question, value: Sequence[str]) -> bool:
    """Whether the value is what was heard, said again with the doubtful word."""
    doubt = question.doubt
    run = [plain(word.text) for word in question.words[doubt.first : doubt.last + 1]]
    said = [plain(each) for each in value]
    starts = range(len(run) - len(said) + 1)
    return run[doubt.at - doubt.first] in said and any(
        run[start : start + len(said)] == said for start in starts
    )


def _after_no(words: Sequence[str], known: dict[str, Any], slot: str) -> list[str]:
    """What is said after a no; of a cancellation a no may be a part ("que no sigo")."""
    left = list(words)
    while left and plain(left[0]) in known["denies"]:
        left.pop(0)
    if slot == "cancellation":
        return left
    last = max((i for i, each in enumerate(left) if plain(each) in known["denies"]), default=-1)
    return left[last + 1 :]


def _read_spelled(said: Sequence[str], known: dict[str, Any]) -> str:
    """The word of letters ("be, e, doble erre, a de Ávila"), '' where it is none."""
    letters: list[str] = []
    at = 0
    while at < len(said):
        times = 2 if said[at] in ("doble", "double") and at + 1 < len(said) else 1
        at += times - 1
        letter = known["spelled"].get(said[at]) or (said[at] if len(said[at]) == 1 else "")
        if not letter or letter.isdigit():
            return ""
        letters.append(letter * times)
        at += 1
        if at + 1 < len(said) and said[at] in ("de", "as", "for", "of"):
            following = said[at + 1]
            if following not in known["spelled"] and len(following) > 1:
                at += 2
    return "".join(letters) if len(letters) >= SPELLED_LETTERS else ""


def _read_value(question: Question, after: Sequence[str], known: dict[str, Any]) -> list[str]:
    """The words of a reply that can stand in the slot."""
    doubt = question.doubt
    said = [plain(each) for each in after]
    yes_or_beside = known["agrees"] | known["beside"]
    if doubt.slot == "name":
        cut = next((i for i, each in enumerate(said) if each in ("con", "with")), len(said))
        left = [each for each in after[:cut] if plain(each) not in yes_or_beside]
        heard = plain(question.words[doubt.at].text)
        return [
            each
            for each in left
            if each[:1].isupper()
            or Levenshtein.normalized_distance(plain(each), heard) <= NEAR_NAME
        ]
    if doubt.slot == "cancellation":
        left = list(after)
        while left and plain(left[0]) in known["agrees"] | known["begins"]:
            left.pop(0)
        return left if len(left) < NEW_SENTENCE_WORDS else []
    if _is_noun(doubt) and doubt.other in said:
        return [doubt.other]
    named = known["days"] | known["months"]
    wanted = named if plain(question.words[doubt.at].text) in named else known["numbers"]
    figures = [
        i
        for i, each in enumerate(said)
        if each in wanted
        or any(letter.isdigit() for letter in each)
        or (doubt.slot == "identifier" and each in known["spelled"] and not _names(said, i, known))
    ]
    if not figures or _strays(question, said, figures, known):
        return []
    joined = range(figures[0], figures[-1] + 1)
    return [after[i] for i in joined if i in figures or said[i] in known["joins"]]


def _strays(
    question: Question, said: Sequence[str], figures: Sequence[int], known: dict[str, Any]
) -> bool:
    """Whether a reply is a sentence of its own in which a figure occurs ("una persona")."""
    about = {plain(word.text) for word in question.words}
    about |= known["agrees"] | known["denies"] | known["beside"] | known["joins"]
    about |= known["money"] | known["days"] | known["months"]
    return sum(i not in figures and each not in about for i, each in enumerate(said)) >= STRAY_WORDS


def _names(said: Sequence[str], at: int, known: dict[str, Any]) -> bool:
    """Whether a "de" only says by what word a letter is meant ("erre de Roma")."""
    after = said[at + 1] if at + 1 < len(said) else ""
    is_word = bool(after) and after not in known["spelled"] and after not in known["numbers"]
    return at > 0 and said[at] == "de" and is_word and len(after) > 1


def _put(question: Question, value: Sequence[str], *, whole: bool = False) -> tuple[str, ...]:
    """The sentence with the value in its place: the piece of the run, as long as the value, that
    holds the doubtful word and differs least from it."""
    doubt = question.doubt
    words = [word.text for word in question.words]
    size = len(value)
    length = doubt.last - doubt.first + 1
    if whole or size > length:
        return (*words[: doubt.first], *value, *words[doubt.last + 1 :])
    wanted = [plain(each) for each in value]

    def fits(start: int) -> tuple[int, bool]:
        piece = [plain(each) for each in words[start : start + size]]
        same = sum(one == other for one, other in zip(piece, wanted, strict=True))
        return same, piece[doubt.at - start] != wanted[doubt.at - start]

    starts = range(max(doubt.first, doubt.at - size + 1), min(doubt.at, doubt.last - size + 1) + 1)
    start = max(starts, key=fits)
    return (*words[:start], *value, *words[start + size :])
