"""A figure of the telephone bench."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured on one wire.

    Args:
        id: of the figure, E1 to E17.
        figures: name -> value; the unit is the name's end.
        limit: what ``ok`` means, in words.
    """

    id: str
    what: str
    wire: str
    figures: dict[str, float]
    limit: str
    ok: bool


Measure = Callable[[], Awaitable[Row]]


def percentiles(values: Sequence[float], unit: str = "ms") -> dict[str, float]:
    """p50, p95 and the most of a list."""
    p95 = quantiles(values, n=20)[18] if len(values) > 1 else values[0]
    found = {"p50": median(values), "p95": p95, "max": max(values)}
    return {f"{name}_{unit}": round(value, 1) for name, value in found.items()}
