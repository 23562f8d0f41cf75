"""Intervals that may be looked at after every call: false stops, misses, power, the split."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from penny.experiments.statistics import Sample, interval, sample_of, split_p


pytestmark = pytest.mark.slow

EXPERIMENTS = 2000
UNITS = 600
"""Of each arm; looked at after each pair from ``MIN_N`` on."""
MIN_N = 100
ALPHA = 0.05

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
DRAWS: dict[str, Draw] = {
    "resolved": lambda chance, shape: (chance.random(shape) < 0.7).astype(float),
    "rare": lambda chance, shape: (chance.random(shape) < 0.05).astype(float),
    "latency": lambda chance, shape: chance.lognormal(7.0, 0.5, shape),
    "sentiment": lambda chance, shape: chance.choice([-1, -0.5, 0, 0.5, 1], shape),
}


def looks(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At each look: units of an arm, their mean and their variance."""
    n = np.arange(1, values.shape[1] + 1)
    mean = np.cumsum(values, axis=1) / n
    square = np.cumsum(values**2, axis=1)
    variance = (square - n * mean**2) / np.maximum(n - 1, 1)
    at = slice(MIN_N - 1, None)
    return n[at], mean[:, at], np.maximum(variance[:, at], 0)


@pytest.mark.parametrize("kind", DRAWS)
def test_of_2000_experiments_without_a_difference_no_more_stop_than_stated(kind: str) -> None:
    chance = np.random.default_rng(20261130)
    stopped = 0
    for _ in range(EXPERIMENTS // 200):
        arms = [DRAWS[kind](chance, (200, UNITS)) for _ in range(2)]
        (n, mean, variance), (_, other, spread) = map(looks, arms)
        for row in range(200):
            low, high = bounds(n, mean[row], variance[row], other[row], spread[row])
            stopped += bool(np.any(low > 0) or np.any(high < 0))
    print(f"{kind}: {stopped} of {EXPERIMENTS} stopped ({stopped / EXPERIMENTS:.2%})")
    assert stopped <= ALPHA * EXPERIMENTS


def bounds(
    n: np.ndarray, mean: np.ndarray, variance: np.ndarray, other: np.ndarray, spread: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """``interval`` at every look: its radius is that of a unit spread, times the root of this one.

    The last look is taken by ``interval`` itself, so that the two cannot differ.
    """
    radius = UNIT_RADIUS * np.sqrt((variance + spread) / n)
    difference = other - mean
    control, arm = (
        Sample(int(n[-1]), float(m[-1]), float(v[-1]))
        for m, v in ((mean, variance), (other, spread))
    )
    low, high = interval(control, arm, ALPHA, MIN_N)
    assert low == pytest.approx(difference[-1] - radius[-1])
    assert high == pytest.approx(difference[-1] + radius[-1])
    return difference - radius, difference + radius


def unit_radius(n: int) -> float:
    """The radius where control and arm have n units each and the difference a variance of 1."""
    sample = Sample(n, 0.0, n / 2)
    return interval(sample, sample, ALPHA, MIN_N)[1]


UNIT_RADIUS = np.array([unit_radius(n) for n in range(MIN_N, UNITS + 1)])


def test_a_true_difference_is_found_and_its_interval_holds_it() -> None:
    chance = np.random.default_rng(7)
    found = missed = 0
    for _ in range(200):
        control = sample_of(list((chance.random(1500) < 0.6).astype(float)))
        other = sample_of(list((chance.random(1500) < 0.7).astype(float)))
        low, high = interval(control, other, ALPHA, MIN_N)
        found += low > 0
        missed += not low <= 0.1 <= high
    assert found >= 190
    assert missed <= ALPHA * 200


def test_a_split_as_planned_is_likely_and_another_is_not() -> None:
    assert split_p([500, 510], [1, 1]) > 0.5
    assert split_p([200, 800], [20, 80]) == pytest.approx(1.0)
    assert split_p([330, 670], [20, 80]) < 1e-9  # planned 20 %, real 33 %
    assert split_p([0, 0], [1, 1]) == 1.0
    assert split_p([3, 0], [1, 1]) > 0.001


def test_a_sample_of_nothing_is_nothing() -> None:
    assert sample_of([]) == Sample(0, 0.0, 0.0)
    assert sample_of([2.0]) == Sample(1, 2.0, 0.0)
    assert sample_of([1.0, 3.0]) == Sample(2, 2.0, 2.0)
