"""What every reader returns: blocks in document order, or records; and the document's own data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from kb.passage import FieldValue, Language
from kb.sources.front_matter import FrontMatter


BlockKind = Literal["heading", "paragraph", "list", "table"]


@dataclass(frozen=True, slots=True)
class Block:
    """One structural piece. ``level`` is the heading's depth, 1 for the highest."""

    kind: BlockKind
    text: str
    position: str
    level: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """One row or object: a passage with typed fields, found by its identifiers."""

    name: str
    fields: dict[str, FieldValue]
    position: str
    text: str
    speakable: str


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file, read. ``questions`` maps a heading or a record's name to the questions it answers;
    ``words`` maps it to what callers call it, ``phrases`` to whole ways of saying it. ``lacking``
    says what of the file is not served, with the remedy; "" when all is.
    """

    title: str
    language: Language | None
    blocks: tuple[Block, ...] = ()
    records: tuple[Record, ...] = ()
    questions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    phrases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    lacking: str = ""

    @classmethod
    def of(
        cls,
        matter: FrontMatter,
        title: str,
        blocks: Sequence[Block] = (),
        records: Sequence[Record] = (),
        *,
        language: Language | None = None,
        lacking: str = "",
    ) -> FileContent:
        """What was read, with what ``matter`` knows of it; its language is the file's own word."""
        return cls(
            title,
            matter.language or language,
            tuple(blocks),
            tuple(records),
            matter.questions,
            matter.words,
            matter.phrases,
            lacking,
        )
