"""A language model reads calls that are over; what no turn holds is dropped, private calls stay."""

from __future__ import annotations

import json
from typing import Any

import pytest

from brain.claude import Claude
from penny.analysis.batch.collect import collect
from penny.analysis.batch.graph import Kept, Throttled, Work, run_steps
from penny.analysis.batch.steps import Tools, make_steps
from penny.analysis.dialogue import said_in
from penny.cli.analysis_models import NO_LOCAL, Models
from runpod_worker.settings import WorkerSettings
from tests.doubles.anthropic_server import AnthropicDouble
from tests.doubles.chat_server import ChatServer
from tests.doubles.http import serving
from tests.penny.calls.calls import a_call, a_turn


pytestmark = pytest.mark.socket

Json = dict[str, Any]
MODEL = "claude-haiku-5-5"
TOLD: Json = {
    "summary": [
        {"text": "La factura vence el 15.", "turns": [1]},
        {"text": "Se le devuelven 40 euros.", "turns": [1]},  # of which no turn says anything
        {"text": "Queda contento.", "turns": [9]},
    ],
    "topics": [
        {"topic": "Vencimiento", "quote": "¿Cuándo vence mi factura?", "turns": [1]},
        {"topic": "herencia", "quote": "mi abuela", "turns": [1]},
    ],
    "outcome": {"name": "resolved", "quote": "el quince", "turns": [1]},
}
HELD = ("La factura vence el 15.", ["vencimiento"], "resolved", 3)


class Vendor(AnthropicDouble):
    """The brain's double, asked about calls that are over."""

    def task(self, request: Json) -> Json:
        assert request["messages"][-1]["content"][-1]["text"].startswith("[1] caller: ")
        return {"tarea": "understanding", "turno": 0}


async def analyse(models: Models | None, mode: str) -> tuple[dict[str, Kept], Json]:
    """Each step of a call, and what is written of it."""
    call = a_call(modes=[mode], turns=[a_turn(heard="El quince de diciembre.")])
    work = Work(call, said_in(call), Tools(rules=lambda _tenant: (), models=models))
    steps = await run_steps(make_steps(), work, {})
    return {step.step: step for step in steps}, collect(work, steps).derived


def held(derived: Json) -> tuple[str, list[str], str, int]:
    text, outcome = derived["summary"]["text"], derived["outcome"]["outcome"]
    return text, derived["topics"], outcome, derived["model"]["dropped"]


async def test_what_the_brains_model_tells_is_kept_as_far_as_turns_hold_it() -> None:
    async with Vendor() as vendor:
        vendor.on("understanding", answer=TOLD)
        models = Models(None, Claude(vendor.base_url), MODEL)
        steps, derived = await analyse(models, "EXTERNAL")
        await models.aclose()
        vendor.check()
    assert steps["model"].state == "completed", steps["model"]
    assert held(derived) == HELD
    assert derived["outcome"]["engine"] == derived["summary"]["engine"] == MODEL
    assert derived["model"]["usage"]["input"] > 0
    assert derived["model"]["usage"]["usd"] > 0
    assert not derived["is_partial"]


async def test_a_private_call_is_never_sent_to_the_brains_model() -> None:
    async with Vendor() as vendor:
        models = Models(None, Claude(vendor.base_url), MODEL)
        for mode in ("SELF_HOSTED", "SOMETHING_NEW"):
            steps, derived = await analyse(models, mode)
            assert (steps["model"].state, steps["model"].reason) == ("skipped", NO_LOCAL)
            assert derived["summary"]["engine"] == "extractive"
            assert not derived["is_partial"]
        await models.aclose()
        assert vendor.requests == []


async def test_a_private_call_is_read_by_the_local_model() -> None:
    fenced = f"```json\n{json.dumps(TOLD)}\n```"
    server = ChatServer(lambda _body: [{"content": fenced}])
    async with serving(server.routes()) as url:
        local = WorkerSettings.model_validate(
            {"engines": {"openai_compatible": {"base_url": f"{url}/v1", "model": "modelo"}}}
        )
        models = Models(local, None, MODEL)
        steps, derived = await analyse(models, "SELF_HOSTED")
        await models.aclose()
    assert server.refused == []
    assert steps["model"].state == "completed", steps["model"]
    assert held(derived) == HELD
    assert derived["model"]["engine"] == "modelo"


@pytest.mark.parametrize("status", [429, 529])
async def test_a_model_that_refuses_for_now_puts_the_call_off(status: int) -> None:
    async with Vendor() as vendor:
        vendor.on("understanding", status=status)
        models = Models(None, Claude(vendor.base_url), MODEL)
        with pytest.raises(Throttled):
            await analyse(models, "EXTERNAL")
        await models.aclose()


async def test_an_answer_that_is_no_such_object_is_a_failure_that_is_told() -> None:
    async with Vendor() as vendor:
        vendor.on("understanding", answer={"summary": "todo bien"})
        models = Models(None, Claude(vendor.base_url), MODEL)
        steps, derived = await analyse(models, "EXTERNAL")
        await models.aclose()
    assert (steps["model"].state, steps["model"].reason) == ("failed", "BrainFailure: broken_json")
    assert derived["summary"]["engine"] == "extractive"
    assert derived["is_partial"]


async def test_without_a_model_the_step_is_named_as_skipped() -> None:
    steps, derived = await analyse(None, "EXTERNAL")
    assert steps["model"].state == "skipped"
    assert "analysis.model" in str(derived["steps"]["model"]["reason"])
