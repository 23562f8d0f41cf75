"""One file of any supported kind to its content."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

from kb.passage import Language
from kb.sources import office
from kb.sources.blocks import FileContent
from kb.sources.front_matter import FrontMatter, UnreadableFile, parse_front_matter
from kb.sources.html import read_html
from kb.sources.mail import read_mail
from kb.sources.markdown import read_markdown
from kb.sources.pdf import read_pdf
from kb.sources.records import read_csv, read_json
from kb.sources.text import read_text
from kb.sources.xml import read_xml


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
    **dict.fromkeys(office.SUFFIXES, office.read_office),
    ".eml": read_mail,
    ".xml": read_xml,
    ".csv": lambda data, matter: read_csv(_clean(data), matter),
    ".json": read_json,
    ".jsonl": read_json,
}
SUFFIXES = frozenset(_READERS)
_PICTURES = frozenset([".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".bmp", ".webp", ".heic"])


def is_hidden(path: Path) -> bool:
    """Whether a system or an editor keeps the file for itself (``.DS_Store``, ``~$carta.docx``)."""
    return path.name.startswith((".", "~")) or path.name in ("Thumbs.db", "desktop.ini")


SYNONYMS: dict[Language, str] = {"es": "sinonimos.txt", "en": "synonyms.txt"}
"""A collection's own thesaurus, in its folder: for searching, never a document."""


ASIDE = frozenset([*SYNONYMS.values(), "frases.yaml", "propuestas.yaml"])
"""What stands in a collection's folder beside its documents."""


def is_sidecar(path: Path) -> bool:
    """Whether the file is the ``<source>.yaml`` of a source beside it, a thesaurus or phrases."""
    beside = path.suffix == ".yaml" and path.with_suffix("").is_file()
    return beside or path.name in ASIDE


def why_not_read(path: Path, mode: int, root: Path) -> str:
    """Why a file is left alone, with the remedy; "" for one that is read. ``mode``: of its stat."""
    if not path.resolve().is_relative_to(root):
        return "a link that leads out of the folder; copy what it points to"
    if not stat.S_ISREG(mode):
        return "not a file of its own (a pipe, a device or a linked folder); remove it"
    suffix = path.suffix.lower()
    if suffix in _READERS:
        return ""
    kind = suffix or "without a suffix"
    if suffix in _PICTURES:
        return f"a picture ({kind}) has no text; run text recognition on it and save it as PDF"
    return f"files {kind} are not read; save it as one of {', '.join(sorted(SUFFIXES))}"


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
