"""``penny.yaml`` and the environment into a ``Config``; everything wrong is reported at once."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config.document import Document, Key, dotted, read_document
from config.retired import take_retired
from config.schema import Config, Origin
from penny.errors import ConfigError, ConfigErrors


DEFAULT_PATH = Path("penny.yaml")
PATH_VARIABLE = "PENNY_CONFIG"
EXTENDS = "extends"
"""The key of a file over which this one is laid, seen from its own folder."""
MOST_BASES = 8
_LONGEST_VALUE = 60


def load(
    path: Path | None,
    environment: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
) -> Config:
    """Read a configuration.

    Args:
        path: the file; None is what ``PENNY_CONFIG`` names, else ``penny.yaml`` in this folder.
        environment: where ``${VAR}`` comes from.
        overrides: dotted keys that the command line sets, over the file's.

    Raises:
        ConfigErrors: one error per wrong key, each with its key and line. A ``${VAR}`` that is
            missing in a mode's section is no error (``Config.origin.missing``), nor is a key that
            an earlier version had (``Config.origin.retired``).
    """
    file = path or Path(environment.get(PATH_VARIABLE) or DEFAULT_PATH)
    document, folder = _read_with_bases(file, environment, ())
    for key, value in (overrides or {}).items():
        _override(document, tuple(key.split(".")), value)
    retired = take_retired(document)
    config = _validate(document)
    if config is None or document.errors:
        raise ConfigErrors(_located(file, document.errors))
    origin = Origin(
        path=file.resolve(),
        folder=folder,
        missing=tuple(document.missing),
        lines={dotted(key): line for key, line in document.lines.items()},
        retired=retired,
    )
    return config.from_file(origin)


def _read_with_bases(
    file: Path, environment: Mapping[str, str], above: tuple[Path, ...]
) -> tuple[Document, Path]:
    """A file over those that it extends, and the folder that relative paths are seen from.

    Lines and errors are its own alone: a base that is wrong by itself is told as such.

    Raises:
        ConfigErrors: a base is wrong.
    """
    document = read_document(_read_text(file), environment)
    if EXTENDS not in document.data:
        return document, file.resolve().parent
    named = document.data.pop(EXTENDS)
    if not isinstance(named, str) or len(above) >= MOST_BASES:
        document.refuse((EXTENDS,), "names one file, which in the end extends none")
        raise ConfigErrors(_located(file, document.errors))
    below = file.resolve().parent / named
    base, folder = _read_with_bases(below, environment, (*above, file))
    if base.errors:
        raise ConfigErrors(_located(below, base.errors))
    document.data = _over(base.data, document.data)
    document.from_environment |= base.from_environment
    document.missing += [each for each in base.missing if each.key not in _dotted(document)]
    return document, folder


def _over(base: object, own: object) -> Any:
    """Sections are joined key by key; anything else of ``own`` stands for all of the base's."""
    if not isinstance(base, dict) or not isinstance(own, dict):
        return own
    return {**base, **{name: _over(base.get(name), value) for name, value in own.items()}}


def _dotted(document: Document) -> set[str]:
    return {dotted(key) for key in document.lines}


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        reason = f"{file} is not here; start in Penny's folder, or name the file with --config"
    except UnicodeDecodeError as error:
        reason = f"{file} is not UTF-8 text (byte {error.start})"
    except OSError as error:
        reason = f"{file} cannot be read: {error.strerror}"
    raise ConfigErrors([ConfigError(reason)])


def _override(document: Document, key: Key, value: object) -> None:
    section = document.data
    for part in key[:-1]:
        inner = section.get(str(part))
        if not isinstance(inner, dict):
            inner = section[str(part)] = {}
        section = inner
    section[str(key[-1])] = value
    document.lines.pop(key, None)


def _validate(document: Document) -> Config | None:
    # A section whose keys are all commented out reads as null; it means the defaults.
    data = {key: value for key, value in document.data.items() if value is not None}
    try:
        config = Config.model_validate(data)
        _refuse_booleans(data, config, (), document)
        return config
    except ValidationError as error:
        reported = {refused.key for refused in document.errors}
        for detail in error.errors(include_url=False):
            key = _key_of(detail)
            if dotted(key) not in reported:
                document.refuse(key, _explain(detail, key, document))
        return None


def _refuse_booleans(data: object, value: object, key: Key, document: Document) -> None:
    """YAML reads ``no`` and ``on`` as booleans; pydantic takes those for the numbers 0 and 1."""
    if isinstance(data, dict):
        for name, inner in data.items():
            found = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
            _refuse_booleans(inner, found, (*key, name), document)
    elif isinstance(data, bool) and isinstance(value, int | float) and not isinstance(value, bool):
        document.refuse(key, f"should be a number, got {str(data).lower()}")


def _key_of(detail: ErrorDetails) -> Key:
    key = tuple(part for part in detail["loc"] if part != "[key]")
    if detail["type"] == "key_error":
        key += tuple(str(detail["ctx"]["key"]).split("."))
    return key


def _explain(detail: ErrorDetails, key: Key, document: Document) -> str:
    kind = detail["type"]
    for variable in document.missing:
        if variable.key == dotted(key):
            return f"{variable.name} is not set; set it, or write ${{{variable.name}:-default}}"
    if kind == "extra_forbidden":
        return _explain_unknown(key)
    if kind == "missing":
        return "is required"
    if kind == "key_error":
        return detail["msg"]
    if kind in ("value_error", "assertion_error"):
        reason = str(detail["ctx"]["error"])
    else:
        reason = detail["msg"].replace("Input should", "should", 1)
    return reason + _show(detail["input"], key, document)


def _show(value: object, key: Key, document: Document) -> str:
    """The value given, unless it may be long or came from the environment."""
    if key in document.from_environment:
        return " (the value comes from the environment)"
    if value is None:
        return ", got null"
    if not isinstance(value, str | int | float):
        return ""
    text = str(value)
    return f", got {text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + '…'!r}"


def _explain_unknown(key: Key) -> str:
    known = sorted(_fields_at(key[:-1]))
    close = difflib.get_close_matches(str(key[-1]), known, n=1, cutoff=0.6)
    if close:
        return f"unknown key; did you mean '{close[0]}'?"
    return f"unknown key; known here: {', '.join(known)}"


def _fields_at(key: Key) -> list[str]:
    model: type[BaseModel] = Config
    parts = list(key)
    while parts:
        field = model.model_fields[str(parts.pop(0))]
        found = section_of(field.annotation)
        if found is None:
            return []
        model, is_table = found
        if is_table:
            parts = parts[1:]
    return list(model.model_fields)


def section_of(annotation: object) -> tuple[type[BaseModel], bool] | None:
    """The section that a field holds, and whether the field is a table of such by name."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    for argument in get_args(annotation):
        found = section_of(argument)
        if found is not None:
            return found[0], getattr(annotation, "__origin__", None) is dict
    return None


def _located(file: Path, errors: list[ConfigError]) -> list[ConfigError]:
    def place(error: ConfigError) -> str:
        parts = [f"{file}:{error.line}" if error.line else str(file), error.key, error.message]
        return ": ".join(part for part in parts if part)

    ordered = sorted(errors, key=lambda error: error.line or 0)
    return [ConfigError(place(error), key=error.key or None, line=error.line) for error in ordered]
