"""Cost and capacity of each configuration: ``make capacity``.

Calls at once come from what the benches wrote, prices from ``deploy/capacity.yaml``; a row whose
calls nobody measured says so, and has no cost.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml


Json = dict[str, Any]

ROOT = Path(__file__).parents[2]
PRICES = ROOT / "deploy/capacity.yaml"
RESULTS = ROOT / "bench-results"
HOURS_A_MONTH = 730
NOT_MEASURED = "not measured"


def read_calls(folder: Path) -> dict[str, int]:
    """Calls at once by the name of what was measured."""
    found: dict[str, int] = {}
    relay, others = folder / "latest.json", folder / "calls.json"
    if relay.is_file():
        rows = json.loads(relay.read_text(encoding="utf-8")).get("capacity", ())
        found |= {"relay" if row["system"] == "penny" else "": row["sessions"] for row in rows}
        found.pop("", None)
    if others.is_file():
        found |= json.loads(others.read_text(encoding="utf-8"))
    return found


def make_table(prices: Json, calls: dict[str, int]) -> str:
    """Markdown: configuration, calls at once, a month's cost, cost of an hour of a call."""
    month, currency = prices["month"], prices["currency"]
    lines = [
        f"| configuration | calls at once | {currency} a month | {currency} an hour of a call |",
        "|---|---|---|---|",
    ]
    for each in prices["configurations"]:
        cost = month["hosting"] + month["telephone"]
        cost += month["electricity_of_a_gpu"] if each["gpu"] else 0
        at_once = calls.get(each["measured"])
        if at_once is None:
            told = [NOT_MEASURED, str(cost), NOT_MEASURED]
        else:
            hours = at_once * HOURS_A_MONTH * prices["busy_share"]
            told = [str(at_once), str(cost), f"{cost / hours:.4f}"]
        lines.append(f"| {each['name']} | {' | '.join(told)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(make_table(yaml.safe_load(PRICES.read_text(encoding="utf-8")), read_calls(RESULTS)))
