"""What a run measured: as lines on the screen, as JSON, and as a plot."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


Json = dict[str, Any]


def describe_machine() -> Json:
    """What the figures hold for."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "name": platform.node(),
        "cpu": models[0] if models else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def name_machine(machine: Json) -> str:
    return (
        f"{machine['name']}: {machine['cores']} cores {machine['cpu']}, "
        f"Linux {machine['kernel']}, Python {machine['python']}, {machine['at']}"
    )


def relay_table(rows: Sequence[Json]) -> str:
    """Medians of the rounds, the CPU's lowest and highest in brackets."""
    head = (
        "| system | work | sessions | CPU µs/frame | p50 ms | p99 ms | p99.9 ms "
        "| KB/session | rounds (void) |",
        "|---|---|---|---|---|---|---|---|---|",
    )
    lines = []
    for row in rows:
        low, high = row["cpu_us_per_frame_spread"]
        lines.append(
            f"| {row['system']} | {row['work']} | {row['sessions']} "
            f"| {row['cpu_us_per_frame']:.0f} ({low:.0f}-{high:.0f}) | {row['p50_ms']:.2f} "
            f"| {row['p99_ms']:.2f} | {row['p999_ms']:.2f} | {row['kb_per_session']:.0f} "
            f"| {row['rounds']} ({row['void']}) |"
        )
    return "\n".join((*head, *lines))


def pair_table(rows: Sequence[Json]) -> str:
    """Median ratios, the lowest and the highest in brackets."""
    lines = [
        "| system | work | beside | sessions each | CPU µs/frame | ratio | rounds (void) |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        one, other = row["cpu_us_per_frame"]
        low, high = row["ratio_spread"]
        lines.append(
            f"| {row['system']} | {row['work']} | {row['beside']} | {row['sessions']} "
            f"| {one:.0f} / {other:.0f} | {row['ratio']:.2f} ({low:.2f}-{high:.2f}) "
            f"| {row['rounds']} ({row['void']}) |"
        )
    return "\n".join(lines)


def capacity_table(found: Sequence[Json]) -> str:
    """The largest number of sessions, and how the figures grow on the way there."""
    lines = [
        "| system | work | largest N | sessions: CPU µs/frame, p99 ms |",
        "|---|---|---|---|",
    ]
    for row in found:
        more = "" if row["limited_by"] == "server" else " or more"
        growth = "; ".join(
            f"{point['sessions']}: {point['cpu_us_per_frame']:.0f}, {point['p99_ms']:.1f}"
            for point in row["points"]
        )
        lines.append(f"| {row['system']} | {row['work']} | {row['sessions']}{more} | {growth} |")
    return "\n".join(lines)


def trouble_table(rows: Sequence[Json]) -> str:
    lines = [
        "| one caller … | p99 of the others before, ms | during, ms | ratio |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {row['kind']} | {row['calm_ms']:.2f} | {row['troubled_ms']:.2f} | {row['ratio']:.2f} |"
        for row in rows
    ]
    return "\n".join(lines)


def churn_table(rows: Sequence[Json]) -> str:
    lines = [
        "| system | work | sessions | start p50 ms | first audio p50 / p99 ms | bytes left each |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['system']} | {row['work']} | {row['sessions']} | {row['started_p50_ms']:.1f} "
        f"| {row['first_audio_p50_ms']:.1f} / {row['first_audio_p99_ms']:.1f} "
        f"| {row['growth_bytes_per_session']:.0f} |"
        for row in rows
    ]
    return "\n".join(lines)


def save(results: Json, folder: Path) -> Path:
    """Write the run under its moment and as ``latest.json``."""
    folder.mkdir(exist_ok=True)
    text = json.dumps(results, indent=1)
    file = folder / f"relay-{results['machine']['at'].replace(':', '')}.json"
    file.write_text(text, encoding="utf-8")
    (folder / "latest.json").write_text(text, encoding="utf-8")
    return file
