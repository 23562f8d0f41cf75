"""What every reader returns: blocks in document order, or records; and the document's own data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from kb.passage import FieldValue, Language


BlockKind = Literal["heading", "paragraph", "list", "table"]


class UnreadableFile(Exception):
    """The file cannot be served; the message says why and what to do."""


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
    ``words`` maps it to what callers call it, ``phrases`` to whole ways of saying it.
    """

    title: str
    language: Language | None
    blocks: tuple[Block, ...] = ()
    records: tuple[Record, ...] = ()
    questions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    phrases: dict[str, tuple[str, ...]] = field(default_factory=dict)
