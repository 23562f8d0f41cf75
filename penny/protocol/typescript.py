"""The protocol's JSON Schema as TypeScript declarations.

Covers what ``json_schema.build_schema`` produces and refuses anything else, so that a new kind of
field cannot pass as ``unknown`` unseen.
"""

from __future__ import annotations

from textwrap import wrap

from .message import Json


_HEADER = """\
// {title}. Generated from penny/protocol by `make protocol`; do not edit.
"""
_SCALARS = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean"}
_WIDTH = 96


def write_types(schema: Json) -> str:
    """Return the text of ``protocol.d.ts``.

    Raises:
        ValueError: the schema holds a construct this writer does not know.
    """
    parts = [_HEADER.format(title=schema["title"])]
    for name, definition in schema["$defs"].items():
        if "oneOf" in definition:
            members = "".join(f"\n  | {_type(member)}" for member in definition["oneOf"])
            parts.append(f"export type {name} ={members};\n")
        else:
            parts.append(_interface(name, definition))
    return "\n".join(parts)


def _interface(name: str, definition: Json) -> str:
    required = set(definition.get("required", ()))
    lines = [*_comment(definition.get("description", ""), ""), f"export interface {name} {{"]
    for field, schema in definition.get("properties", {}).items():
        lines += _comment(schema.get("description", ""), "  ")
        lines.append(f"  {field}{'' if field in required else '?'}: {_type(schema)};")
    if definition.get("additionalProperties") is True:
        lines.append("  [name: string]: unknown;")
    return "\n".join([*lines, "}", ""])


def _type(schema: Json) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[1]
    if "const" in schema:
        return _literal(schema["const"])
    if "enum" in schema:
        return " | ".join(_literal(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_type(part) for part in schema["anyOf"])
    match schema.get("type"):
        case "null":
            return "null"
        case "array":
            return f"Array<{_type(schema['items'])}>"
        case "object" if "properties" not in schema:
            inner = schema.get("additionalProperties", True)
            return f"Record<string, {_type(inner) if isinstance(inner, dict) else 'unknown'}>"
        case str(scalar) if scalar in _SCALARS:
            return _SCALARS[scalar]
    raise ValueError(f"no TypeScript for {schema}")


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _comment(text: str, indent: str) -> list[str]:
    if not text:
        return []
    if len(indent) + len(text) + 7 <= _WIDTH:
        return [f"{indent}/** {text} */"]
    body = wrap(text, _WIDTH - len(indent) - 3, break_long_words=False)
    return [f"{indent}/**", *(f"{indent} * {line}" for line in body), f"{indent} */"]
