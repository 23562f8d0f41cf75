"""The README's table is the model's, and the model says what the design rests on."""

from __future__ import annotations

from pathlib import Path

from brain.cost_model import SimulatedCall, cost_call, make_table


README = Path(__file__).parents[2] / "brain/README.md"
SPEAKER, BRAIN = "gpt-realtime-2.1", "claude-haiku-5-5"


def test_the_readme_shows_the_models_table() -> None:
    assert make_table() in README.read_text(encoding="utf-8")


def test_rewriting_every_turn_costs_more_than_four_times_appending() -> None:
    call = SimulatedCall()
    append = cost_call("append", SPEAKER, BRAIN, call)
    rewrite = cost_call("rewrite", SPEAKER, BRAIN, call)
    assert rewrite.speaker_usd > 4 * append.speaker_usd


def test_auto_is_never_dearer_than_either() -> None:
    for turns in (2, 5, 20, 60):
        call = SimulatedCall(turns=turns)
        costs = {p: cost_call(p, SPEAKER, BRAIN, call).usd for p in ("auto", "append", "rewrite")}
        assert costs["auto"] <= min(costs["append"], costs["rewrite"]) * 1.001
