"""Which arm a call gets: by the hash of its caller or of itself, salted by the experiment. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from config.experiments import ExperimentSection


def unit_of(name: str, unit: str) -> str:
    """What an arm is fixed by, as it is kept: a hash, so that no number stands beside an arm."""
    return hashlib.sha256(f"{name}\0{unit}".encode()).hexdigest()[:16]


def choose_arm(hashed: str, weights: Mapping[str, int]) -> str:
    """The arm of a unit.

    An arm that grows takes units of the others alone: each arm draws its own number for the unit,
    weighted, and the highest wins (rendezvous hashing), so that a change of weights moves no more
    than it must.

    Args:
        hashed: see ``unit_of``.
    """
    scores = {arm: _draw(hashed, arm) ** (1 / weight) for arm, weight in weights.items() if weight}
    return max(scores, key=lambda arm: scores[arm])


def weights_of(experiment: ExperimentSection) -> dict[str, int]:
    """The weight of each arm."""
    return {name: arm.weight for name, arm in experiment.arms.items()}


def _draw(hashed: str, arm: str) -> float:
    """Between 0 and 1, the same for the same unit and arm."""
    digest = hashlib.sha256(f"{hashed}\0{arm}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") + 1) / (2**64 + 1)
