"""How telephone lines do on the wire: interruptions, positions, last words and keys.

    python -m tests.bench.phone [--only E6,E13] [--json FILE]

Penny's wires and telephone edge stand before peers that behave as the carriers do, over real
sockets on loopback and on the wall clock: run it on a quiet machine. Prints a table; exit status 1
where a figure is over its limit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

from tests.bench.phone import asterisk
from tests.bench.phone.row import Row


MODULES = (asterisk,)


async def measure(only: set[str]) -> list[Row]:
    rows = []
    for module in MODULES:
        for name, row in module.ROWS:
            if not only or name in only:
                rows.append(await row())
                tell(rows[-1])
    return rows


def tell(row: Row) -> None:
    figures = "  ".join(f"{name} {value:g}" for name, value in row.figures.items())
    verdict = "ok " if row.ok else "OVER"
    print(f"{row.id:4} {row.wire:12} {verdict:5} {figures}   ({row.what}; {row.limit})", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.bench.phone")
    parser.add_argument("--only", default="", help="figures, with commas between")
    parser.add_argument("--json", type=Path, help="file for the rows")
    asked = parser.parse_args()
    rows = asyncio.run(measure({name for name in asked.only.split(",") if name}))
    if asked.json is not None:
        asked.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    return 0 if all(row.ok for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
