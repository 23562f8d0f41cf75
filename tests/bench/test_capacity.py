"""The table of costs: computed from what was measured, and silent where nothing was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.bench.capacity import PRICES, make_table, read_calls


pytestmark = pytest.mark.pure


def test_a_row_is_computed_from_its_measurement_or_says_that_there_is_none(tmp_path: Path) -> None:
    rows = [{"system": "aiohttp", "sessions": 900}, {"system": "penny", "sessions": 200}]
    (tmp_path / "latest.json").write_text(json.dumps({"capacity": rows}))
    (tmp_path / "calls.json").write_text(json.dumps({"whisper-small": 8}))
    calls = read_calls(tmp_path)
    assert calls == {"relay": 200, "whisper-small": 8}
    table = make_table(yaml.safe_load(PRICES.read_text(encoding="utf-8")), calls).splitlines()
    assert table[2] == "| a gateway on one core, worker elsewhere | 200 | 60 | 0.0021 |"
    assert table[3] == "| Whisper large-v3 on a GPU | not measured | 100 | not measured |"
    assert table[4] == "| Whisper small on a GPU | 8 | 100 | 0.0856 |"


def test_without_any_bench_every_row_says_so(tmp_path: Path) -> None:
    prices = yaml.safe_load(PRICES.read_text(encoding="utf-8"))
    table = make_table(prices, read_calls(tmp_path)).splitlines()[2:]
    assert len(table) == len(prices["configurations"])
    assert all(line.count("not measured") == 2 for line in table)
