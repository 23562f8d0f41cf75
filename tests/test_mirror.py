"""Every source file of the packages listed here has a test file of the same name, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest


pytestmark = pytest.mark.pure


ROOT = Path(__file__).parent.parent
MIRRORED = ("penny/audio", "penny/turns", "penny/aio", "penny/correction")


@pytest.mark.parametrize("package", MIRRORED)
def test_sources_and_tests_pair_up(package: str) -> None:
    sources = {path.stem for path in (ROOT / package).glob("*.py")} - {"__init__"}
    tests = {
        path.stem.removeprefix("test_") for path in (ROOT / "tests" / package).glob("test_*.py")
    }

    assert sources
    assert tests == sources
