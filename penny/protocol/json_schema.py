"""The protocol as one JSON Schema document (draft 2020-12)."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import JsonSchemaMode, models_json_schema

from .message import Json, Part
from .registry import CLIENT_MESSAGES, SERVER_EVENTS
from .session import PROTOCOL_VERSION


def build_schema() -> Json:
    """Return the schema: ``$defs`` holds every object, ClientMessage and ServerMessage the unions.

    Client messages are described as they may be sent (defaults optional), server events as they
    arrive (every field present).
    """
    models: list[tuple[type[Part], JsonSchemaMode]] = [
        *((model, "validation") for model in CLIENT_MESSAGES.values()),
        *((model, "serialization") for model in SERVER_EVENTS.values()),
    ]
    _, document = models_json_schema(models, ref_template="#/$defs/{model}")
    objects = {name: _tidy(schema) for name, schema in sorted(document["$defs"].items())}
    for model in (*CLIENT_MESSAGES.values(), *SERVER_EVENTS.values()):
        # The default lets Python leave the discriminator out; on the wire it always stands.
        required = objects[model.__name__].setdefault("required", [])
        if "type" not in required:
            required.insert(0, "type")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Penny session protocol {PROTOCOL_VERSION}",
        "description": "Generated from penny/protocol; do not edit.",
        "oneOf": [_ref("ClientMessage"), _ref("ServerMessage")],
        "$defs": {
            "ClientMessage": _union([model.__name__ for model in CLIENT_MESSAGES.values()]),
            "ServerMessage": _union([model.__name__ for model in SERVER_EVENTS.values()]),
            **objects,
        },
    }


def _ref(name: str) -> Json:
    return {"$ref": f"#/$defs/{name}"}


def _union(names: list[str]) -> Json:
    return {"oneOf": [_ref(name) for name in names]}


def _tidy(schema: Any) -> Any:
    """Drop the titles, which only repeat the names, and the backticks of Python's docstrings."""
    if isinstance(schema, list):
        return [_tidy(part) for part in schema]
    if not isinstance(schema, dict):
        return schema.replace("``", "`") if isinstance(schema, str) else schema
    return {
        key: (
            {name: _tidy(part) for name, part in value.items()}
            if key == "properties"
            else _tidy(" ".join(value.split()) if key == "description" else value)
        )
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
    }
