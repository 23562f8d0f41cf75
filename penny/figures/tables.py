"""Figures and tables of a range: what each is, what it is a share of, which calls are behind it.

A figure that has a base tells both numbers; where the base is nothing, its value is None. Every one
names the part (``penny.calls.parts``) whose calls are behind it: ``/calls?figure=…``. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from penny.calls.parts import LEVELS, STAGES, bucket_of
from penny.figures.sums import Range, Sum


Json = dict[str, Any]
Unit = Literal["calls", "share", "s", "ms", "score", "usd", "points"]

SHARES = (0.5, 0.95, 0.99)
MOST_LABELS = 20
"""Of a family, the most frequent; others are counted and not listed."""


class Figure(NamedTuple):
    """A figure: ``part`` over ``base`` (``''``: the sum itself), in ``unit`` by ``scale``.

    ``better``: the direction in which a change is one for the better; '' where none is.
    """

    name: str
    part: str
    base: str
    unit: Unit
    scale: float = 1.0
    better: Literal["up", "down", ""] = ""
    behind: str = ""
    """The part whose calls it is about, where that is not ``part``."""


FIGURES = (
    Figure("calls", "calls", "", "calls"),
    Figure("answered", "answered", "calls", "share", better="up"),
    Figure("avg_call_duration", "duration_ms", "answered", "s", 1000.0, behind="answered"),
    Figure("resolution_rate", "outcome:resolved", "judged", "share", better="up"),
    Figure("escalation_rate", "escalated", "answered", "share", better="down"),
    Figure("avg_sentiment", "sentiment_thousandths", "felt", "score", 1000.0, "up", "felt"),
    Figure("avg_latency", "took_ms:total", "timed:total", "ms", 1.0, "down", "timed:total"),
    Figure("interruptions", "interruptions", "turns", "share", better="down"),
    Figure("corrections", "corrections", "turns", "share"),
    Figure("clarifications", "clarifications", "turns", "share", better="down"),
    Figure("cost", "cost_uusd", "", "usd", 1e6, behind="cost_known"),
    Figure("cost_per_call", "cost_uusd", "cost_known", "usd", 1e6, "down", "cost_known"),
    Figure("analysis_cost", "analysis_uusd", "", "usd", 1e6, behind="analysis_uusd"),
    Figure("compliance", "compliance_kept", "compliance_judged", "share", better="up"),
    Figure("alerted", "alerted", "answered", "share", better="down"),
    Figure("quality", "quality_sum", "quality_known", "points", 10.0, "up", "quality_known"),
    Figure("disagreement", "disagreement_sum", "disagreement_known", "share", 1000.0, "down"),
    Figure("analysed", "analysed", "answered", "share", better="up"),
)
MISSING = {
    "cost": "cost_unknown",
    "cost_per_call": "cost_unknown",
    "avg_sentiment": "sentiment:unknown",
    "resolution_rate": "outcome:unknown",
}
"""Of a figure: the part that counts the calls of which it is not known."""


def value_of(figure: Figure, parts: Sum) -> float | None:
    """Its value; None where nothing is known that it could be of."""
    if figure.base:
        return parts.over(figure.part, figure.base, figure.scale)
    if figure.unit == "usd" and not parts[figure.behind]:
        return None
    return parts[figure.part] / figure.scale


def headlines(now: Sum, before: Sum) -> list[Json]:
    """Each figure with the numbers it is made of, and what it was in the period before."""
    return [
        {
            "name": figure.name,
            "unit": figure.unit,
            "value": _rounded(value_of(figure, now)),
            "previous": _rounded(value_of(figure, before)),
            "better": figure.better,
            "n": now[figure.part] if figure.unit in ("calls", "share") else None,
            "of": now[figure.base] if figure.base else None,
            "unknown": now[MISSING[figure.name]] if figure.name in MISSING else None,
            "behind": figure.behind or figure.part,
            "behind_unknown": MISSING.get(figure.name),
        }
        for figure in FIGURES
    ]


def series(found: Range) -> list[Json]:
    """The figures of each moment, and the quantiles of the whole latency."""
    return [
        {
            "at": point,
            **{figure.name: _rounded(value_of(figure, parts)) for figure in FIGURES},
            **_marks(parts, "total"),
        }
        for point, parts in found.by_point.items()
    ]


def tables(found: Range, before: Sum) -> dict[str, list[Json]]:
    """Every table by its name; rows are objects of the same fields."""
    total = found.total
    return {
        "latency": [
            row
            for way in (("", ""), *sorted(found.by_way))
            for row in _latency(way, found.by_way.get(way, total))
        ],
        "ways": [_way(way, parts) for way, parts in sorted(found.by_way.items())],
        "sentiment": _labels(total, before, "sentiment", (*LEVELS, "unknown")),
        "outcomes": _labels(total, before, "outcome"),
        "intents": _labels(total, before, "intent"),
        "topics": _labels(total, before, "topic"),
        "ends": _labels(total, before, "end", base="calls"),
        "alerts": _labels(total, before, "alert"),
        "rules": _labels(total, before, "rule"),
        "cost": [
            {"label": name, "usd": round(uusd / 1e6, 6), "figure": f"cost_uusd:{name}"}
            for name, uusd in sorted(total.family("cost_uusd").items(), key=lambda item: -item[1])
        ],
    }


def _latency(way: tuple[str, str], parts: Sum) -> Iterable[Json]:
    for stage in STAGES:
        if not parts[f"timed:{stage}"]:
            continue
        marks = _marks(parts, stage)
        yield {
            "stage": stage,
            "mode": way[0],
            "edge": way[1],
            "turns": parts[f"timed:{stage}"],
            "mean": round(parts[f"took_ms:{stage}"] / parts[f"timed:{stage}"]),
            **marks,
            **{
                f"figure_{name}": f"slow:{stage}:{bucket_of(ms or 0)}" for name, ms in marks.items()
            },
        }


def _marks(parts: Sum, stage: str) -> dict[str, int | None]:
    """``p50``, ``p95`` …: the quantiles of a stage."""
    found = parts.quantiles_ms(stage, SHARES)
    return {f"p{round(share * 100)}": ms for share, ms in zip(SHARES, found, strict=True)}


def _way(way: tuple[str, str], parts: Sum) -> Json:
    told = {figure.name: _rounded(value_of(figure, parts)) for figure in FIGURES}
    return {"mode": way[0], "edge": way[1], **told}


def _labels(
    total: Sum, before: Sum, family: str, order: tuple[str, ...] = (), base: str = "answered"
) -> list[Json]:
    counts, were = total.family(family), before.family(family)
    if order:
        labels = [label for label in order if counts]
    else:
        labels = sorted(counts, key=lambda label: (label == "unknown", -counts[label], label))
    shown = labels if order else labels[:MOST_LABELS]
    return [
        {
            "label": label,
            "n": counts.get(label, 0),
            "share": _rounded(counts.get(label, 0) / total[base]) if total[base] else None,
            "previous": were.get(label, 0),
            "figure": f"{family}:{label}",
        }
        for label in shown
    ]


def _rounded(value: float | None) -> float | int | None:
    return None if value is None else round(value, 4) if value != int(value) else int(value)
