"""The forty-two calls by another hand, with a brain of 2.5 s: what the issue's bar asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.brain.calls.other_hand import other_calls
from tests.brain.calls.other_play import HeldPlay, HeldScore
from tests.brain.calls.score import share


pytestmark = [pytest.mark.virtual_time, pytest.mark.slow]

BRAIN_S = 2.5


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "none")


async def test_the_bar_holds_under_another_hands_calls(tmp_path: Path) -> None:
    score = HeldScore()
    for call in other_calls():
        play = HeldPlay(call, BRAIN_S)
        await play.run(tmp_path / call.name)
        score.add(play)
    assert share(score.folios_in_force, score.folios_wanted) >= 0.95, score.faults
    assert share(score.corrections_in_time, score.corrections_wanted) >= 0.9, score.faults
    assert (score.folios_wanted, score.corrections_wanted) == (63, 18)
    assert score.corrections_wrong <= 0.02 * score.corrections_said, score.faults
    wrong = (
        score.corrections_unheard,
        score.stale_answers,
        score.leaks,
        score.actions_wrong,
        score.mute,
        score.violations,
        score.over_caller,
    )
    assert wrong == (0, 0, 0, 0, 0, 0, 0), score.faults
