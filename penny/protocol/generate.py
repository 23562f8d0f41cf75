"""Write the JSON Schema and the TypeScript types, or check that the written ones are current.

``python -m penny.protocol.generate [--check]``; exits 1 when ``--check`` finds a difference.
"""

from __future__ import annotations

import sys
from pathlib import Path

import orjson

from .json_schema import build_schema
from .typescript import write_types


PACKAGE = Path(__file__).parent
SCHEMA_FILE = PACKAGE / "schema" / "penny-session.schema.json"
TYPES_FILE = PACKAGE.parent / "web" / "protocol.d.ts"


def render() -> dict[Path, str]:
    """Return every generated file's path and whole text."""
    schema = build_schema()
    text = orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode() + "\n"
    return {SCHEMA_FILE: text, TYPES_FILE: write_types(schema)}


def find_drift() -> list[Path]:
    """Return the generated files that are missing or differ from the models."""
    return [
        path
        for path, text in render().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]


def main(arguments: list[str]) -> int:
    """Generate, or with ``--check`` compare; return the exit status."""
    if arguments == ["--check"]:
        drift = find_drift()
        for path in drift:
            sys.stderr.write(f"{path} differs from the models in penny/protocol; make protocol\n")
        return 1 if drift else 0
    if arguments:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    for path, text in render().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
