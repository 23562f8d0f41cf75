"""Arms: fixed by the unit, split as weighted, moved by a change of weights no more than needed."""

from __future__ import annotations

from collections import Counter

import pytest
from pydantic import ValidationError

from config.experiments import ExperimentSection
from config.schema import Config
from penny.experiments.assign import choose_arm, unit_of, weights_of
from penny.experiments.results import Exposed, is_harmful, judge


pytestmark = pytest.mark.pure


def split(weights: dict[str, int], count: int = 20_000, name: str = "voz") -> list[str]:
    return [choose_arm(unit_of(name, f"+3460000{n:05}"), weights) for n in range(count)]


def test_a_unit_keeps_its_arm_and_the_split_is_that_of_the_weights() -> None:
    weights = {"control": 20, "warm": 80}
    arms = split(weights)
    assert arms == split(weights)
    assert Counter(arms)["control"] == pytest.approx(4000, abs=200)
    assert set(split({"control": 0, "warm": 1}, 100)) == {"warm"}


def test_another_experiment_splits_the_same_callers_anew() -> None:
    weights = {"control": 1, "warm": 1}
    same = sum(a == b for a, b in zip(split(weights), split(weights, name="otra"), strict=True))
    assert same == pytest.approx(10_000, abs=300)


def test_more_weight_takes_units_of_the_others_and_gives_none() -> None:
    before, after = split({"a": 1, "b": 1}), split({"a": 1, "b": 3})
    moved = Counter((a, b) for a, b in zip(before, after, strict=True) if a != b)
    assert set(moved) == {("a", "b")}
    assert moved["a", "b"] == pytest.approx(5000, abs=250)


def an_experiment(**more: object) -> ExperimentSection:
    arms = {"control": {}, "warm": {"voice": "marin"}}
    return ExperimentSection.model_validate(
        {"metric": "resolution", "min_n": 30, "arms": arms, **more}
    )


def exposed(arm: str, unit: object, resolved: int | None) -> Exposed:
    judged = {} if resolved is None else {"judged": 1, "outcome:resolved": resolved}
    return Exposed(arm, str(unit), {"answered": 1, **judged})


def test_what_does_harm_is_told_and_calls_without_a_value_count_beside() -> None:
    calls = [exposed("control", n, 1 if n % 10 else 0) for n in range(300)]
    calls += [exposed("warm", f"w{n}", 1 if n % 2 else 0) for n in range(300)]
    calls += [exposed("warm", "w1", None), exposed("gone", "x", 1)]
    result = judge(an_experiment(), calls)
    control, warm = result["arms"]
    assert (control["n"], warm["n"], warm["calls"]) == (300, 300, 301)
    assert warm["verdict"] == "worse"
    assert warm["interval"][1] < 0
    assert is_harmful(result) == "warm"
    assert is_harmful(judge(an_experiment(metric="escalation"), calls)) == ""


def test_nothing_is_concluded_before_enough_units_however_often_one_calls() -> None:
    calls = [exposed("control", n, 1) for n in range(40)]
    calls += [exposed("warm", f"w{n % 20}", 0) for n in range(400)]
    (_, warm) = judge(an_experiment(), calls)["arms"]
    assert (warm["n"], warm["calls"], warm["verdict"]) == (20, 400, "waiting")


def test_results_hide_behind_a_split_that_is_not_the_plan() -> None:
    calls = [exposed("control", n, 1) for n in range(200)]
    calls += [exposed("warm", f"w{n}", 0) for n in range(100)]
    result = judge(an_experiment(), calls)
    assert result["warnings"] == ["split"]
    assert [arm["mean"] for arm in result["arms"]] == [None, None]
    assert is_harmful(result) == ""


def test_units_that_met_several_arms_are_warned_of() -> None:
    calls = [exposed(arm, n, 1) for n in range(10) for arm in ("control", "warm")]
    result = judge(an_experiment(), calls)
    assert result["jumpers"] == 1.0
    assert "jumpers" in result["warnings"]


def test_another_weight_is_another_phase_and_another_bar_is_not() -> None:
    arms = {"control": {"weight": 3}, "warm": {"voice": "marin"}}
    assert an_experiment(arms=arms).phase != an_experiment().phase
    assert an_experiment(min_n=90, alpha=0.01).phase == an_experiment().phase
    assert weights_of(an_experiment(arms=arms)) == {"control": 3, "warm": 1}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"arms": {"control": {}}}, "arms"),
        ({"arms": {"control": {}, "same": {"weight": 2}}}, "arms"),
        ({"arms": {"control": {"weight": 0}, "warm": {"voice": "marin"}}}, "arms"),
        ({"metric": "luck"}, "metric"),
        ({"min_n": 5}, "min_n"),
    ],
)
def test_what_is_no_experiment_is_refused_by_the_name_of_its_key(
    wrong: dict[str, object], named: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        an_experiment(**wrong)
    assert named in str(refused.value)


def test_two_experiments_on_one_thing_are_refused() -> None:
    one = an_experiment().model_dump()
    with pytest.raises(ValidationError, match="changes voice too"):
        Config.model_validate({"experiments": {"una": one, "otra": one}})
    off = {**one, "enabled": False}
    assert Config.model_validate({"experiments": {"una": one, "otra": off}}).experiments
