"""``penny.yaml`` as data that remembers its lines, with ``${VAR}`` filled from the environment.

Text is parsed before variables are filled in, so that no value of the environment can add keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml
from yaml.reader import ReaderError

from config.credentials import is_secret
from config.schema import MissingVariable
from penny.errors import ConfigError


Key = tuple[str | int, ...]
Value = object

_MAX_DEPTH = 20
_TOO_DEEP = "too many levels"


def _build_default(depth: int) -> str:
    """Pattern of a default: text, and other variables so many levels deep."""
    inner = rf"\$\{{[A-Za-z_]\w*(?::-{_build_default(depth - 1)})?\}}" if depth else r"(?!)"
    return rf"(?:[^}}$]|\$(?!\{{)|{inner})*"


_NAME_AND_DEFAULT = rf"(?P<name>[A-Za-z_]\w*)(?::-(?P<default>{_build_default(3)}))?"
_VARIABLE = re.compile(rf"\$(?:(?P<escaped>\$)|\{{{_NAME_AND_DEFAULT}\}})")
_BROKEN_VARIABLE = re.compile(rf"(?<!\$)(?:\$\$)*\$\{{(?!{_NAME_AND_DEFAULT}\}})")


@dataclass(slots=True)
class Document:
    """A parsed configuration file.

    ``lines`` maps the path of a key to its line, counted from 1.
    """

    data: dict[str, Value] = field(default_factory=dict)
    lines: dict[Key, int] = field(default_factory=dict)
    from_environment: set[Key] = field(default_factory=set)
    missing: list[MissingVariable] = field(default_factory=list)
    errors: list[ConfigError] = field(default_factory=list)

    def line_of(self, key: Key) -> int | None:
        """The line of ``key``, or of the nearest section around it that the file has."""
        for length in range(len(key), 0, -1):
            if key[:length] in self.lines:
                return self.lines[key[:length]]
        return None

    def refuse(self, key: Key, reason: str, line: int | None = None) -> None:
        name = dotted(key)
        self.errors.append(ConfigError(reason, key=name, line=line or self.line_of(key)))


def dotted(key: Key) -> str:
    """``gateway.port``; a part that has dots of its own is quoted, an index is in brackets."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (f'"{part}"' if "." in part else part)
    return text


def read_document(text: str, environment: Mapping[str, str]) -> Document:
    """Parse ``text``. What is wrong with it is in ``errors``; the rest is there all the same."""
    document = Document()
    try:
        document.data = _read_sections(text, document, environment)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        document.refuse((), f"not YAML: {error.problem}", mark.line + 1 if mark else None)
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        document.refuse((), f"not YAML: {error.reason}", line)
    except RecursionError:
        document.refuse((), _TOO_DEEP, 1)
    return document


def _read_sections(
    text: str, document: Document, environment: Mapping[str, str]
) -> dict[str, Value]:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return {}
        if isinstance(node, yaml.MappingNode):
            return _Reader(loader, document, environment).read_mapping(node, ())
        document.refuse((), "the file is not a mapping of sections", node.start_mark.line + 1)
        return {}
    finally:
        loader.dispose()


@dataclass(slots=True)
class _Reader:
    """Builds the data of a YAML tree and notes the line of every key."""

    loader: yaml.SafeLoader
    document: Document
    environment: Mapping[str, str]

    def read(self, node: yaml.Node, key: Key) -> Value:
        if len(key) > _MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=_TOO_DEEP, problem_mark=node.start_mark)
        if isinstance(node, yaml.MappingNode):
            return self.read_mapping(node, key)
        if isinstance(node, yaml.SequenceNode):
            for index, child in enumerate(node.value):
                self.document.lines[(*key, index)] = child.start_mark.line + 1
            return [self.read(child, (*key, index)) for index, child in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        if node.tag == "tag:yaml.org,2002:str" and "$" in node.value:
            return self._fill(node, key)
        try:
            value: Value = self.loader.construct_object(node)
        except ValueError as error:  # a date such as 2026-13-01, a number such as !!int ten
            self.document.refuse(key, f"'{node.value}': {error}", node.start_mark.line + 1)
            return None
        return value

    def read_mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, Value]:
        mapping: dict[str, Value] = {}
        for name_node, child in node.value:
            line = name_node.start_mark.line + 1
            if not isinstance(name_node, yaml.ScalarNode):
                self.document.refuse(key, "a key is a plain word", line)
                continue
            name = str(name_node.value)
            if "${" in name:
                name = self._fill(name_node, (*key, name)) or ""
            inner = (*key, name)
            if name in mapping:
                first = self.document.lines[inner]
                self.document.refuse(inner, f"given twice; first on line {first}", line)
                continue
            self.document.lines[inner] = line
            mapping[name] = self.read(child, inner)
        return mapping

    def _fill(self, node: yaml.ScalarNode, key: Key) -> str | None:
        line = node.start_mark.line + 1
        if _BROKEN_VARIABLE.search(node.value):
            self.document.refuse(
                key, "write ${NAME}, ${NAME:-default}, or $${ for a plain ${", line
            )
            return str(node.value)

        def replace(match: re.Match[str]) -> str:
            if match["escaped"]:
                return "$"
            self.document.from_environment.add(key)
            return self._look_up(match, key, line)

        text = _VARIABLE.sub(replace, node.value)
        plain = node.style is None
        return None if not text and plain else text

    def _look_up(self, match: re.Match[str], key: Key, line: int) -> str:
        name, default = match["name"], match["default"]
        if is_secret(name):
            self.document.refuse(
                key, f"{name} is a secret: Penny reads it from the environment by itself", line
            )
            return ""
        value = self.environment.get(name, "")
        if value:
            return value
        if default is not None:
            return _VARIABLE.sub(lambda inner: self._look_up(inner, key, line), default)
        if key[:2] == ("penny", "modes") and len(key) > 3:
            self.document.missing.append(MissingVariable(name=name, key=dotted(key), line=line))
            return str(match[0])
        self.document.refuse(key, f"{name} is not set; set it, or write ${{{name}:-default}}", line)
        return ""
