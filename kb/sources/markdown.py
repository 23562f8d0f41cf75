"""Markdown to blocks: rendered by markdown-it with its HTML, then read as a page is."""

from __future__ import annotations

from markdown_it import MarkdownIt

from kb.sources.blocks import Block, FileContent
from kb.sources.front_matter import split_front_matter
from kb.sources.html import read_fragment
from kb.sources.spoken_marks import cut_templates


_PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def read_markdown(text: str) -> FileContent:
    """Return the document's blocks with the lines they begin on.

    HTML blocks are read as a browser would, so text inside accordions and tables stays.
    """
    matter, body, before = split_front_matter(text)
    blocks = markdown_blocks(body, before)
    title = matter.title or next((b.text for b in blocks if b.kind == "heading"), "")
    return FileContent.of(matter, title, blocks)


def markdown_blocks(body: str, lines_before: int = 0, position: str = "") -> list[Block]:
    """Blocks of Markdown text; ``position`` replaces their lines where it is given."""
    tokens = _PARSER.parse(cut_templates(body))
    for token in tokens:
        if token.map and token.nesting >= 0:
            token.attrSet("data-line", str(lines_before + token.map[0] + 1))
    markup = _PARSER.renderer.render(tokens, _PARSER.options, {})
    return read_fragment(markup, position)
