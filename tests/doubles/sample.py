"""The sample company's documents, opened on one index for all tests: making it takes a second."""

from __future__ import annotations

from pathlib import Path

from kb.base import KnowledgeBase
from kb.settings import KbSettings


ROOT = Path(__file__).parents[2]
DOCUMENTS = ROOT / "kb/documents"
INDEX = ROOT / "var/test-kb"
"""Made by whoever opens it first; made anew where documents or its format have changed."""


def open_sample() -> KnowledgeBase:
    return KnowledgeBase.open(KbSettings(DOCUMENTS, INDEX))
