"""The brain's small pure decisions: placement, schedule, breaker, actions, context."""

from __future__ import annotations

from brain.actions import ActionCall, ActionDesk, Fillers, offer_tools
from brain.breaker import CircuitBreaker
from brain.context import SystemContext
from brain.placement import HistoryLength, choose_placement, notes_to_prune
from brain.schedule import Schedule, ScheduleSettings
from config.brain import Action
from config.prices import PRICES


PRICE = PRICES["gpt-realtime-2.1"]
NOTE = "x" * 700


def test_a_long_history_makes_auto_append() -> None:
    cost = choose_placement("auto", NOTE, HistoryLength(3_000, 6_000), PRICE)
    assert cost.placing == "append"
    assert cost.rewrite_usd > 0.19 > cost.append_usd


def test_no_history_and_old_notes_make_auto_rewrite() -> None:
    cost = choose_placement("auto", NOTE, HistoryLength(0, 0, stale_note_tokens=500), PRICE)
    assert cost.placing == "rewrite"


def test_what_must_be_strong_is_rewritten_whatever_it_costs() -> None:
    cost = choose_placement("append", NOTE, HistoryLength(9_000, 9_000), PRICE, strong=True)
    assert (cost.placing, cost.reason) == ("rewrite", "strength")


def test_a_provider_that_can_only_append_appends() -> None:
    able = frozenset({"append"})
    cost = choose_placement("rewrite", NOTE, HistoryLength(), PRICE, able=able)  # type: ignore[arg-type]  # a literal set
    assert (cost.placing, cost.reason) == ("append", "only_way")


def test_notes_go_in_batches() -> None:
    notes = [str(n) for n in range(13)]
    assert notes_to_prune(notes[:12], 12) == []
    assert notes_to_prune(notes, 12) == notes[:10]


def test_a_long_turn_is_analysed_while_it_is_spoken_and_not_again_for_the_same_words() -> None:
    schedule = Schedule(ScheduleSettings(partial_words=4, debounce_s=0.25))
    assert schedule.partial("i", "uno dos tres", 1.0) is None
    assert schedule.partial("i", "uno dos tres cuatro", 1.0) == 1.25
    schedule.launched("i", "uno dos tres cuatro")
    assert schedule.partial("i", "uno dos tres cuatro cinco", 2.0) is None
    assert schedule.partial("i", "uno dos tres cuatro cinco seis", 2.0) == 2.25
    assert not schedule.final("i", "Uno dos tres cuatro.", 1)
    assert schedule.final("i", "uno dos tres cinco", 1)


def test_every_n_turns_and_on_demand() -> None:
    every_2 = Schedule(ScheduleSettings(frequency="every_n_turns", every_n=2))
    assert [every_2.final(str(n), "hola", n) for n in (1, 2, 3)] == [True, False, True]
    demand = Schedule(ScheduleSettings(frequency="on_demand"))
    assert not demand.final("i", "hola", 1)
    assert not demand.review(1)


def test_the_breaker_opens_tries_once_and_recovers() -> None:
    breaker = CircuitBreaker(2, 10.0, 15.0)
    assert not breaker.failed(0.0)
    assert breaker.failed(0.0)
    assert not breaker.allows(9.9)
    assert breaker.allows(10.0)
    assert not breaker.allows(10.0), "one trial at a time"
    breaker.failed(10.0)
    assert not breaker.allows(24.9), "it rests longer now"
    assert breaker.allows(25.0)
    breaker.succeeded()
    assert breaker.state(25.0) == "closed"


def test_an_abandoned_trial_may_be_made_again() -> None:
    breaker = CircuitBreaker(1, 1.0, 1.0)
    breaker.failed(0.0)
    assert breaker.allows(1.0)
    breaker.abandoned()
    assert breaker.allows(1.0)


def test_the_context_counts_its_revisions() -> None:
    context = SystemContext("Eres Penny.", "es")
    assert context.put("folio", "uno") == 1
    assert context.put("folio", "uno") == 1
    assert context.put("correction", "dos") == 2
    assert context.render().startswith("Eres Penny.")
    assert context.render().endswith("uno\n\ndos")
    assert "uno" not in context.render_static()
    context.remove("folio")
    assert context.revision == 3


def test_a_call_id_counts_once() -> None:
    desk = ActionDesk({})
    call = ActionCall("call_1", "search_knowledge", {}, 1)
    assert desk.judge(call) == "run"
    assert desk.judge(call) == "repeated"


def test_a_confirmed_call_needs_other_arguments_to_be_asked_again() -> None:
    action = Action(description="paga", endpoint="http://x", confirm=True)
    desk = ActionDesk({"pagar": action})
    yes = {"importe": 5, "confirmado": True}
    assert desk.judge(ActionCall("1", "pagar", yes, 1)) == "confirm_first"
    assert desk.judge(ActionCall("2", "pagar", {**yes, "importe": 6}, 2)) == "confirm_first"
    assert desk.judge(ActionCall("3", "pagar", yes, 2)) == "run"
    assert desk.judge(ActionCall("4", "pagar", yes, 3)) == "confirm_first"


def test_unreadable_arguments_are_refused() -> None:
    desk = ActionDesk({})
    assert desk.read("1", "x", "{nope", 1) is None
    assert desk.read("1", "x", "[1]", 1) is None


def test_fillers_run_out_instead_of_repeating() -> None:
    fillers = Fillers(["uno", "dos"])
    assert [fillers.take(), fillers.take(), fillers.take()] == ["uno", "dos", None]


def test_tools_tell_that_they_need_a_yes() -> None:
    action = Action(description="Paga.", endpoint="http://x", confirm=True)
    tool = offer_tools({"pagar": action}, "es", search=False)[0]
    assert "confirmado" in tool["parameters"]["properties"]
    assert "espera el sí" in tool["description"]
