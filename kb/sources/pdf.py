"""PDF to blocks: pdf-inspector finds headings and tables, pypdfium2 reads what it leaves out, and
tesseract, where it is installed, the pages that are pictures."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pdf_inspector
import pypdfium2

from kb.sources.blocks import Block, FileContent
from kb.sources.front_matter import FrontMatter, UnreadableFile
from kb.sources.markdown import markdown_blocks
from kb.sources.scans import recognise
from kb.sources.spoken_marks import clean


MAX_PAGES = 3000
"""Reading more takes longer than a file's share of time; pdf-inspector needs 45 s for 10,000."""
_EDGE_LINES = 3
"""Running heads and page numbers stand among a page's first or last three lines ..."""
_EDGE_SHARE = 0.3
"""... on 30 % of the pages, three at least. Over whole pages that rule takes article numbers."""
_NUMBER = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(
    r"[\W_]*(p[áa]g(ina|\.)?|page)?\W*\d{1,4}(\W*(de|of|/)\W*\d{1,4})?\W*", re.I
)
_ARTICLE = re.compile(r"(?:art[íi]culo|article|cap[íi]tulo|t[íi]tulo|anexo)\s+[\divxlc]+\b", re.I)
_OPENING = re.compile(
    r"(?<![\w,;(])(?=\W{0,4}(ART[ÍI]CULO|Art[íi]culo|CL[ÁA]USULA|Cl[áa]usula)\s+(\d+)\s*[°ºª]?\s*\.)"
)
"""Where an article begins in the midst of a text: capital letter, number, full stop. One that is
only referred to has neither."""
_ARTICLE_LEVEL = 6
_MARKS = re.compile(r"\*\*|__|</?u>|\\(?=\W)|^\W*#+\s*")
_HEADING_CHARS = 120
_REMEDY = "install tesseract, or run text recognition on the file"


def read_pdf(data: bytes, matter: FrontMatter) -> FileContent:
    """Headings, paragraphs and tables with their page; running heads and page numbers are dropped.

    Raises:
        UnreadableFile: encrypted, damaged, too many pages, or pictures of pages only.
    """
    title, plain = _read_plain(data)
    try:
        pages = [page.markdown for page in pdf_inspector.extract_pages_markdown_bytes(data).pages]
    except (ValueError, RuntimeError, OSError):
        pages = []  # pypdfium2 could open it: its plain text is served
    pages += [""] * (len(plain) - len(pages))
    marked = [page.split("\n") for page in pages]
    unmarked = [page.split("\n") for page in plain]
    furniture = _edge_lines(unmarked) | _edge_lines(marked)
    by_page = {
        number: _page_blocks(rich, poor, furniture, f"page {number}")
        for number, (rich, poor) in enumerate(zip(marked, unmarked, strict=True), 1)
    }
    for number, text in recognise(data, [number for number, found in by_page.items() if not found]):
        by_page[number] = _page_blocks([], text.split("\n"), furniture, f"page {number}")
    empty = [number for number, found in by_page.items() if not found]
    blocks = [block for found in by_page.values() for block in found]
    if not blocks:
        raise UnreadableFile(f"the PDF holds pictures of text only; {_REMEDY}")
    return FileContent.of(matter, matter.title or title, blocks, lacking=_lacking(empty))


def _read_plain(data: bytes) -> tuple[str, list[str]]:
    """Title and the text layer of each page."""
    try:
        with pypdfium2.PdfDocument(data) as document:
            if len(document) > MAX_PAGES:
                raise UnreadableFile(f"the PDF has more than {MAX_PAGES} pages; split it")
            pages = [document[at].get_textpage().get_text_bounded() for at in range(len(document))]
            return document.get_metadata_value("Title"), [page.replace("\r", "") for page in pages]
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise UnreadableFile("the PDF asks for a password; save it without one") from error
        raise UnreadableFile(f"the PDF is damaged: {error}") from error


def _lacking(empty: Sequence[int]) -> str:
    if not empty:
        return ""
    shown = ", ".join(map(str, empty[:10])) + (" …" if len(empty) > 10 else "")
    return f"page {shown} holds no text but a picture; {_REMEDY}"


def _bare(line: str) -> str:
    return clean(_MARKS.sub("", line))


def _shape(line: str) -> str:
    """A line with its numbers blanked, so that ``Page 3`` and ``Page 4`` are the same."""
    return _NUMBER.sub("0", _bare(line).lower())


def _edge_lines(pages: Sequence[Sequence[str]]) -> set[str]:
    seen: Counter[str] = Counter()
    for page in pages:
        lines = [line for line in page if line.strip()]
        edges = lines[:_EDGE_LINES] + lines[-_EDGE_LINES:]
        seen.update({_shape(line) for line in edges})
    least = max(3, _EDGE_SHARE * len(pages))
    return {shape for shape, pages_with in seen.items() if shape and pages_with >= least}


def _page_blocks(
    rich: Sequence[str], poor: Sequence[str], furniture: set[str], position: str
) -> list[Block]:
    lines = _without_edges(rich, furniture)
    if any(line.strip() for line in lines):
        blocks = markdown_blocks("\n".join(lines), position=position)
        return [part for block in blocks for part in _articles(_judged(block))]
    kept = [clean(line) for line in _without_edges(poor, furniture)]
    text = clean(re.sub(r"(?<=[a-záéíóúñ])-\n(?=[a-záéíóúñ])", "", "\n".join(kept)))
    return list(_articles(Block("paragraph", text, position))) if text else []


def _without_edges(lines: Sequence[str], furniture: set[str]) -> list[str]:
    at = [number for number, line in enumerate(lines) if line.strip()]
    edges = set(at[:_EDGE_LINES] + at[-_EDGE_LINES:])
    return [
        "" if n in edges and (_shape(line) in furniture or _PAGE_NUMBER.fullmatch(line)) else line
        for n, line in enumerate(lines)
    ]


def _judged(block: Block) -> Block:
    """``block`` as a heading where it opens an article, as text where no heading can be."""
    text = block.text
    if block.kind == "paragraph" and len(text) <= _HEADING_CHARS and _ARTICLE.match(text):
        return replace(block, kind="heading", level=_ARTICLE_LEVEL)
    if block.kind == "heading" and _OPENING.match(text):
        return replace(block, level=_ARTICLE_LEVEL)
    if block.kind == "heading" and (not re.search(r"[^\W\d_]{2}", text) or "€" in text):
        return replace(block, kind="paragraph", level=0)
    return block


def _articles(block: Block) -> Iterator[Block]:
    """A text in which articles begin, cut before each, under a heading of its number. What was
    taken for a table of them is lines that stand side by side."""
    starts = [] if block.kind == "heading" else list(_OPENING.finditer(block.text))
    if not starts:
        yield block
        return
    text = re.sub(r"[ |]*\|[ |]*", " ", block.text) if block.kind == "table" else block.text
    starts = list(_OPENING.finditer(text))
    ends = [found.start() for found in starts[1:]] + [len(text)]
    if before := text[: starts[0].start()].strip():
        yield Block("paragraph", before, block.position)
    for found, end in zip(starts, ends, strict=True):
        article = text[found.start() : end].strip()
        if any(map(str.isalnum, article)):  # marks before it are found as another beginning
            heading = f"{found[1].capitalize()} {found[2]}"
            yield Block("heading", heading, block.position, _ARTICLE_LEVEL)
            yield Block("paragraph", article, block.position)
