"""Asterisk's configuration files: writing sections that hold any value, and reading them back.

``read`` follows ``main/config.c`` where it matters for what ``Section.render`` writes: comments
and their escape, template headers, ``#include``. What is read must equal what was meant, or the
file is not installed. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field


NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")
OPTION = re.compile(r"[a-z0-9_]{1,60}")


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a file.

    Args:
        options: (name, value), in order; an operator of ``=>`` is written for ``exten``, ``same``.
        header: what follows the name: '' or ``(!)`` for a template, ``(NAME)`` for what it takes.
    """

    name: str
    options: list[tuple[str, str]] = field(default_factory=list)
    header: str = ""

    def render(self) -> str:
        """Its text. Raises ValueError: a name or value that cannot stand in such a file."""
        if not NAME.fullmatch(self.name) or not re.fullmatch(r"|\((!|[a-z0-9-]+)\)", self.header):
            raise ValueError(f"section {self.name!r}{self.header!r}")
        lines = [f"[{self.name}]{self.header}"]
        for name, value in self.options:
            if not OPTION.fullmatch(name) or not value.isprintable() or value != value.strip():
                raise ValueError(f"{self.name}.{name}")
            if "\\;" in value:
                raise ValueError(f"{self.name}.{name}: a backslash before ; cannot be written")
            sign = "=>" if name in ("exten", "same") else "="
            lines.append(f"{name} {sign} {escape(value)}")
        return "\n".join(lines) + "\n"


def escape(value: str) -> str:
    """``;`` begins a comment unless a backslash stands before it."""
    return value.replace(";", "\\;")


def render(sections: Iterable[Section], top: Iterable[str] = ()) -> str:
    """A file: comment lines and ``#include`` first, then its sections. Raises ValueError."""
    head = "".join(f"{line}\n" for line in top)
    return "\n".join([head, *(section.render() for section in sections)])


def read(text: str) -> tuple[list[Section], list[str]]:
    """The sections of a file, and what it includes. Raises ValueError: not as we write them."""
    sections: list[Section] = []
    includes: list[str] = []
    for raw in text.split("\n"):
        line = _without_comment(raw).strip()
        if not line:
            continue
        if line.startswith("#"):
            includes.append(line.removeprefix("#include").strip().strip('"'))
        elif line.startswith("["):
            name, _, header = line[1:].partition("]")
            sections.append(Section(name, [], header))
        else:
            option, mark, value = line.partition("=")
            if not mark or not sections:
                raise ValueError("a line that is no option")
            sections[-1].options.append((option.strip(), value.removeprefix(">").strip()))
    return sections, includes


def _without_comment(line: str) -> str:
    kept, at = line, 0
    while (found := kept.find(";", at)) >= 0:
        if found > 0 and kept[found - 1] == "\\":
            kept, at = kept[: found - 1] + kept[found:], found
        else:
            return kept[:found]
    return kept


def check(text: str, sections: Iterable[Section], includes: Iterable[str]) -> None:
    """Raises ValueError where Asterisk would read anything but these."""
    if read(text) != (list(sections), list(includes)):
        raise ValueError("the file would not be read as it was meant")
