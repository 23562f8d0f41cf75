"""Sentences that recognisers write of silence, ringing and music. Pure."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Final


_WORD: Final = re.compile(r"[^\W_]+")


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text.lower())
    return " ".join(_WORD.findall("".join(c for c in folded if not unicodedata.combining(c))))


_LINES: Final = Path(__file__).with_name("phantoms.txt").read_text(encoding="utf-8").splitlines()
PHANTOMS: Final = frozenset(_plain(line) for line in _LINES if line[:1] != "#")


def is_phantom(text: str) -> bool:
    """Whether a transcript is such a sentence, or some of them, and nothing else."""
    sentences = [plain for part in re.split(r"[.!?¡¿]\s|\n", text) if (plain := _plain(part))]
    return _plain(text) in PHANTOMS or (
        bool(sentences) and all(each in PHANTOMS for each in sentences)
    )
