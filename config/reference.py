"""The table of keys in this package's README, made from the schema.

``python -m config.reference`` writes it anew; a test fails when it is out of date.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from config.loader import section_of
from config.schema import Config


README = Path(__file__).parent / "README.md"
BEGIN = "<!-- keys: made by python -m config.reference -->\n"
END = "<!-- end of keys -->\n"


def walk(model: type[BaseModel] = Config, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every leaf key, dotted, with ``<name>`` where a table is keyed by a free name."""
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        section = section_of(field.annotation)
        if section is None:
            yield key, field
        else:
            inner, is_table = section
            yield from walk(inner, f"{key}.<name>." if is_table else f"{key}.")


def make_table() -> str:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, field in walk():
        cells = (f"`{key}`", _type_of(field.annotation), _default_of(field), field.description)
        rows.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def replace_table(text: str) -> str:
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + make_table() + END + after


def _type_of(annotation: object) -> str:
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return _type_of(arguments[0])
    if not arguments:
        return getattr(annotation, "__name__", str(annotation)).replace("NoneType", "null")
    if all(isinstance(argument, str | int) for argument in arguments):
        return " / ".join(str(argument) for argument in arguments)
    if get_origin(annotation) is tuple:
        return f"list of {_type_of(arguments[0])}"
    if get_origin(annotation) is dict:
        return f"table of {_type_of(arguments[1])}"
    return " / ".join(_type_of(argument) for argument in arguments)


def _default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, dict):
        return f"{len(value)} rows"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[]" if not value else ", ".join(map(str, value))
    text = str(value)
    return "(empty)" if not text else text if len(text) <= 60 else text[:57] + "…"


if __name__ == "__main__":
    README.write_text(replace_table(README.read_text(encoding="utf-8")), encoding="utf-8")
