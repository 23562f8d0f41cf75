"""A picture of a saved run: CPU per frame, and how p99 grows with the sessions on one core.

``python -m tests.bench.relay.plot FILE`` in the bench's environment; writes a PNG beside it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot

from tests.bench.relay.report import name_machine


def draw(file: Path) -> Path:
    results = json.loads(file.read_text(encoding="utf-8"))
    mpl.use("Agg")
    figure, (bars, lines) = pyplot.subplots(1, 2, figsize=(14, 5.5), layout="constrained")
    rows = [row for row in results["relay"] if row["sessions"] == 10]
    names = [f"{row['system']}\n{row['work']}" for row in rows]
    middles = [row["cpu_us_per_frame"] for row in rows]
    lows = [row["cpu_us_per_frame"] - row["cpu_us_per_frame_spread"][0] for row in rows]
    highs = [row["cpu_us_per_frame_spread"][1] - row["cpu_us_per_frame"] for row in rows]
    colors = ["tab:blue" if row["system"] == "penny" else "tab:gray" for row in rows]
    bars.bar(names, middles, yerr=(lows, highs), color=colors, capsize=3)
    bars.set_ylabel("CPU µs per 20 ms frame, 10 sessions")
    bars.tick_params(axis="x", labelsize=7)
    for found in results["capacity"]:
        counts = [point["sessions"] for point in found["points"]]
        late = [point["p99_ms"] for point in found["points"]]
        lines.plot(counts, late, marker="o", label=f"{found['system']}, {found['work']}")
    lines.axhline(20, color="black", linestyle=":", label="a frame late")
    lines.set(xlabel="sessions on one core", ylabel="round trip p99 ms", yscale="log")
    lines.legend(fontsize=8)
    figure.suptitle(name_machine(results["machine"]), fontsize=9)
    picture = file.with_suffix(".png")
    figure.savefig(picture, dpi=120)
    return picture


if __name__ == "__main__":
    print(f"Saved as {draw(Path(sys.argv[1]))}")
