"""PDF and DOCX to blocks, by pypdf and python-docx."""

from __future__ import annotations

import io
import re

import docx
from docx.table import Table
from docx.text.paragraph import Paragraph
from pypdf import PdfReader
from pypdf.errors import PyPdfError

from kb.sources.blocks import Block, FileContent, UnreadableFile
from kb.sources.front_matter import FrontMatter


_HEADING_STYLE = re.compile(r"(?:heading|t[ií]tulo)\s*(\d)?", re.IGNORECASE)
_NUMBERED_HEADING = re.compile(r"(\d+(?:\.\d+)*)\.?\s+\S")
_HEADING_CHARS = 80


def read_pdf(data: bytes, matter: FrontMatter) -> FileContent:
    """Paragraphs with their page; a short line without a full stop before text is a heading.

    Raises:
        UnreadableFile: encrypted, damaged, or pictures of pages only.
    """
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableFile("the PDF asks for a password; save it without one")
        pages = [page.extract_text() or "" for page in reader.pages]
        title = matter.title or (reader.metadata.title if reader.metadata else "") or ""
    except PyPdfError as error:
        raise UnreadableFile(f"the PDF is damaged: {error}") from error
    if not any(page.strip() for page in pages):
        raise UnreadableFile("the PDF holds pictures of text only; run text recognition on it")
    blocks: list[Block] = []
    for number, page in enumerate(pages, 1):
        _add_page(page, f"page {number}", blocks)
    return FileContent(
        title,
        matter.language,
        tuple(blocks),
        questions=matter.questions,
        words=matter.words,
        phrases=matter.phrases,
    )


def _add_page(page: str, position: str, blocks: list[Block]) -> None:
    lines = [" ".join(line.split()) for line in page.split("\n")]
    held: list[str] = []
    for at, line in enumerate(lines):
        following = lines[at + 1] if at + 1 < len(lines) else ""
        level = _heading_level(line, following, open_text=bool(held) and held[-1][-1] not in ".:")
        if not line or level:
            _flush(held, position, blocks)
        if level:
            blocks.append(Block("heading", line, position, level))
        elif line:
            held.append(line)
    _flush(held, position, blocks)


def _heading_level(line: str, following: str, *, open_text: bool) -> int:
    """0 for text. A line inside a sentence that goes on is never a heading."""
    if not line or len(line) > _HEADING_CHARS or line[-1] in ".,;:" or not following:
        return 0
    numbered = _NUMBERED_HEADING.match(line)
    if numbered:
        return numbered[1].count(".") + 1
    return 2 if not open_text and line[0].isupper() and len(following) > len(line) else 0


def _flush(held: list[str], position: str, blocks: list[Block]) -> None:
    if held:
        blocks.append(Block("paragraph", " ".join(held), position))
        held.clear()


def read_docx(data: bytes, matter: FrontMatter) -> FileContent:
    """Headings by their style, tables whole; positions count paragraphs.

    Raises:
        UnreadableFile: not a Word document.
    """
    try:
        document = docx.Document(io.BytesIO(data))
    except Exception as error:  # python-docx lets zip, XML and key errors of its parts through
        raise UnreadableFile("not a readable Word document; save it again as .docx") from error
    blocks: list[Block] = []
    for number, part in enumerate(document.iter_inner_content(), 1):
        position = f"paragraph {number}"
        if isinstance(part, Table):
            rows = [" | ".join(_clean(cell.text) for cell in row.cells) for row in part.rows]
            blocks.append(Block("table", "\n".join(rows), position))
        else:
            _add_paragraph(part, position, blocks)
    title = matter.title or document.core_properties.title or ""
    return FileContent(
        title,
        matter.language,
        tuple(blocks),
        questions=matter.questions,
        words=matter.words,
        phrases=matter.phrases,
    )


def _add_paragraph(part: Paragraph, position: str, blocks: list[Block]) -> None:
    text = _clean(part.text)
    if not text:
        return
    style = (part.style.name or "") if part.style is not None else ""
    heading = _HEADING_STYLE.match(style)
    if heading or style == "Title":
        level = int(heading[1] or 1) if heading else 1
        blocks.append(Block("heading", text, position, level))
    elif style.startswith("List"):
        blocks.append(Block("list", f"- {text}", position))
    else:
        blocks.append(Block("paragraph", text, position))


def _clean(text: str) -> str:
    return " ".join(text.split())
