"""Calls that were found, as a file: CSV, XLSX, JSON Lines or Parquet, in constant memory.

CSV and JSON Lines go out as they are read. XLSX and Parquet have their index at the end: they are
written into a temporary file first, by a thread that is given a page of rows at a time.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from penny.calls.query import SHOWN, CallQuery
from penny.calls.store import CallStore
from penny.writable import dump_json


Json = dict[str, Any]
Format = Literal["csv", "xlsx", "jsonl", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
KINDS: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "jsonl": "application/x-ndjson; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
"""The content type of each."""

COLUMNS = ("started_at", *SHOWN)
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is a formula to a spreadsheet (OWASP, CSV injection)."""
PIECE_BYTES = 1 << 18
MOST_ROWS = 1_048_575
"""Of a sheet; what is beyond is left out, and the last row says so with an ellipsis."""
ROW_GROUP = 10_000
_NUMBERS = {
    "started_ms": "int64",
    "duration_ms": "int64",
    "turns": "int64",
    "interruptions": "int64",
    "cost_usd": "float64",
    "processed": "bool",
    "alert": "bool",
    "held": "bool",
}

Pages = AsyncIterator[list[Json]]


async def export(
    store: CallStore, tenant: str | None, query: CallQuery, form: Format, zone: ZoneInfo
) -> AsyncIterator[bytes]:
    """The file, in pieces. A call is a row; in JSON Lines the whole record with its turns.

    Args:
        zone: in which ``started_at`` is written.

    Raises:
        ProtocolError, StoreUnavailable, OSError.
    """
    if form == "jsonl":
        async for call in store.stream(tenant, query):
            yield dump_json(call.model_dump(mode="json")) + b"\n"
        return
    pages = _told(store.rows(tenant, query), zone)
    if form == "csv":
        yield _csv_lines([dict(zip(COLUMNS, COLUMNS, strict=True))])
        async for rows in pages:
            yield _csv_lines(rows)
        return
    with TemporaryDirectory(prefix="penny-export-") as folder:
        path = Path(folder) / f"calls.{form}"
        write = _write_xlsx if form == "xlsx" else _write_parquet
        await asyncio.to_thread(write, path, _from_thread(pages))
        with path.open("rb") as file:
            while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
                yield piece


async def _told(pages: Pages, zone: ZoneInfo) -> Pages:
    async for rows in pages:
        for row in rows:
            began = datetime.fromtimestamp(row["started_ms"] / 1000, UTC).astimezone(zone)
            row["started_at"] = began.isoformat(timespec="milliseconds")
            row["topics"] = ", ".join(row["topics"] or ())
        yield rows


def _from_thread(pages: Pages) -> Iterator[list[Json]]:
    """The pages for a thread, each read in the loop when it is asked for."""
    loop = asyncio.get_running_loop()

    def iterate() -> Iterator[list[Json]]:
        while True:
            page = asyncio.run_coroutine_threadsafe(_next(pages), loop).result()
            if page is None:
                return
            yield page

    return iterate()


async def _next(pages: Pages) -> list[Json] | None:
    return await anext(pages, None)


def write_csv(rows: Sequence[Json]) -> bytes:
    """A table of any rows, with the names of their fields above; no cell is a formula."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(names := list(rows[0]) if rows else [])
    writer.writerows([_safe(row[name]) for name in names] for row in rows)
    return text.getvalue().encode()


def _csv_lines(rows: list[Json]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([_safe(row[name]) for name in COLUMNS] for row in rows)
    return text.getvalue().encode()


def _safe(value: Any) -> Any:
    """A cell that no spreadsheet runs."""
    if isinstance(value, str) and value.startswith(FORMULA):
        return "'" + value
    return "" if value is None else value


def _write_xlsx(path: Path, pages: Iterator[list[Json]]) -> None:
    """A sheet of texts and numbers; nothing in it is a formula. In a thread."""
    from xlsxwriter import Workbook

    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with Workbook(str(path), options) as book:
        sheet = book.add_worksheet("calls")
        sheet.freeze_panes(1, 0)
        sheet.write_row(0, 0, COLUMNS, book.add_format({"bold": True}))
        line = 0
        for page in pages:
            for row in page:
                line += 1
                if line == MOST_ROWS:
                    book.worksheets()[0].write_string(line, 0, "…")
                    return
                sheet.write_row(line, 0, [row[name] for name in COLUMNS])


def _write_parquet(path: Path, pages: Iterator[list[Json]]) -> None:
    """Columns with types. In a thread."""
    from arro3.core import Array, DataType, Field, RecordBatch, RecordBatchReader, Schema
    from arro3.io import write_parquet

    kinds = {name: getattr(DataType, _NUMBERS.get(name, "string"))() for name in COLUMNS}
    schema = Schema([Field(name, kind, nullable=True) for name, kind in kinds.items()])

    def batches() -> Iterator[RecordBatch]:
        for page in pages:
            columns = [Array([row[name] for row in page], kinds[name]) for name in COLUMNS]
            yield RecordBatch.from_arrays(columns, schema=schema)

    reader = RecordBatchReader.from_batches(schema, batches())
    write_parquet(reader, path, compression="zstd(3)", max_row_group_size=ROW_GROUP)
