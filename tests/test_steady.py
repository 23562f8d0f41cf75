"""A test that fails by chance is named and does not fail the run; one that fails twice does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.doubles.process import ROOT


pytestmark = pytest.mark.process

STEADY = "def test_steady():\n    pass\n"
BY_CHANCE = """
from pathlib import Path

def test_by_chance():
    if not Path("seen").exists():
        Path("seen").touch()
        raise AssertionError("the first time")
"""
ALWAYS = "def test_always():\n    raise AssertionError\n"


def run_steady(folder: Path, **files: str) -> tuple[int, str, str]:
    """Exit status, output and ``var/unsteady.txt`` of a run of these tests."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "tests.steady", "-q"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    unsteady = folder / "var/unsteady.txt"
    return done.returncode, done.stdout, unsteady.read_text() if unsteady.exists() else ""


def test_one_that_passes_alone_is_named_and_passes(tmp_path: Path) -> None:
    status, output, unsteady = run_steady(tmp_path, test_a=STEADY, test_b=BY_CHANCE)

    assert status == 0
    assert "test_b.py::test_by_chance" in unsteady
    assert "test_a.py" not in unsteady
    assert output.endswith(unsteady)


def test_one_that_fails_twice_fails_the_run(tmp_path: Path) -> None:
    status, output, unsteady = run_steady(tmp_path, test_a=ALWAYS, test_b=BY_CHANCE)

    assert status == 1
    assert "1 failed, 1 passed" in output
    assert "test_always" not in unsteady
    assert "test_by_chance" in unsteady


def test_what_passes_leaves_no_word(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var/unsteady.txt").write_text("of an older run")

    assert run_steady(tmp_path, test_a=STEADY)[::2] == (0, "")
