"""Plain text to blocks: paragraphs apart by blank lines, a short underlined line is a heading."""

from __future__ import annotations

import re

from kb.sources.blocks import Block, FileContent
from kb.sources.front_matter import split_front_matter
from kb.sources.spoken_marks import clean


_UNDERLINE = re.compile(r"[=\-~]{3,}$")
_HEADING_CHARS = 90


def read_text(text: str) -> FileContent:
    matter, body, before = split_front_matter(text)
    blocks: list[Block] = []
    held: list[str] = []
    first = 0
    for number, line in enumerate([*body.split("\n"), ""], before + 1):
        bare = line.strip()
        if _UNDERLINE.match(bare) and held and len(held[-1]) <= _HEADING_CHARS:
            heading = held.pop()
            _flush(held, first, blocks)
            level = 1 if bare[0] == "=" else 2
            blocks.append(Block("heading", heading, f"line {number - 1}", level))
        elif bare:
            first = first if held else number
            held.append(clean(bare))
        else:
            _flush(held, first, blocks)
    title = matter.title or next((b.text for b in blocks if b.kind == "heading"), "")
    return FileContent.of(matter, title, blocks)


def _flush(held: list[str], first: int, blocks: list[Block]) -> None:
    if held:
        blocks.append(Block("paragraph", " ".join(held), f"line {first}"))
        held.clear()
