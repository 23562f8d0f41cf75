"""The arithmetic of the bench: a wrong median would tell a wrong story for years."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.bench.relay.load import quantile
from tests.bench.relay.pairs import summarise_pairs
from tests.bench.relay.rounds import FIGURES, summarise


pytestmark = pytest.mark.pure


def seen(cpu: float, *, lag_ms: float = 1.0, system: str = "penny") -> dict[str, Any]:
    figures = dict.fromkeys(FIGURES, 1.0)
    names = {"system": system, "work": "session", "sessions": 10}
    return {**figures, **names, "cpu_us_per_frame": cpu, "lag_p99_ms": lag_ms}


def test_rounds_of_a_system_become_one_row_with_median_and_spread() -> None:
    rows = summarise([seen(3.0), seen(9.0, system="bare"), seen(1.0), seen(50.0)])

    assert [row["system"] for row in rows] == ["penny", "bare"]
    assert rows[0]["rounds"] == 3
    assert rows[0]["cpu_us_per_frame"] == 3.0
    assert rows[0]["cpu_us_per_frame_spread"] == (1.0, 50.0)


def test_rounds_with_a_late_generator_are_counted_as_void() -> None:
    rows = summarise([seen(1.0), seen(1.0, lag_ms=9.0)])

    assert rows[0]["void"] == 1


def test_quantiles_are_those_of_the_values() -> None:
    values = [float(n) for n in range(1, 1002)]

    assert quantile(values, 50) == pytest.approx(501)
    assert quantile(values, 99) == pytest.approx(991)
    assert quantile(values, 99.9) == pytest.approx(1000)
    assert math.isnan(quantile([1.0], 50))


def pair(ratio: float, *, void: bool = False) -> dict[str, Any]:
    rounds = [{"cpu_us_per_frame": 100.0 * ratio}, {"cpu_us_per_frame": 100.0}]
    names = {
        "system": "penny",
        "work": "/ws SELF_HOSTED",
        "beside": "aiohttp bare relay",
        "sessions": 10,
    }
    return {**names, "ratio": ratio, "void": void, "rounds": rounds}


def test_pairs_become_one_row_with_the_median_of_their_ratios() -> None:
    [row] = summarise_pairs([pair(1.3), pair(1.2), pair(1.5, void=True)])

    assert row["ratio"] == 1.3
    assert row["ratio_spread"] == (1.2, 1.5)
    assert row["cpu_us_per_frame"] == [130.0, 100.0]
    assert (row["rounds"], row["void"]) == (3, 1)
