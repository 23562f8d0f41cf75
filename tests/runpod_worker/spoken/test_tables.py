"""What an assistant writes and what is said, by tables made without sight of the code."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from runpod_worker.phrases import PhraseSplitter
from runpod_worker.spoken_text import write_for_speech


pytestmark = pytest.mark.pure


_CHOICE = {"{": "(?:", "}": ")", "|": "|"}


@dataclass(frozen=True, slots=True)
class _Row:
    """One row: ``said`` are patterns, any of which may be read; ``part`` is open or held."""

    language: str
    kind: str
    written: str
    said: tuple[str, ...]
    part: str


def _rows(language: str) -> list[_Row]:
    path = Path(__file__).parent / f"{language}.tsv"
    rows, kind = [], ""
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        if "\t" not in line:
            kind = line.removeprefix("# ")
            continue
        written, said, also, part = line.split("\t")
        accepted = (said, *filter(None, also.split(" || ")))
        rows.append(_Row(language, kind, written.replace("\\n", "\n"), accepted, part))
    return rows


def _folded(text: str) -> str:
    """Without case, commas and the number of spaces; a space before a mark is not heard."""
    return re.sub(r" (?=[.;:!?])", "", re.sub(r"[,\s]+", " ", text.lower())).strip()


def _is_said(row: _Row, said: str) -> bool:
    patterns = (
        "".join(_CHOICE.get(c) or re.escape(c) for c in re.sub(r"[,\s]+", " ", each.lower()))
        for each in row.said
    )
    return any(re.fullmatch(pattern, _folded(said)) for pattern in patterns)


_ROWS = [*_rows("es"), *_rows("en")]


_KINDS = sorted({(row.language, row.kind) for row in _ROWS})


def _missed(language: str, kind: str, say: Callable[[_Row], str]) -> dict[str, str]:
    """Of the rows of one kind those that are said otherwise: what was written, and is said."""
    said = {row: say(row) for row in _ROWS if (row.language, row.kind) == (language, kind)}
    assert said
    return {row.written: text for row, text in said.items() if not _is_said(row, text)}


@pytest.mark.parametrize(("language", "kind"), _KINDS)
def test_text_is_said_as_a_native_speaker_reads_it(language: str, kind: str) -> None:
    assert _missed(language, kind, lambda row: write_for_speech(row.written, language)) == {}


def _say_in_phrases(row: _Row) -> str:
    splitter = PhraseSplitter()
    written = [row.written[at : at + 3] for at in range(0, len(row.written), 3)]
    phrases = [phrase for token in written for phrase in splitter.feed(token)]
    phrases += splitter.flush()
    return " ".join(write_for_speech(phrase, row.language) for phrase in phrases)


@pytest.mark.parametrize(("language", "kind"), _KINDS)
def test_no_phrase_boundary_breaks_what_is_written(language: str, kind: str) -> None:
    assert _missed(language, kind, _say_in_phrases) == {}


def test_tables_are_as_large_as_their_use_needs() -> None:
    sizes = {(r.language, r.part): 0 for r in _ROWS}
    for row in _ROWS:
        sizes[row.language, row.part] += 1
    assert sizes["es", "open"] + sizes["es", "held"] >= 300
    assert sizes["en", "open"] + sizes["en", "held"] >= 150
    assert sizes["es", "held"] >= 100
    assert sizes["en", "held"] >= 50


_LETTERS = {
    "B": "be", "C": "ce", "D": "de", "E": "e", "F": "efe", "G": "ge", "H": "hache", "J": "jota",
    "K": "ka", "L": "ele", "M": "eme", "N": "ene", "P": "pe", "Q": "cu", "R": "erre", "S": "ese",
    "T": "te", "V": "uve", "X": "equis", "Z": "zeta",
}  # fmt: skip


def _heard(text: str, language: str) -> str:
    """The words alone, a capital in Spanish by its name, as a voice says it."""
    if language == "es":
        text = re.sub(r"\b[B-Z]\b", lambda letter: _LETTERS.get(letter[0], letter[0]), text)
    return " ".join(re.findall(r"\w+", text.lower()))


@pytest.mark.parametrize("language", ["es", "en"])
@pytest.mark.parametrize("in_phrases", [False, True])
def test_texts_of_a_hand_that_had_not_seen_the_code(language: str, in_phrases: bool) -> None:
    path = Path(__file__).parent / f"{language}_other_hand.tsv"
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    assert len(rows) >= 75
    wrong = {}
    for written, *accepted in rows:
        row = _Row(language, "", written, (), "")
        said = _say_in_phrases(row) if in_phrases else write_for_speech(written, language)
        if _heard(said, language) not in {_heard(each, language) for each in accepted if each}:
            wrong[written] = said

    assert wrong == {}
