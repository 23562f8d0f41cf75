"""Cutting a read file into passages at its own structure. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from kb.normal.analysis import guess_language
from kb.normal.words import fold_accents
from kb.passage import Language, Passage
from kb.sources.blocks import Block, FileContent


_SLUG = re.compile(r"[^a-z0-9]+")
_SENTENCE_END = re.compile(r"(?<=[.!?:])\s+(?=[A-ZÁÉÍÓÚÑ¿¡0-9])")
SPEAKABLE_CHARS = 280


@dataclass(slots=True)
class _Section:
    """A heading and the blocks below it, on the way to passages."""

    heading: tuple[str, ...]
    blocks: list[Block]


def cut_passages(
    content: FileContent, *, ref: str, source: str, max_chars: int
) -> tuple[list[Passage], list[str]]:
    """Return (passages, headings named by the front matter that the file does not have).

    A section is one passage while it has at most ``max_chars``; a longer one is cut between its
    blocks, a long paragraph between its sentences, a table between its rows.
    """
    language = content.language or _language_of(content)
    unbound = {slug_of(heading) for heading in content.questions}
    aliases = {slug_of(heading): words for heading, words in content.words.items()}
    sayings = {slug_of(heading): said for heading, said in content.phrases.items()}
    passages: list[Passage] = []
    seen: dict[str, int] = {}
    for section in _sections(content):
        asked = _questions_for(section.heading, content, unbound)
        slug = slug_of(section.heading[-1]) if section.heading else ""
        words, phrases = aliases.pop(slug, ""), sayings.pop(slug, ())
        for part in _parts(section.blocks, max_chars):
            passage = _passage(
                part, section.heading, content.title, source, ref, language, asked, seen
            )
            passages.append(replace(passage, words=words, phrases=phrases))
            asked = phrases = ()
    for record in content.records:
        asked = content.questions.get(record.name, ())
        unbound.discard(slug_of(record.name))
        passages.append(
            Passage(
                id=_unique(f"{source}#{record.name}", seen),
                ref=ref,
                source=source,
                heading=(content.title or source,),
                position=record.position,
                text=record.text,
                language=language,
                fields=record.fields,
                questions=asked,
                speakable=record.speakable,
                words=aliases.pop(slug_of(record.name), ""),
                phrases=sayings.pop(slug_of(record.name), ()),
            )
        )
    missing = [heading for heading in content.questions if slug_of(heading) in unbound]
    missing += [heading for heading in content.words if slug_of(heading) in aliases]
    missing += [heading for heading in content.phrases if slug_of(heading) in sayings]
    return passages, missing


def speakable_of(text: str) -> str:
    """Return the first paragraph, or its first sentences when it is long to listen to."""
    first = text.split("\n", 1)[0].strip()
    if len(first) <= SPEAKABLE_CHARS:
        return first
    said = ""
    for sentence in _SENTENCE_END.split(first):
        if said and len(said) + len(sentence) > SPEAKABLE_CHARS:
            break
        said = f"{said} {sentence}".strip()
    return said


def _passage(
    part: list[Block],
    heading: tuple[str, ...],
    title: str,
    source: str,
    ref: str,
    language: Language,
    asked: tuple[str, ...],
    seen: dict[str, int],
) -> Passage:
    text = "\n".join(block.text for block in part)
    path = heading or ((title,) if title else (source,))
    return Passage(
        id=_unique(f"{source}#{slug_of(path[-1])}", seen),
        ref=ref,
        source=source,
        heading=path,
        position=part[0].position,
        text=text,
        language=language,
        questions=asked,
        speakable=speakable_of(text),
    )


def _unique(name: str, seen: dict[str, int]) -> str:
    seen[name] = seen.get(name, 0) + 1
    return name if seen[name] == 1 else f"{name}-{seen[name]}"


def slug_of(heading: str) -> str:
    return _SLUG.sub("-", fold_accents(heading.lower()).replace("ñ", "n")).strip("-")


def _questions_for(
    heading: tuple[str, ...], content: FileContent, unbound: set[str]
) -> tuple[str, ...]:
    if not heading:
        return ()
    slugs = {slug_of(heading[-1]), slug_of(" > ".join(heading))}
    asked: list[str] = []
    for name, questions in content.questions.items():
        slug = slug_of(name)
        if slug in slugs and slug in unbound:
            unbound.discard(slug)
            asked.extend(questions)
    return tuple(asked)


def _sections(content: FileContent) -> Iterator[_Section]:
    path: list[tuple[int, str]] = []
    section = _Section((), [])
    for block in _with_bare_headings_as_text(content.blocks):
        if block.kind != "heading":
            section.blocks.append(block)
            continue
        if section.blocks:
            yield section
        while path and path[-1][0] >= block.level:
            path.pop()
        path.append((block.level, block.text))
        section = _Section(tuple(text for _, text in path), [])
    if section.blocks:
        yield section


def _with_bare_headings_as_text(blocks: Sequence[Block]) -> Iterator[Block]:
    """A heading with nothing under it, not even a lower heading, is text: no section tells it."""
    for block, following in zip_longest(blocks, blocks[1:]):
        is_bare = block.kind == "heading" and (
            following is None or (following.kind == "heading" and following.level <= block.level)
        )
        yield replace(block, kind="paragraph", level=0) if is_bare else block


def _parts(blocks: list[Block], max_chars: int) -> Iterator[list[Block]]:
    part: list[Block] = []
    size = 0
    for block in blocks:
        for piece in _pieces(block, max_chars):
            if part and size + len(piece.text) > max_chars:
                yield part
                part, size = [], 0
            part.append(piece)
            size += len(piece.text) + 1
    if part:
        yield part


def _pieces(block: Block, max_chars: int) -> Iterator[Block]:
    """What is longer than a passage is cut: a table between rows, its first row over each part; a
    list between items, a paragraph between sentences."""
    if len(block.text) <= max_chars:
        yield block
        return
    head, rows = "", block.text
    if block.kind == "table":
        head, _, rows = block.text.partition("\n")
    joint = " " if block.kind == "paragraph" else "\n"
    units = _SENTENCE_END.split(rows) if block.kind == "paragraph" else rows.split("\n")
    held = head
    for unit in units:
        if held not in ("", head) and len(held) + len(unit) > max_chars:
            yield Block(block.kind, held, block.position)
            held = head
        held = f"{held}{joint}{unit}" if held else unit
    if held:
        yield Block(block.kind, held, block.position)


def _language_of(content: FileContent) -> Language:
    sample = " ".join(block.text for block in content.blocks[:20]) or " ".join(
        record.text for record in content.records[:5]
    )
    return guess_language(sample[:2000])
