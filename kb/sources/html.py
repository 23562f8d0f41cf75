"""HTML to blocks, by selectolax: headings, paragraphs, lists and tables of the page's main part."""

from __future__ import annotations

from selectolax.lexbor import LexborHTMLParser, LexborNode

from kb.passage import Language
from kb.sources.blocks import Block, FileContent
from kb.sources.front_matter import FrontMatter


_LEFT_OUT = "script, style, noscript, template, nav, footer, aside, form, iframe, svg"
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_CONTAINERS = frozenset(
    ["body", "main", "article", "section", "div", "header", "blockquote", "details", "figure"]
)


def read_html(text: str, matter: FrontMatter) -> FileContent:
    """Positions count the blocks of the page (``block 4``)."""
    tree = LexborHTMLParser(text)
    for node in tree.css(_LEFT_OUT):
        node.decompose()
    blocks: list[Block] = []
    root = tree.css_first("main") or tree.css_first("article") or tree.body
    if root is not None:
        _walk(root, blocks)
    head = tree.css_first("title")
    title = matter.title or (_clean(head.text()) if head is not None else "")
    return FileContent(
        title,
        matter.language or _language(tree),
        tuple(blocks),
        questions=matter.questions,
        words=matter.words,
        phrases=matter.phrases,
    )


def _language(tree: LexborHTMLParser) -> Language | None:
    root = tree.css_first("html")
    declared = (root.attributes.get("lang") or "") if root is not None else ""
    if declared[:2] == "es":
        return "es"
    return "en" if declared[:2] == "en" else None


def _walk(node: LexborNode, blocks: list[Block]) -> None:
    loose: list[str] = []
    for child in node.iter(include_text=True):
        tag = child.tag or ""
        if tag in _CONTAINERS:
            _flush(loose, blocks)
            _walk(child, blocks)
        elif tag in _HEADINGS or tag in ("p", "ul", "ol", "dl", "table", "pre"):
            _flush(loose, blocks)
            _add(child, tag, blocks)
        else:
            loose.append(child.text(separator=" ") if tag != "-text" else child.text())
    _flush(loose, blocks)


def _add(node: LexborNode, tag: str, blocks: list[Block]) -> None:
    position = f"block {len(blocks) + 1}"
    if tag == "table":
        rows = [
            " | ".join(_clean(cell.text(separator=" ")) for cell in row.css("th, td"))
            for row in node.css("tr")
        ]
        text = "\n".join(row for row in rows if row)
        kind = "table"
    elif tag in ("ul", "ol", "dl"):
        items = [_clean(item.text(separator=" ")) for item in node.css("li, dt, dd")]
        text = "\n".join(f"- {item}" for item in items if item)
        kind = "list"
    else:
        text = _clean(node.text(separator=" "))
        kind = "heading" if tag in _HEADINGS else "paragraph"
    if not text:
        return
    if kind == "heading":
        blocks.append(Block("heading", text, position, _HEADINGS[tag]))
    elif kind == "table":
        blocks.append(Block("table", text, position))
    else:
        blocks.append(Block("list" if kind == "list" else "paragraph", text, position))


def _flush(loose: list[str], blocks: list[Block]) -> None:
    text = _clean(" ".join(loose))
    if text:
        blocks.append(Block("paragraph", text, f"block {len(blocks) + 1}"))
    loose.clear()


def _clean(text: str) -> str:
    return " ".join(text.split())
