"""Markdown to blocks, by markdown-it's parser; tables and lists stay whole."""

from __future__ import annotations

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

from kb.sources.blocks import Block, FileContent
from kb.sources.front_matter import split_front_matter


_PARSER = MarkdownIt("commonmark").enable("table")


def read_markdown(text: str) -> FileContent:
    """Return the document's blocks with the lines they begin on."""
    matter, body, before = split_front_matter(text)
    blocks: list[Block] = []
    for node in SyntaxTreeNode(_PARSER.parse(body)).children:
        _add_block(node, before, blocks)
    title = matter.title or next((b.text for b in blocks if b.kind == "heading"), "")
    return FileContent(
        title,
        matter.language,
        tuple(blocks),
        questions=matter.questions,
        words=matter.words,
        phrases=matter.phrases,
    )


def _add_block(node: SyntaxTreeNode, before: int, blocks: list[Block]) -> None:
    line = before + (node.map[0] if node.map else 0) + 1
    position = f"line {line}"
    if node.type == "heading":
        level = int(node.tag[1:])
        blocks.append(Block("heading", _plain(node), position, level))
    elif node.type == "table":
        rows = [_row(row) for part in node.children for row in part.children]
        blocks.append(Block("table", "\n".join(rows), position))
    elif node.type in ("bullet_list", "ordered_list"):
        items = [f"- {_plain(item)}" for item in node.children]
        blocks.append(Block("list", "\n".join(items), position))
    elif node.type == "blockquote":
        for child in node.children:
            _add_block(child, before, blocks)
    elif node.type in ("fence", "code_block"):
        blocks.append(Block("paragraph", node.content.strip(), position))
    elif node.type == "paragraph":
        text = _plain(node)
        if text:
            blocks.append(Block("paragraph", text, position))


def _row(row: SyntaxTreeNode) -> str:
    return " | ".join(_plain(cell) for cell in row.children)


def _plain(node: SyntaxTreeNode) -> str:
    """The words of a node, without marks; nested blocks are joined by spaces."""
    if node.type == "inline":
        tokens = node.token.children if node.token else None
        return "".join(_inline(token) for token in tokens or []).strip()
    return " ".join(part for part in (_plain(child) for child in node.children) if part)


def _inline(token: Token) -> str:
    if token.type in ("softbreak", "hardbreak"):
        return " "
    if token.type == "image":
        return token.content
    return token.content if token.type in ("text", "code_inline") else ""
