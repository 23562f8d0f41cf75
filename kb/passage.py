"""What the knowledge base hands out: passages, hits, questions, and what it could not read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from penny.errors import PennyError


Language = Literal["es", "en"]
FieldValue = str | int | float | bool


class UnknownCollection(PennyError):
    """The reference names no collection of this knowledge base."""

    code = "kb_unknown_collection"

    def __init__(self, ref: str) -> None:
        super().__init__(
            f"there is no collection {ref!r}; a reference reads kb://company/collection and "
            "names a folder kb/documents/<company>/<collection>",
            field="knowledge_base_ref",
        )


class IndexUnavailable(PennyError):
    """The index folder cannot be read or written."""

    code = "kb_index_unavailable"
    retryable = True


@dataclass(frozen=True, slots=True)
class Passage:
    """One citable piece of a document.

    ``id``: stable while its source and heading stay, readable (``facturas.md#plazo-de-pago``).
    ``ref``: the collection. ``source``: path inside the collection, with ``/``.
    ``position``: where in the source (``line 12``, ``page 3``, ``row 7``).
    ``words``, ``phrases``: what callers call it, one by one and as they say it; never spoken.
    ``fields``: typed values of a record; empty for prose. ``speakable``: a short answer to say.
    """

    id: str
    ref: str
    source: str
    heading: tuple[str, ...]
    position: str
    text: str
    language: Language
    fields: dict[str, FieldValue] = field(default_factory=dict)
    questions: tuple[str, ...] = ()
    speakable: str = ""
    words: str = ""
    phrases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage found. ``score`` 0..1: how sure it is that this passage answers.

    ``vector``: cosine, or None for one that is not among the nearest, and without an embedder.
    ``by_words``, ``by_vectors``: its place in each of the two lists, from 1; None where it is in
    none. ``found``, ``lost``: the caller's words that it has, itself or by another word, and has
    not.
    """

    passage: Passage
    score: float
    vector: float | None = None
    by_words: int | None = None
    by_vectors: int | None = None
    found: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits, best first. ``relevant`` is False when nothing answers; then ``hits`` is empty, unless
    the search was told a ``min_score`` of its own."""

    hits: tuple[Hit, ...]
    relevant: bool
    query_normalized: str
    took_ms: float


@dataclass(frozen=True, slots=True)
class Question:
    """A question that the documents list (front matter ``preguntas``) and its passage."""

    text: str
    passage_id: str
    language: Language


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """What a collection holds, in numbers."""

    ref: str
    documents: int
    passages: int
    problems: int


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that is not served, or only in part. ``reason`` names the fault and its remedy."""

    file: str
    reason: str
