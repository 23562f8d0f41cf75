"""Office documents to blocks, by anydoc: Word, Excel, PowerPoint, OpenDocument, RTF and EPUB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import anydoc

from kb.sources.blocks import Block, FileContent
from kb.sources.front_matter import FrontMatter, UnreadableFile
from kb.sources.spoken_marks import clean


SUFFIXES = frozenset(
    [".docx", ".doc", ".xlsx", ".ods", ".pptx", ".ppt", ".odp", ".odt", ".rtf", ".epub"]
)
_HEADING_CHARS = 100


def read_office(data: bytes, matter: FrontMatter) -> FileContent:
    """Headings, paragraphs, lists and tables; positions count the document's blocks.

    Raises:
        UnreadableFile: encrypted, damaged, beyond anydoc's limits, or of an unknown kind.
    """
    try:
        document = anydoc.to_document(data)
    except anydoc.EncryptedError as error:
        raise UnreadableFile("it asks for a password; save it without one") from error
    except anydoc.ResourceLimitError as error:
        raise UnreadableFile(
            f"it unpacks to more than is allowed ({error.limit}); split it"
        ) from error
    except anydoc.ConvertError as error:
        raise UnreadableFile(f"it cannot be read: {error}; save it again") from error
    blocks: list[Block] = []
    for number, part in enumerate(document.blocks, 1):
        blocks += _read([part], f"block {number}")
    for note in document.notes:
        blocks += _read(note.blocks, "note")
    title = matter.title or next((each.text for each in blocks if each.kind == "heading"), "")
    return FileContent.of(matter, title, blocks)


def _blocks(part: anydoc.Block, position: str) -> Iterator[Block]:
    if part.kind == "heading":
        yield Block("heading", _words(part.content or ()), position, part.level or 1)
    elif part.kind == "paragraph":
        text = _words(part.content or ())
        heading = _is_bold_title(part.content or (), text)
        yield Block("heading", text, position, 6) if heading else Block("paragraph", text, position)
    elif part.kind == "list" and part.list is not None:
        yield Block("list", "\n".join(_items(part.list)), position)
    elif part.kind == "table" and part.table is not None:
        yield from _table(part.table, position)
    elif part.kind == "block_quote":
        yield from _read(part.blocks or (), position)
    elif part.text:
        yield Block("paragraph", clean(part.text), position)


def _read(parts: Iterable[anydoc.Block], position: str) -> list[Block]:
    """The blocks of ``parts`` that hold words."""
    return [block for part in parts for block in _blocks(part, position) if block.text]


def _words(content: Sequence[anydoc.Inline]) -> str:
    said: list[str] = []
    for part in content:
        if part.kind in ("text", "math"):
            said.append(part.text or "")
        elif part.kind == "link":
            said.append(_words(part.content or ()))
        elif part.kind == "line_break":
            said.append(" ")
        elif part.kind == "image":
            said.append(f" {part.alt or ''} ")
    return clean("".join(said))


def _is_bold_title(content: Sequence[anydoc.Inline], text: str) -> bool:
    """Whether a short paragraph, bold throughout and without a full stop, stands as a heading."""
    if not text or len(text) > _HEADING_CHARS or text[-1] in ".,;:":
        return False
    worded = [part for part in content if (part.text or "").strip() or part.content]
    return bool(worded) and all(
        part.kind == "text" and part.style is not None and part.style.bold for part in worded
    )


def _items(listing: anydoc.List) -> list[str]:
    lines: list[str] = []
    for item in listing.items:
        own: list[str] = []
        nested: list[str] = []
        for part in item.blocks:
            if part.kind == "list" and part.list is not None:
                nested += _items(part.list)
            else:
                own += [block.text.replace("\n", " ") for block in _read([part], "")]
        lines += [f"- {' '.join(own)}"] if own else []
        lines += nested
    return lines


def _table(table: anydoc.Table, position: str) -> Iterator[Block]:
    if table.kind == "layout":
        for row in table.grid:
            for slot in row:
                if slot.cell is not None:
                    yield from _read(slot.cell.blocks, position)
        return
    rows = [[_cell(slot) for slot in row] for row in table.grid]
    used = [column for column in zip(*rows, strict=True) if any(column)]
    lines = [" | ".join(row) for row in zip(*used, strict=True) if any(row)]
    yield Block("table", "\n".join(lines), position)


def _cell(slot: anydoc.CellSlot) -> str:
    if slot.cell is None:
        return ""
    return " ".join(block.text.replace("\n", "; ") for block in _read(slot.cell.blocks, ""))
