"""``make attacks``: every attack, the measured ones too; writes the tables of this folder's README.

Run it on a machine that does nothing else: the figures of "one caller" are times. Exit status 1
when one did not hold. Names as arguments run those alone, and renew their rows.
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
NOT_RUN, LOST = "not run", "**not held**: "


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
                seen.append((attack, NOT_RUN, True))
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
    write_tables(seen)
    return 1 if lost else 0


def read_tables() -> dict[str, str]:
    """Title -> what was seen, as the last runs wrote it."""
    rows = [line.strip("| ").split(" | ") for line in README.read_text("utf-8").splitlines()]
    return {row[0]: row[2] for row in rows if len(row) == 3}


def write_tables(now: list[tuple[Attack, str, bool]]) -> None:
    known = {attack.title: (figure, held) for attack, figure, held in now if figure != NOT_RUN}
    before = {
        title: (told.removeprefix(LOST), LOST not in told) for title, told in read_tables().items()
    }
    seen = [
        (each, *known.get(each.title, before.get(each.title, (NOT_RUN, True)))) for each in ATTACKS
    ]
    run = [each for each in seen if each[1] != NOT_RUN]
    held, cores, load = sum(each[2] for each in run), os.cpu_count(), os.getloadavg()[2]
    lines = [
        f"{len(seen)} attacks, {len(run)} run, {held} held; the last run, of {len(known)}, on "
        f"{cores} cores (load of its last quarter of an hour: {load:.0f}). {MARK}"
    ]
    for kind in dict.fromkeys(attack.kind for attack, *_ in seen):
        lines += ["", f"## {kind}", "", "| attempt | must hold | seen |", "|---|---|---|"]
        for attack, figure, held in seen:
            if attack.kind == kind:
                told = figure if held else LOST + figure
                cells = (attack.title, attack.holds, told)
                lines.append("| " + " | ".join(each.replace("|", "/") for each in cells) + " |")
    text = README.read_text(encoding="utf-8").split("\n\n## Result", 1)[0].rstrip()
    README.write_text(text + "\n\n## Result\n\n" + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
