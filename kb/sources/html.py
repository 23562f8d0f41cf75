"""HTML to blocks, by selectolax; Markdown comes through here too, once rendered."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from kb.passage import Language
from kb.sources.blocks import Block, BlockKind, FileContent
from kb.sources.front_matter import FrontMatter, UnreadableFile
from kb.sources.spoken_marks import clean


MAX_DEPTH = 256
"""Elements inside one another. Browsers stop at 512; selectolax takes time quadratic in depth."""
_LEFT_OUT = (
    "script, style, noscript, template, nav, footer, iframe, svg, select, textarea, "
    "[role=navigation], [role=contentinfo], [role=banner] nav"
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LEAVES = frozenset(["p", "pre", "ul", "ol", "dl", "table", "summary", "caption", "figcaption"])
_CONTAINERS = frozenset(
    ["body", "main", "article", "section", "div", "header", "blockquote", "details", "figure"]
    + ["aside", "form", "fieldset", "center", "hgroup", "dialog", "address", "li", "dd", "dt"]
    + ["td", "th", "tr", "tbody", "thead", "tfoot"]
)
_BLOCKS = ", ".join([*_HEADINGS, *sorted(_LEAVES | _CONTAINERS), "hr"])
_TITLES = ", ".join([*_HEADINGS, "summary"])
_VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source"]
    + ["track", "wbr"]
)
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)([^>]*)>")


def read_html(text: str, matter: FrontMatter) -> FileContent:
    """Read a page's main part; positions count its blocks (``block 4``).

    Raises:
        UnreadableFile: elements lie more than :data:`MAX_DEPTH` deep.
    """
    tree = _parse(text)
    root = tree.css_first("main") or tree.css_first("[role=main]") or tree.body
    blocks = _Blocks()
    if root is not None:
        blocks.walk(root)
    head = tree.css_first("head > title")
    title = matter.title or (clean(head.text()) if head is not None else "")
    return FileContent.of(matter, title, blocks.found, language=_language(tree))


def read_fragment(markup: str, position: str = "") -> list[Block]:
    """Blocks of rendered Markdown. Positions are the ``data-line`` of the elements, or ``position``
    throughout. Raises UnreadableFile as :func:`read_html`."""
    tree = _parse(markup)
    blocks = _Blocks(position or "line 1", counts=False, fixed=bool(position))
    if tree.body is not None:
        blocks.walk(tree.body)
    return blocks.found


def _parse(text: str) -> LexborHTMLParser:
    depth = 0
    for closing, name, rest in _TAG.findall(text):
        if name.lower() not in _VOID and not rest.endswith("/"):
            depth = max(0, depth - 1) if closing else depth + 1
        if depth > MAX_DEPTH:
            raise UnreadableFile(
                f"its elements lie more than {MAX_DEPTH} deep; save the page's text alone"
            )
    tree = LexborHTMLParser(text)
    for node in tree.css(_LEFT_OUT):
        node.decompose()
    return tree


def _language(tree: LexborHTMLParser) -> Language | None:
    root = tree.css_first("html")
    declared = (root.attributes.get("lang") or "") if root is not None else ""
    if declared[:2] == "es":
        return "es"
    return "en" if declared[:2] == "en" else None


class _Blocks:
    """Collects the blocks of a tree in document order; no text of it is lost or told twice."""

    def __init__(
        self, position: str = "block 1", *, counts: bool = True, fixed: bool = False
    ) -> None:
        self.found: list[Block] = []
        self._position = position
        self._counts = counts
        self._fixed = fixed
        self._level = 0

    def walk(self, node: LexborNode) -> None:
        """Add what ``node`` holds; words between its blocks become paragraphs."""
        loose: list[str] = []
        for child in node.iter(include_text=True):
            tag = child.tag or ""
            if tag == "-text":
                loose.append(child.text())
            elif tag not in _HEADINGS and tag not in _LEAVES and not _holds_blocks(child, tag):
                loose.append(" " if tag == "br" else _words(child, tag))
            else:
                self._flush(loose)
                self._block(child, tag)
        self._flush(loose)

    def _flush(self, loose: list[str]) -> None:
        self._add("paragraph", clean("".join(loose)))
        loose.clear()

    def _block(self, node: LexborNode, tag: str) -> None:
        line = node.attributes.get("data-line")
        if line and not self._fixed:
            self._position = f"line {line}"
        if tag in _HEADINGS:
            self._level = _HEADINGS[tag]
            self._add("heading", _text(node), self._level)
        elif tag == "summary":
            self._add("heading", _text(node), min(6, self._level + 1))
        elif tag in ("ul", "ol") and node.css_first(f"{_TITLES}, table") is None:
            self._add("list", "\n".join(_items(node)))
        elif tag == "dl" and node.css_first(f"{_TITLES}, table, ul, ol") is None:
            self._add("list", "\n".join(_pairs(node)))
        elif tag == "table" and not _is_layout(node):
            self._table(node)
        elif tag not in _CONTAINERS and not _holds_blocks(node, "p"):
            self._add("paragraph", _text(node))
        else:
            self.walk(node)

    def _table(self, table: LexborNode) -> None:
        caption = table.css_first("caption")
        if caption is not None:
            self._add("paragraph", _text(caption))
        rows = [
            " | ".join(_text(cell) for cell in row.iter() if cell.tag in ("td", "th"))
            for row in table.css("tr")
            if _table_of(row) == table
        ]
        self._add("table", "\n".join(row for row in rows if row.strip(" |")))

    def _add(self, kind: BlockKind, text: str, level: int = 0) -> None:
        if text:
            position = f"block {len(self.found) + 1}" if self._counts else self._position
            self.found.append(Block(kind, text, position, level))


def _holds_blocks(node: LexborNode, tag: str, *, own: bool = False) -> bool:
    if tag in _CONTAINERS and not own:
        return True
    found = node.css(_BLOCKS)
    return any(each != node for each in found)


def _is_layout(table: LexborNode) -> bool:
    """Whether a table only places things: one column, or headings within."""
    if table.css_first(_TITLES) is not None:
        return True
    widths = [
        sum(cell.tag in ("td", "th") for cell in row.iter())
        for row in table.css("tr")
        if _table_of(row) == table
    ]
    return max(widths, default=0) <= 1


def _table_of(row: LexborNode) -> LexborNode | None:
    node = row.parent
    while node is not None and node.tag != "table":
        node = node.parent
    return node


def _items(listing: LexborNode) -> list[str]:
    """One line an item; a nested list's items follow their parent's."""
    lines: list[str] = []
    for item in listing.iter():
        nested = [node for node in item.css("ul, ol") if _list_of(node) == listing]
        inner = [line for node in nested for line in _items(node)]
        for node in nested:
            node.decompose()
        own = _text(item)
        lines += [f"- {own}"] if own else []
        lines += inner
    return lines


def _list_of(node: LexborNode) -> LexborNode | None:
    outer = node.parent
    while outer is not None and outer.tag not in ("ul", "ol"):
        outer = outer.parent
    return outer


def _pairs(listing: LexborNode) -> list[str]:
    """``- term: description`` of a definition list."""
    lines: list[str] = []
    terms: list[str] = []
    for node in listing.css("dt, dd"):
        if node.tag == "dt":
            terms.append(_text(node))
        else:
            lines.append("- " + ": ".join(part for part in (", ".join(terms), _text(node)) if part))
            terms = []
    return lines + [f"- {term}" for term in terms]


def _text(node: LexborNode) -> str:
    """The words of a node; block elements and line breaks within keep words apart."""
    parts: list[str] = []
    _gather(node, parts)
    return clean("".join(parts))


def _gather(node: LexborNode, parts: list[str]) -> None:
    for child in node.iter(include_text=True):
        tag = child.tag or ""
        if tag == "-text":
            parts.append(child.text())
        elif tag in ("img", "br", "hr"):
            parts.append(f" {child.attributes.get('alt') or ''} ")
        else:
            apart = " " if tag in _HEADINGS or tag in _LEAVES or tag in _CONTAINERS else ""
            parts.append(apart)
            _gather(child, parts)
            parts.append(apart)


def _words(node: LexborNode, tag: str) -> str:
    if tag == "img":
        return f" {node.attributes.get('alt') or ''} "
    if tag == "button":  # what a page's machinery says; a heading's own button is its text
        return " "
    return _text_inline(node)


def _text_inline(node: LexborNode) -> str:
    parts: list[str] = []
    _gather(node, parts)
    return "".join(parts)
