"""The YAML a document begins with: ``titulo``, ``idioma``, ``preguntas``, ``frases``,
``palabras``. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

import yaml

from kb.passage import Language


# The same reader in C, where the package was built with it: many phrases are much YAML.
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KEYS = frozenset(
    ["titulo", "idioma", "preguntas", "identificadores", "tipos", "hablado", "title", "language"]
)


class UnreadableFile(Exception):
    """The file cannot be served; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What a document says of itself, or a ``<file>.yaml`` says of the file beside it."""

    title: str = ""
    language: Language | None = None
    questions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    phrases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rest: dict[str, object] = field(default_factory=dict)


def split_front_matter(text: str) -> tuple[FrontMatter, str, int]:
    """Return (front matter, body, lines before the body).

    Raises:
        UnreadableFile: the YAML does not parse, or a key has the wrong shape.
    """
    if not text.startswith("---\n"):
        return FrontMatter(), text, 0
    end = text.find("\n---", 3)
    if end < 0:
        raise UnreadableFile("the front matter opened by --- on line 1 is never closed by ---")
    after = text.find("\n", end + 1)
    body = text[after + 1 :] if after >= 0 else ""
    return parse_front_matter(text[4 : end + 1]), body, text[: after + 1].count("\n")


def parse_front_matter(source: str) -> FrontMatter:
    """Read the YAML alone (a record file keeps it in ``<file>.yaml``).

    Raises:
        UnreadableFile: with the key and what it should be.
    """
    try:
        data = yaml.load(source, _LOADER) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" on line {mark.line + 2}" if mark else ""
        raise UnreadableFile(f"the front matter is not valid YAML{where}") from error
    if not isinstance(data, dict):
        raise UnreadableFile("the front matter must be keys and values")
    language = data.get("idioma", data.get("language"))
    if language not in (None, "es", "en"):
        raise UnreadableFile(f"idioma must be es or en, not {language!r}")
    rest = {str(key): value for key, value in data.items() if key in _KEYS}
    title = str(data.get("titulo", data.get("title", "")) or "")
    asked = _read_lists(data.get("preguntas"), "preguntas")
    said = _read_lists(data.get("frases"), "frases")
    return FrontMatter(title, language, asked, _read_words(data.get("palabras")), said, rest)


def _read_words(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise UnreadableFile("palabras must map each heading to the words callers use for it")
    return {str(heading): words for heading, words in value.items()}


def _read_lists(value: object, key: str) -> dict[str, tuple[str, ...]]:
    if value is None:
        return {}
    shape = f"{key} must map each heading to a list of texts"
    if not isinstance(value, dict):
        raise UnreadableFile(shape)
    questions: dict[str, tuple[str, ...]] = {}
    for heading, asked in value.items():
        if not isinstance(asked, list) or not all(isinstance(each, str) for each in asked):
            raise UnreadableFile(f"{shape}; {heading!r} is not a list of texts")
        questions[str(heading)] = tuple(asked)
    return questions
