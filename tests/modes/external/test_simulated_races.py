"""Random races on pure state, in virtual time: what no call may ever do.

Never two responses at once, never mute longer than a bound, every tool run once and its result
delivered once to whichever upstream is there, nothing spoken over the caller, no note in an answer
that is not wanted any more. ``python -m tests.modes.external.test_simulated_races 10000`` plays so
many; the suite plays some hundred, and Hypothesis looks for the rest.
"""

from __future__ import annotations

import sys

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.modes.external.world import MUTE_S, Race


pytestmark = pytest.mark.pure


LOSSES = (
    "acknowledgement",
    "request",
    "unnamed error",
    "created",
    "stall",
    "drop before done",
    "done",
    "commit",
    "words",
)


@pytest.mark.parametrize("seed", range(0, 400, 25))
def test_no_random_race_breaks_a_promise(seed: int) -> None:
    for each in range(seed, seed + 25):
        race = Race(each)
        assert race.run() == [], (each, race.happened)


def test_what_a_filler_called_is_answered_again_after_a_lost_answer() -> None:
    """Seed 774: the filler's response called a tool, and the answer with its result was taken for a
    filler, which no one misses when it is lost."""
    race = Race(774)

    assert race.run() == [], race.happened


def test_the_worst_line_still_breaks_no_promise() -> None:
    for seed in range(60):
        race = Race(seed, faults=12, turns=3)
        assert race.run() == [], (seed, race.happened)


class ChosenRace(Race):
    """A race whose every turn is another's choice."""

    def __init__(self, *, answers_turns: bool) -> None:
        super().__init__(0, faults=0, turns=0)
        self.losing: set[str] = set()
        self.begin(answers_turns=answers_turns)

    def fault(self, what: str) -> bool:
        if what not in self.losing:
            return False
        self.losing.discard(what)
        self.happened.append(f"{self.now_s:.2f} lost {what}")
        return True


class CallMachine(RuleBasedStateMachine):
    """Hypothesis decides who speaks, what is lost and when, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.race = ChosenRace(answers_turns=True)
        self.number = 0

    @rule(seconds=st.sampled_from([0.01, 0.04, 0.1, 0.5, 2.0, 6.0]))
    def time_passes(self, seconds: float) -> None:
        self.race.play(self.race.now_s + seconds)

    @rule()
    def the_caller_speaks(self) -> None:
        self.number += 1
        self.race.speak(self.number)

    @rule()
    def the_caller_types(self) -> None:
        self.number += 1
        self.race.type(self.number)

    @rule()
    def the_caller_stops_the_answer(self) -> None:
        self.race.cancel()

    @rule()
    def the_brain_has_something(self) -> None:
        self.race.think()

    @rule()
    def the_line_drops(self) -> None:
        self.race.drop(self.race.vendor)

    @rule(what=st.sampled_from(LOSSES))
    def an_event_is_lost(self, what: str) -> None:
        self.race.losing.add(what)

    @rule()
    def the_client_asks_for_an_answer(self) -> None:
        self.race.happen("caller", {"type": "response.create"})

    @invariant()
    def no_promise_is_broken(self) -> None:
        assert self.race.wrong == [], self.race.happened

    def teardown(self) -> None:
        self.race.losing.clear()
        self.race.play(self.race.now_s + 2 * MUTE_S)
        self.race.check_end()
        assert self.race.wrong == [], self.race.happened


TestCallMachine = CallMachine.TestCase
TestCallMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def main(races: int, first: int = 0) -> int:
    """Play so many random races; returns how many broke a promise."""
    broken = 0
    for seed in range(first, first + races):
        race = Race(seed)
        if race.run():
            broken += 1
            sys.stdout.write(f"{seed}: {race.wrong[0]} after {race.happened}\n")
    sys.stdout.write(f"{races} races, {broken} broke a promise\n")
    return broken


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:]))))
