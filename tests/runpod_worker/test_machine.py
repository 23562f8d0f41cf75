"""Which machines carry the natural engines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runpod_worker import machine
from runpod_worker.machine import Machine, count_cores, measure_machine, refuse_natural


pytestmark = pytest.mark.pure


ENOUGH = Machine(cores=2, free_bytes=2_000_000_000, vectors=True)


def test_two_cores_and_two_gigabytes_are_enough() -> None:
    assert refuse_natural(ENOUGH) == ""


@pytest.mark.parametrize(
    ("small", "reason"),
    [
        (replace(ENOUGH, cores=1), "1 core, and it wants 2"),
        (replace(ENOUGH, free_bytes=900_000_000), "0.9 GB of memory free, and it wants 1.5"),
        (replace(ENOUGH, vectors=False), "this processor has no AVX2"),
    ],
)
def test_a_smaller_one_is_refused_with_the_reason(small: Machine, reason: str) -> None:
    assert refuse_natural(small) == reason


def test_a_containers_limits_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)
    free_bytes = measure_machine().free_bytes
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "memory.max").write_text("700000000\n")
    (tmp_path / "memory.current").write_text("200000000\n")

    assert count_cores() == 1
    assert measure_machine().free_bytes == 500_000_000 < free_bytes


def test_a_container_without_limits_has_the_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = count_cores()
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)

    assert count_cores() == before
    assert measure_machine().free_bytes > 0
