"""How telephone lines do on the wire: E1 to E17, from pacing to echo.

    python -m tests.bench.phone [--only E6,E13] [--write] [--json FILE]

Penny's wires and telephone edge stand before peers that behave as the carriers do, over real
sockets on loopback and on the wall clock: run it on a quiet machine. Prints a table; exit status 1
where a figure is over its limit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import traceback
from dataclasses import asdict
from pathlib import Path

from tests.bench.phone import asterisk, echo, line, live, twilio
from tests.bench.phone.row import Measure, Row


README = Path(__file__).parents[3] / "penny" / "edges" / "telephone" / "README.md"
BEGIN = "<!-- figures: made by python -m tests.bench.phone --write -->\n"
END = "<!-- end of figures -->\n"
MOST_S = 150.0
MODULES = (asterisk, live, twilio, line, echo)


async def measure(only: set[str]) -> list[Row]:
    rows = []
    for module in MODULES:
        for name, row in module.ROWS:
            if not only or name in only:
                rows.append(await measured(name, row))
                tell(rows[-1])
    return sorted(rows, key=lambda row: (int(row.id[1:]), row.wire))


async def measured(name: str, measure_row: Measure) -> Row:
    """The row, or one that says what kept it from being measured: the others go on."""
    try:
        async with asyncio.timeout(MOST_S):
            return await measure_row()
    except Exception as error:
        traceback.print_exc()
        return Row(name, f"not measured: {type(error).__name__}", "", {}, "", ok=False)


def tell(row: Row) -> None:
    figures = "  ".join(f"{name} {value:g}" for name, value in row.figures.items())
    verdict = "ok " if row.ok else "OVER"
    print(f"{row.id:4} {row.wire:12} {verdict:5} {figures}   ({row.what}; {row.limit})", flush=True)


HEAD = ["| figure | wire | measured | limit | |", "|---|---|---|---|---|"]


def as_table(rows: list[Row], before: list[str]) -> str:
    """The rows as a table of the README; of figures that were not measured, those of ``before``."""
    measured = {(row.id, row.wire) for row in rows}
    lines = [line for line in before if _of(line) not in measured]
    for row in rows:
        figures = ", ".join(f"{name} {value:g}" for name, value in row.figures.items())
        verdict = "ok" if row.ok else "**over**"
        lines.append(f"| {row.id} {row.what} | {row.wire} | {figures} | {row.limit} | {verdict} |")
    lines.sort(key=lambda line: (int(_of(line)[0][1:]), _of(line)[1]))
    return "\n".join(HEAD + lines) + "\n"


def _of(line: str) -> tuple[str, str]:
    """The figure and the wire of a row of the table."""
    _, figure, wire, *_ = (each.strip() for each in line.split("|"))
    return figure.partition(" ")[0], wire


def write(rows: list[Row]) -> None:
    """Put the table into the README of ``penny.edges.telephone``."""
    before, rest = README.read_text(encoding="utf-8").split(BEGIN)
    table, after = rest.split(END)
    text = as_table(rows, table.splitlines()[len(HEAD) :])
    README.write_text(before + BEGIN + text + END + after, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.bench.phone")
    parser.add_argument("--only", default="", help="figures, with commas between")
    parser.add_argument("--write", action="store_true", help="the table into the README")
    parser.add_argument("--json", type=Path, help="file for the rows")
    asked = parser.parse_args()
    rows = asyncio.run(measure({name for name in asked.only.split(",") if name}))
    if asked.json is not None:
        asked.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    if asked.write:
        write(rows)
    return 0 if all(row.ok for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
