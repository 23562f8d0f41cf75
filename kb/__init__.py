"""The knowledge base: documents in, the passage that answers a spoken question out."""

from kb.base import KnowledgeBase, open_warm
from kb.passage import (
    CollectionInfo,
    Hit,
    IndexUnavailable,
    Passage,
    Problem,
    Question,
    SearchResult,
    UnknownCollection,
)
from kb.settings import KbSettings


__all__ = [
    "CollectionInfo",
    "Hit",
    "IndexUnavailable",
    "KbSettings",
    "KnowledgeBase",
    "Passage",
    "Problem",
    "Question",
    "SearchResult",
    "UnknownCollection",
    "open_warm",
]
