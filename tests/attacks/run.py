"""``make attacks``: every attack, the measured ones too; writes the tables of this folder's README.

Run it on a machine that does nothing else: the figures of "one caller" are times. Exit status 1
when one did not hold. Names as arguments run those alone and write nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.attacks.attack import Attack
from tests.attacks.house import Street
from tests.attacks.listed import ATTACKS
from tests.doubles.operator import HOUSE_KEY


README = Path(__file__).parent / "README.md"
MARK = "<!-- written by `make attacks` -->"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--minutes", type=float, default=600.0)
    arguments = parser.parse_args()
    names, ends_s = arguments.names, time.monotonic() + 60 * arguments.minutes
    os.environ["PENNY_ADMIN_API_KEY"] = HOUSE_KEY
    chosen = [each for each in ATTACKS if not names or each.run.__name__ in names]
    chosen.sort(key=lambda attack: attack.measured)
    seen: list[tuple[Attack, str, bool]] = []
    with (
        tempfile.TemporaryDirectory(prefix="penny-attacks-") as folder,
        Street(Path(folder)) as way,
    ):
        for attack in chosen:
            began_s = time.monotonic()
            if began_s > ends_s:
                seen.append((attack, "not run", True))
                continue
            try:
                figure, held = str(way.call(attack.run(way.house(attack.house)))), True
            except Exception as error:
                figure, held = f"{type(error).__name__}: {error}"[:120], False
                traceback.print_exc()
            seen.append((attack, figure, held))
            told, took_s = "held" if held else "NOT HELD", time.monotonic() - began_s
            print(f"{told:9}{attack.run.__name__:45}{took_s:6.1f} s  {figure}")
    lost = [attack for attack, _, held in seen if not held]
    print(f"{len(seen)} attacks, {len(lost)} not held")
    if not names:
        write_tables(seen)
    return 1 if lost else 0


def write_tables(seen: list[tuple[Attack, str, bool]]) -> None:
    run = [each for each in seen if each[1] != "not run"]
    held, cores, load = sum(each[2] for each in run), os.cpu_count(), os.getloadavg()[2]
    lines = [
        f"{len(seen)} attacks, {len(run)} run, {held} held, on {cores} cores "
        f"(load of the last quarter of an hour: {load:.0f}). {MARK}"
    ]
    for kind in dict.fromkeys(attack.kind for attack, *_ in seen):
        lines += ["", f"## {kind}", "", "| attempt | must hold | seen |", "|---|---|---|"]
        for attack, figure, held in seen:
            if attack.kind == kind:
                told = figure if held else f"**not held**: {figure}"
                cells = (attack.title, attack.holds, told)
                lines.append("| " + " | ".join(each.replace("|", "/") for each in cells) + " |")
    before = README.read_text(encoding="utf-8").split("\n\n## Result", 1)[0].rstrip()
    README.write_text(before + "\n\n## Result\n\n" + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
