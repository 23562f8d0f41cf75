"""What the knowledge base is told at start; the composition root fills it from ``penny.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kb.embedder import Embedder


@dataclass(frozen=True, slots=True)
class KbSettings:
    """Where documents and index lie, and how answers are judged.

    ``documents``: folder with ``<company>/<collection>/`` below it. ``index``: Penny's own folder.
    ``relevance``: the score a best hit needs for an answer; 0.5 is calibrated on the dev set.
    ``max_passage_chars``: a longer section is cut between its paragraphs.
    ``max_file_mb``: a bigger file is named as a problem and skipped.
    ``writer_memory_mb``: what the engine may hold while indexing (its least is 15).
    ``open_wait_s``: how long a reader waits for the writer's first pass before it serves the
    last commit.
    ``embedder``: adds vectors to the words, or None. ``vector_relevance``: the cosine at which
    its best passage is as likely right as wrong; it belongs to the model.
    """

    documents: Path = Path("kb/documents")
    index: Path = Path("var/kb")
    relevance: float = 0.5
    max_passage_chars: int = 900
    max_file_mb: int = 50
    writer_memory_mb: int = 64
    open_wait_s: float = 5.0
    vector_relevance: float = 0.6
    embedder: Embedder | None = None
