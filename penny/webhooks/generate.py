"""Write the events' JSON Schema and their page of the documents, or check that both are current.

``python -m penny.webhooks.generate [--check]``; exits 1 when ``--check`` finds a difference.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson

from penny.webhooks.events import FULL, MODELS, Told


Json = dict[str, Any]

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA_FILE, PAGE_FILE = DOCS / "webhooks.schema.json", DOCS / "webhooks.md"
INTRODUCTION = Path(__file__).with_name("introduction.md")


def build_schema() -> Json:
    """One schema of every event: ``oneOf`` of ``{"type", "timestamp", "data"}``."""
    definitions: Json = {}
    events = []
    for kind, model in MODELS.items():
        schema = model.model_json_schema(mode="serialization", ref_template="#/$defs/{model}")
        definitions |= schema.pop("$defs", {})
        definitions[model.__name__] = schema
        properties = {
            "type": {"const": kind},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": {"$ref": f"#/$defs/{model.__name__}"},
        }
        events.append({"type": "object", "properties": properties, "required": [*properties]})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Penny's webhooks, with a full payload",
        "oneOf": events,
        "$defs": definitions,
    }


def write_page() -> str:
    """The page: how deliveries come, and each event with its fields."""
    parts = [INTRODUCTION.read_text(encoding="utf-8").rstrip(), "\n## Events\n"]
    common = set.intersection(*(set(m.model_fields) for m in MODELS.values() if _is_of_call(m)))
    parts.append("Every event of a call has:\n")
    first = next(iter(MODELS.values()))
    parts += _table(first, [name for name in first.model_fields if name in common])
    for kind, model in MODELS.items():
        own = [n for n in model.model_fields if not _is_of_call(model) or n not in common]
        about = " ".join((model.__doc__ or "").split())
        parts.append(f"\n### `{kind}`\n\n{about}\n")
        parts += _table(model, own) if own else []
    return "\n".join(parts).rstrip() + "\n"


def _is_of_call(model: type[Told]) -> bool:
    return "call_id" in model.model_fields


def _table(model: type[Told], names: list[str]) -> list[str]:
    properties = model.model_json_schema(mode="serialization")["properties"]
    rows = ["| field | type | payload | what it is |", "|---|---|---|---|"]
    for name in names:
        payload = "full" if model.model_fields[name].json_schema_extra == FULL else "thin, full"
        kind = _type_of(properties[name])
        rows.append(f"| `{name}` | {kind} | {payload} | {model.model_fields[name].description} |")
    return rows


def _type_of(schema: Json) -> str:
    if "anyOf" in schema:
        return " or ".join(_type_of(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    kind = str(schema.get("format") or schema.get("type"))
    return f"array of {_type_of(schema['items'])}" if kind == "array" else kind


def render() -> dict[Path, str]:
    """Every generated file's path and whole text."""
    schema = orjson.dumps(build_schema(), option=orjson.OPT_INDENT_2).decode() + "\n"
    return {SCHEMA_FILE: schema, PAGE_FILE: write_page()}


def main(arguments: list[str]) -> int:
    """Generate, or with ``--check`` compare; return the exit status."""
    if arguments == ["--check"]:
        drift = [
            path
            for path, text in render().items()
            if not path.is_file() or path.read_text(encoding="utf-8") != text
        ]
        for path in drift:
            sys.stderr.write(f"{path}: differs; python -m penny.webhooks.generate\n")
        return 1 if drift else 0
    if arguments:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    for path, text in render().items():
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
