"""One file of any supported kind to its content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kb.sources.blocks import FileContent, UnreadableFile
from kb.sources.front_matter import FrontMatter, parse_front_matter
from kb.sources.html import read_html
from kb.sources.markdown import read_markdown
from kb.sources.office import read_docx, read_pdf
from kb.sources.records import read_csv, read_json
from kb.sources.text import read_text


def _decode(data: bytes) -> str:
    """UTF-8 (with or without a mark), else the Western encoding old office files use."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        if b"\x00" in data:
            raise UnreadableFile("not a text file; save it as UTF-8") from None
        return data.decode("cp1252", errors="replace")


def _clean(data: bytes) -> str:
    return _decode(data).replace("\r\n", "\n").replace("\r", "\n")


_READERS: dict[str, Callable[[bytes, FrontMatter], FileContent]] = {
    ".md": lambda data, _: read_markdown(_clean(data)),
    ".markdown": lambda data, _: read_markdown(_clean(data)),
    ".txt": lambda data, _: read_text(_clean(data)),
    ".html": lambda data, matter: read_html(_clean(data), matter),
    ".htm": lambda data, matter: read_html(_clean(data), matter),
    ".pdf": read_pdf,
    ".docx": read_docx,
    ".csv": lambda data, matter: read_csv(_clean(data), matter),
    ".json": read_json,
    ".jsonl": read_json,
}
SUFFIXES = frozenset(_READERS)


def is_source(path: Path) -> bool:
    """Whether the file is one that the knowledge base reads (``<source>.yaml`` belongs to one)."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith((".", "~"))


def sidecar_of(path: Path) -> Path:
    return path.with_name(path.name + ".yaml")


def read_file(path: Path) -> FileContent:
    """Read one source.

    Raises:
        UnreadableFile: it is broken; the reason is in the message.
        OSError: it cannot be opened.
    """
    sidecar = sidecar_of(path)
    matter = parse_front_matter(_clean(sidecar.read_bytes())) if sidecar.is_file() else None
    data = path.read_bytes()
    try:
        content = _READERS[path.suffix.lower()](data, matter or FrontMatter())
    except UnreadableFile:
        raise
    except Exception as error:  # a parser's own failure on a broken file is the file's fault
        raise UnreadableFile(f"{type(error).__name__}: {error}") from error
    if not content.blocks and not content.records:
        raise UnreadableFile("there is no text in it")
    return content
