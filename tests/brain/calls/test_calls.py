"""The set of scripted calls with a brain of 2.5 s, call by call and as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.brain.calls.catalogue import all_calls
from tests.brain.calls.play import Play, play
from tests.brain.calls.score import Score, score_all, share
from tests.brain.calls.script import Call


pytestmark = [pytest.mark.virtual_time, pytest.mark.slow]

BRAIN_S = 2.5
CALLS = {call.name: call for call in all_calls()}
PLAYED: dict[str, Play] = {}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "none")


async def played(call: Call, folder: Path) -> Play:
    if call.name not in PLAYED:
        PLAYED[call.name] = await play(call, BRAIN_S, folder / call.name)
    return PLAYED[call.name]


@pytest.mark.parametrize("name", sorted(CALLS))
async def test_nothing_wrong_is_said_done_or_left_standing(name: str, tmp_path: Path) -> None:
    score = Score()
    score.add(await played(CALLS[name], tmp_path))
    wrong = (
        score.corrections_wrong,
        score.corrections_unheard,
        score.stale_answers,
        score.leaks,
        score.actions_wrong,
        score.mute,
        score.violations,
    )
    assert wrong == (0, 0, 0, 0, 0, 0, 0), score.faults


async def test_the_whole_set_is_in_time(tmp_path: Path) -> None:
    assert len(CALLS) >= 60
    score = score_all([await played(call, tmp_path) for call in CALLS.values()])
    assert score.corrections_wanted >= 30
    assert score.folios_wanted >= 200
    assert share(score.folios_in_force, score.folios_wanted) >= 0.95, score.faults
    assert share(score.corrections_in_time, score.corrections_wanted) >= 0.9, score.faults
    analyses = sum(score.analyses.values())
    assert share(score.analyses["aborted"] + score.analyses["deadline"], analyses) <= 0.1
