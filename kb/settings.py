"""What the knowledge base is told at start; the composition root fills it from ``penny.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from kb.embedder import Embedder, EmbeddingServer, HttpEmbedder
from kb.local_embedder import LocalEmbedder
from penny.section import Section


def _is_known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError("write an IANA name such as Europe/Madrid") from error
    return name


ZoneName = Annotated[str, AfterValidator(_is_known_zone)]
"""A time zone by its IANA name."""


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
    ``keep_unanswered``: questions of callers that nothing was sure to answer, kept of each
    collection. ``embedder``: adds vectors to the words, or None.
    """

    documents: Path = Path("kb/documents")
    index: Path = Path("var/kb")
    relevance: float = 0.5
    max_passage_chars: int = 900
    max_file_mb: int = 50
    writer_memory_mb: int = 64
    open_wait_s: float = 5.0
    keep_unanswered: int = 0
    embedder: Embedder | None = None


class KbSection(Section):
    """``kb``: documents, index and embedding of the knowledge base."""

    documents: Path = Field(Path("kb/documents"), description="folder of the documents")
    index: Path = Field(Path("var/kb"), description="folder of the index, made from documents")
    default_ref: str = Field(
        "kb://empresa/documentos",
        pattern=r"^kb://",
        description="collection a session gets",
    )
    watch: bool = Field(True, description="whether changed documents are indexed at once")
    timezone: ZoneName = Field(
        "Europe/Madrid", description="where 'mañana' in a question about hours is told"
    )
    keep_unanswered: int = Field(
        0,
        ge=0,
        le=10_000,
        description="questions of real calls that nothing was sure to answer, kept of each "
        "collection for /kb, with their numbers blanked; 0 keeps none",
    )
    embedding: Literal["local", "openai-compatible", "none"] = Field(
        "local",
        description="what adds vectors to the words: a small model in this process, a server, or "
        "nothing",
    )
    embedding_server: EmbeddingServer = Field(
        EmbeddingServer(), description="any OpenAI-compatible `/embeddings`"
    )

    def kb_settings(self, environment: Mapping[str, str]) -> KbSettings:
        """The same as the knowledge base takes it; ``environment`` has the embedder's key."""
        settings = KbSettings(
            documents=self.documents, index=self.index, keep_unanswered=self.keep_unanswered
        )
        if self.embedding == "none":
            return settings
        if self.embedding == "local":
            return replace(settings, embedder=LocalEmbedder())
        return replace(settings, embedder=HttpEmbedder(self.embedding_server, environment))
