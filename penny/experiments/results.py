"""What came of an experiment: figures of each arm, differences to the control, a verdict. Pure.

Only calls count that met their arm and were answered; the rest is counted beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal, NamedTuple

from config.experiments import ExperimentSection
from penny.experiments.assign import choose_arm, weights_of
from penny.experiments.statistics import SPLIT_P, interval, sample_of, split_p


Json = dict[str, Any]
Parts = dict[str, int]
Verdict = Literal["waiting", "open", "better", "worse"]

JUMPERS = 0.05
"""A larger share of units that met several arms is warned of."""


class Measure(NamedTuple):
    """A metric: ``part`` for each of ``base``, in ``scale``; ``better`` is where it should go."""

    part: str
    base: str
    scale: float
    better: Literal["up", "down"]


MEASURES = {
    "resolution": Measure("outcome:resolved", "judged", 1.0, "up"),
    "escalation": Measure("escalated", "answered", 1.0, "down"),
    "sentiment": Measure("sentiment_thousandths", "felt", 1000.0, "up"),
    "quality": Measure("quality_sum", "quality_known", 10.0, "up"),
    "alerts": Measure("alerted", "answered", 1.0, "down"),
    "interruptions": Measure("interruptions", "turns", 1.0, "down"),
    "duration": Measure("duration_ms", "answered", 1000.0, "down"),
    "latency": Measure("took_ms:total", "timed:total", 1.0, "down"),
    "cost": Measure("cost_uusd", "cost_known", 1e6, "down"),
}


@dataclass(frozen=True, slots=True)
class Exposed:
    """A call that met an arm: the hash of its unit, and what it adds to the figures.

    ``is_kept``: its unit had the arm in an earlier phase. It is compared where this phase would
    have given the same, and is no part of the split.
    """

    arm: str
    unit: str
    parts: Parts
    is_kept: bool = False


def value_of(metric: str, parts: Parts) -> float | None:
    """A call's value; None where nothing is known that it could be of."""
    measure = MEASURES[metric]
    base = parts.get(measure.base, 0)
    return parts.get(measure.part, 0) / base / measure.scale if base else None


def judge(experiment: ExperimentSection, calls: Iterable[Exposed]) -> Json:
    """The figures of one phase, and what may be concluded from them."""
    seen: dict[str, set[str]] = {}
    values: dict[str, dict[str, list[float]]] = {arm: {} for arm in experiment.arms}
    counts = dict.fromkeys(experiment.arms, 0)
    weights = weights_of(experiment)
    kept: set[str] = set()
    fresh: dict[str, set[str]] = {arm: set() for arm in experiment.arms}
    for call in calls:
        if call.arm not in counts:
            continue
        if call.is_kept and choose_arm(call.unit, weights) != call.arm:
            kept.add(call.unit)
            continue
        if not call.is_kept:
            fresh[call.arm].add(call.unit)
        counts[call.arm] += 1
        seen.setdefault(call.unit, set()).add(call.arm)
        value = value_of(experiment.metric, call.parts)
        if value is not None:
            values[call.arm].setdefault(call.unit, []).append(value)
    units = {arm: sum(arm in arms for arms in seen.values()) for arm in experiment.arms}
    p = split_p([len(fresh[arm]) for arm in weights], list(weights.values()))
    jumpers = sum(len(arms) > 1 for arms in seen.values()) / len(seen) if seen else 0.0
    arms = _arms(experiment, values, counts, units)
    warnings = [
        *(["split"] if p < SPLIT_P else []),
        *(["jumpers"] if jumpers > JUMPERS else []),
    ]
    if "split" in warnings:  # results are worthless until that is explained
        for arm in arms:
            arm.update(mean=None, difference=None, interval=None, verdict="open")
    return {
        "metric": experiment.metric,
        "better": MEASURES[experiment.metric].better,
        "unit": experiment.unit,
        "min_n": experiment.min_n,
        "alpha": experiment.alpha,
        "phase": experiment.phase,
        "kept": len(kept),
        "arms": arms,
        "split_p": round(p, 6),
        "jumpers": round(jumpers, 4),
        "warnings": warnings,
    }


def is_harmful(result: Json) -> str:
    """The arm that is worse than the control for certain; '' where none is."""
    return next((arm["name"] for arm in result["arms"] if arm["verdict"] == "worse"), "")


def _arms(
    experiment: ExperimentSection,
    values: dict[str, dict[str, list[float]]],
    counts: dict[str, int],
    units: dict[str, int],
) -> list[Json]:
    # A unit counts once, however often it called: its calls are not independent.
    samples = {
        arm: sample_of([fmean(each) for each in by_unit.values()])
        for arm, by_unit in values.items()
    }
    control = next(iter(experiment.arms))
    alpha = experiment.alpha / (len(experiment.arms) - 1)
    up = MEASURES[experiment.metric].better == "up"
    made = []
    for arm, sample in samples.items():
        told: Json = {
            "name": arm,
            "is_control": arm == control,
            "weight": experiment.arms[arm].weight,
            "changes": experiment.arms[arm].changes,
            "calls": counts[arm],
            "units": units[arm],
            "n": sample.n,
            "mean": round(sample.mean, 6) if sample.n else None,
            "difference": None,
            "interval": None,
            "verdict": "open" if arm == control else "waiting",
        }
        if arm != control and min(sample.n, samples[control].n) >= experiment.min_n:
            low, high = interval(samples[control], sample, alpha, experiment.min_n)
            verdict: Verdict = "open"
            if low > 0:
                verdict = "better" if up else "worse"
            elif high < 0:
                verdict = "worse" if up else "better"
            told |= {
                "difference": round(sample.mean - samples[control].mean, 6),
                "interval": [round(low, 6), round(high, 6)],
                "verdict": verdict,
            }
        made.append(told)
    return made
