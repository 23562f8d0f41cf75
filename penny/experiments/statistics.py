"""The difference of two means with an interval that may be looked at after every call. Pure.

The interval is a confidence sequence: with probability 1 - alpha it holds the true difference at
every look at once, however often one looks and whenever one stops. It is the normal mixture of
Robbins (1970), which underlies the mSPRT of Johari, Pekelis and Walsh ("Always Valid Inference",
2022), with estimated variances: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform
central limit theory and asymptotic confidence sequences" (Annals of Statistics 52, 2024), theorem
2.2 and its ``rho`` (appendix B.2). It is asymptotic: nothing is concluded before ``min_n`` units of
each arm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, log, sqrt
from statistics import fmean


SPLIT_P = 0.001
"""A split that is so unlikely under the plan is a fault of the experiment, not chance."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What is known of an arm: units, their mean, and their variance."""

    n: int
    mean: float
    variance: float


def sample_of(values: Sequence[float]) -> Sample:
    """Of the values of an arm's units."""
    if len(values) < 2:
        return Sample(len(values), values[0] if values else 0.0, 0.0)
    mean = fmean(values)
    return Sample(len(values), mean, sum((v - mean) ** 2 for v in values) / (len(values) - 1))


def interval(control: Sample, other: Sample, alpha: float, min_n: int) -> tuple[float, float]:
    """Of ``other.mean - control.mean``.

    Args:
        alpha: the share of experiments in which it may ever miss the true difference.
        min_n: of each arm; the interval is narrowest at about twice as many units.
    """
    count = control.n + other.n
    difference = other.mean - control.mean
    spread = control.variance / control.n + other.variance / other.n
    rho_squared = (-2 * log(alpha) + log(-2 * log(alpha) + 1)) / (2 * min_n)
    scaled = count * rho_squared
    radius = sqrt(spread * 2 * (scaled + 1) / scaled * log(sqrt(scaled + 1) / alpha))
    return difference - radius, difference + radius


def split_p(counts: Sequence[int], weights: Sequence[int]) -> float:
    """How likely a split at least as uneven is under the plan: of the worst arm (Bonferroni)."""
    total, all_weights = sum(counts), sum(weights)
    worst = 1.0
    for count, weight in zip(counts, weights, strict=True):
        share = weight / all_weights
        if not total or share in (0.0, 1.0):
            continue
        off = abs(count - total * share) / sqrt(total * share * (1 - share))
        worst = min(worst, erfc(off / sqrt(2)))
    return min(1.0, worst * len(counts))
