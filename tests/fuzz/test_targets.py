"""Every kept seed and a short random run of every target: only documented errors."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator

import pytest

from tests.fuzz.run import SEEDS, _alarm, mutate, seeds_of, try_one
from tests.fuzz.targets import TARGETS


pytestmark = pytest.mark.process


RUNS = {"config": 150, "kb_query": 100, "caller_session": 300, "realtime_session": 1_500}
RUNS_OF_A_PARSER = 3_000


@pytest.fixture(autouse=True)
def alarm() -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, _alarm)
    yield
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_raises_only_what_it_documents(name: str) -> None:
    seeds, rng = seeds_of(name), random.Random(7)
    assert seeds
    inputs = seeds + [
        mutate(rng.choice(seeds), seeds, rng) for _ in range(RUNS.get(name, RUNS_OF_A_PARSER))
    ]
    for data in inputs:
        assert try_one(TARGETS[name], data) == "", data


def test_every_folder_of_seeds_belongs_to_a_target() -> None:
    assert {path.name for path in SEEDS.iterdir()} == set(TARGETS)
