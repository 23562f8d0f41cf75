"""CSV and JSON records: each row or object is a passage with typed fields.

What a table cannot say of itself stands beside it in ``<file>.yaml``: ``titulo``, ``idioma``,
``identificadores`` (the columns that name a record), ``tipos`` (``fecha``, ``importe_eur``,
``texto``; the rest is guessed), ``hablado`` (how to say a record, with ``{column}``) and
``preguntas``.
"""

from __future__ import annotations

import csv
import datetime
import io
import re
from collections.abc import Iterator

import orjson

from kb.normal.months import MONTHS
from kb.passage import FieldValue
from kb.sources.blocks import FileContent, Record
from kb.sources.front_matter import FrontMatter, UnreadableFile


_INTEGER = re.compile(r"-?(0|[1-9]\d{0,14})$")
_DECIMAL = re.compile(r"-?(0|[1-9]\d{0,14})\.\d{1,6}$")
_DATUM = re.compile(
    r"[+-]?[\d.,]+\s*[€$%]?|\d{1,4}[-/]\d{1,2}[-/]\d{1,4}|\S+@\S+\.\w+|\+?[\d ]{7,}"
)
"""What a cell holds and no column is called: a number, amount, date, address or telephone."""
_BOOLEANS = {"true": True, "false": False, "sí": True, "si": True, "no": False}
_KINDS = frozenset(["fecha", "importe_eur", "texto"])


def read_csv(text: str, matter: FrontMatter) -> FileContent:
    """Read a table; without a header its columns are ``columna 1`` and so on.

    Raises:
        UnreadableFile: an unnamed column, or no row that could be read.
    """
    try:
        dialect: type[csv.Dialect] | str = csv.Sniffer().sniff(text[:4096], delimiters=",;\t")
    except csv.Error:
        dialect = "excel"
    reader = csv.reader(io.StringIO(text), dialect=dialect)
    rows: list[tuple[str, dict[str, object]]] = []
    names: list[str] = []
    faults: list[str] = []
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if not names and not any(_DATUM.fullmatch(cell) for cell in cells):
                names = cells
                continue
            if not names:
                names = [f"columna {at}" for at in range(1, len(cells) + 1)]
                faults.append("its first line names no columns; write a header above it")
            if len(cells) > len(names):
                fault = "has more cells than the header; quote the separator"
                faults.append(f"row {reader.line_num} {fault}")
                continue
            told = {name: cell for name, cell in zip(names, cells, strict=False) if cell}
            rows.append((f"row {reader.line_num}", dict(told)))
    except csv.Error as error:
        faults.append(f"row {reader.line_num}: {error}")
    if not all(names):
        raise UnreadableFile("the first line must name every column")
    return _content(rows, matter, faults)


def read_json(data: bytes, matter: FrontMatter) -> FileContent:
    """Read a list of objects, one object, or one object a line (``.jsonl``).

    Raises:
        UnreadableFile: not JSON, something other than objects in it, or no line that could be read.
    """
    faults: list[str] = []
    try:
        parsed = orjson.loads(data)
    except orjson.JSONDecodeError as whole:
        parsed = []
        for number, line in enumerate(data.splitlines(), 1):
            try:
                parsed += [orjson.loads(line)] if line.strip() else []
            except orjson.JSONDecodeError as error:
                faults.append(f"line {number} is not valid JSON: {error}")
        if not parsed:
            raise UnreadableFile(f"not valid JSON: {whole}") from whole
    items = parsed if isinstance(parsed, list) else [parsed]
    if not all(isinstance(item, dict) for item in items):
        raise UnreadableFile("a JSON source must be a list of objects")
    rows = [(f"record {at}", _flatten(item)) for at, item in enumerate(items, 1)]
    return _content(rows, matter, faults)


def _flatten(item: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in item.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            flat[f"{prefix}{name}"] = ", ".join(str(each) for each in value)
        elif value is not None:
            flat[f"{prefix}{name}"] = value
    return flat


def _content(
    rows: list[tuple[str, dict[str, object]]], matter: FrontMatter, faults: list[str]
) -> FileContent:
    if faults and not rows:
        raise UnreadableFile(faults[0])
    kinds = matter.rest.get("tipos") or {}
    names = matter.rest.get("identificadores") or []
    spoken = str(matter.rest.get("hablado") or "")
    if not isinstance(kinds, dict) or not set(map(str, kinds.values())) <= _KINDS:
        raise UnreadableFile(f"tipos must give each column one of {', '.join(sorted(_KINDS))}")
    if not isinstance(names, list):
        raise UnreadableFile("identificadores must be a list of columns")
    columns = {name for _, row in rows for name in row}
    unknown = [str(name) for name in [*kinds, *names] if rows and name not in columns]
    if unknown:
        raise UnreadableFile(f"no column is called {', '.join(unknown)}")
    records = tuple(_records(rows, {str(k): str(v) for k, v in kinds.items()}, names, spoken))
    lacking = "; ".join(faults[:3]) + (f"; {len(faults) - 3} more" if len(faults) > 3 else "")
    return FileContent.of(matter, matter.title, records=records, lacking=lacking)


def _records(
    rows: list[tuple[str, dict[str, object]]],
    kinds: dict[str, str],
    names: list[object],
    spoken: str,
) -> Iterator[Record]:
    for position, row in rows:
        fields = {name: typed(value, kinds.get(name)) for name, value in row.items()}
        said = {name: say(value, kinds.get(name)) for name, value in fields.items()}
        text = ". ".join(f"{name.replace('_', ' ')}: {said[name]}" for name in fields)
        chosen = [str(fields[str(name)]) for name in names if str(name) in fields]
        name = " ".join(chosen) or str(next(iter(fields.values())))
        try:
            speakable = spoken.format_map(said).strip() if spoken else ""
        except (KeyError, ValueError, IndexError, AttributeError):
            speakable = ""
        yield Record(name, fields, position, text, speakable or text)


def typed(value: object, kind: str | None) -> FieldValue:
    """Return a cell as text, whole number, number or truth; dates stay ISO text."""
    if isinstance(value, bool | int | float):
        return value
    text = str(value)
    if kind in ("texto", "fecha"):
        return text
    if kind == "importe_eur" or _DECIMAL.match(text):
        try:
            return float(text.replace("€", "").strip())
        except ValueError as error:
            raise UnreadableFile(f"{text!r} is no amount; write 1500.00") from error
    if _INTEGER.match(text):
        return int(text)
    return _BOOLEANS.get(text.lower(), text)


def say(value: FieldValue, kind: str | None) -> str:
    """Return a value as a person reads it: ``15 de enero de 2025``, ``84,35 euros``."""
    if kind == "importe_eur" and isinstance(value, int | float):
        written = f"{value:.2f}".replace(".", ",").removesuffix(",00")
        return f"{written} euros"
    if kind == "fecha" and isinstance(value, str):
        try:
            day = datetime.date.fromisoformat(value)
        except ValueError as error:
            raise UnreadableFile(f"{value!r} is no date; write 2025-01-15") from error
        return f"{day.day} de {MONTHS['es'][day.month - 1]} de {day.year}"
    if isinstance(value, bool):
        return "sí" if value else "no"
    return str(value).replace(".", ",") if isinstance(value, float) else str(value)
