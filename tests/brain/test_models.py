"""Requests are what each model takes, for every model that a configuration can lead to."""

from __future__ import annotations

from datetime import date
from typing import get_args

import pytest
from anthropic.types import Model

from brain.claude import FACTS, THINKING_TOKENS, find_fault, request_parameters
from config.brain import Depth, Depths
from config.schema import ModelsSection
from tests.doubles.anthropic_server import refuse_model


pytestmark = pytest.mark.pure


NAMED = set(get_args(get_args(Model)[0]))
MODELS = ModelsSection()
REACHABLE = sorted(
    {MODELS.current(name) for name in (*MODELS.aliases, *MODELS.prices) if "claude" in name}
    | {settings.model for _, settings in Depths() if settings.model}
)


def test_every_model_that_the_sdk_names_has_a_row() -> None:
    assert set(FACTS) >= NAMED


@pytest.mark.parametrize("model", sorted(NAMED | set(REACHABLE)))
@pytest.mark.parametrize("depth", ["quick", "standard", "deep"])
def test_nothing_is_sent_that_the_vendor_refuses(model: str, depth: str) -> None:
    settings: Depth = getattr(Depths(), depth)
    for thinking in ("disabled", "default"):
        wish = settings.model_copy(update={"thinking": thinking})
        assert refuse_model({"model": model, **request_parameters(model, wish)}) == ""


@pytest.mark.parametrize(
    ("model", "thinking", "effort", "room"),
    [
        ("claude-haiku-5-5", {"type": "disabled"}, "low", 0),
        ("claude-sonnet-5-5", {"type": "between_tools"}, "low", 0),
        ("claude-opus-5-5", None, "low", THINKING_TOKENS),
        ("claude-haiku-4-5", None, None, 0),
        ("claude-opus-4-7", None, "low", 0),
        ("llama-3.1-70b", None, None, 0),
    ],
)
def test_the_standard_depth_by_model(
    model: str, thinking: object, effort: str | None, room: int
) -> None:
    sent = request_parameters(model, Depth())
    assert sent.get("thinking") == thinking
    assert sent.get("output_config", {}).get("effort") == effort
    assert sent["max_tokens"] == Depth().max_tokens + room


def test_the_specifications_model_leads_to_one_that_works() -> None:
    assert MODELS.current("claude-sonnet-4-20250514") == "claude-sonnet-5-5"
    for model in REACHABLE:
        assert "was turned off" not in find_fault(model, date(2026, 11, 1))


def test_what_the_sdk_knows_to_be_gone_is_told() -> None:
    gone = find_fault("claude-sonnet-4-20250514", date(2026, 11, 1))
    assert gone == "claude-sonnet-4-20250514 was turned off on June 15th, 2026"
    assert "is turned off" in find_fault("claude-sonnet-4-5", date(2026, 11, 1))
    assert "no model" in find_fault("claude-hiku-5-5", date(2026, 11, 1))
    assert find_fault("claude-haiku-5-5", date(2026, 11, 1)) == ""
    assert find_fault("llama-3.1-70b", date(2026, 11, 1)) == ""


def test_an_older_word_of_a_configuration_is_understood() -> None:
    assert Depth.model_validate({"thinking": "between_tools"}).thinking == "disabled"
