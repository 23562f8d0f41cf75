"""XML to blocks: each element that holds only leaves is one line of ``name: text``."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

from kb.sources.blocks import Block, FileContent
from kb.sources.front_matter import FrontMatter, UnreadableFile
from kb.sources.spoken_marks import clean


def read_xml(data: bytes, matter: FrontMatter) -> FileContent:
    """Read any XML by its nesting; entities that its own document declares are refused.

    Raises:
        UnreadableFile: not well-formed, or with a document type of its own (entity bombs).
    """
    if b"<!DOCTYPE" in data[:4096] or b"<!ENTITY" in data:
        raise UnreadableFile("it declares a document type; save it without <!DOCTYPE …>")
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise UnreadableFile(f"not well-formed XML: {error}") from error
    blocks = [
        Block("paragraph", text, f"element {number}") for number, text in enumerate(_lines(root), 1)
    ]
    return FileContent.of(matter, matter.title, blocks)


def _lines(element: ElementTree.Element) -> Iterator[str]:
    children = list(element)
    own = clean(element.text or "")
    if children and not any(len(child) for child in children):
        parts = [f"{_name(child)}: {clean(child.text or '')}" for child in children if child.text]
        tails = [clean(child.tail or "") for child in children]
        yield clean(" ".join([own, ". ".join(parts), *tails]))
        return
    if own:
        yield own
    for child in children:
        yield from (_lines(child))
        if tail := clean(child.tail or ""):
            yield tail


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2].replace("_", " ")
