"""The sample company from EXTERNAL: what is asked before comes from it, and is done once."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from penny.company.service import Company, read_actions
from tests.doubles.realtime_server import RealtimeDouble
from tests.modes.external.caller import calling, configure
from tests.modes.external.test_tools import output


pytestmark = pytest.mark.socket

TODAY = date(2024, 12, 27)


@pytest.fixture
async def speaker() -> AsyncIterator[RealtimeDouble]:
    async with RealtimeDouble() as double:
        yield double


@pytest.fixture
async def company(tmp_path: Path) -> AsyncIterator[Company]:
    made = Company(tmp_path / "company.sqlite", lambda: TODAY)
    await made.start()
    yield made
    await made.aclose()


async def test_a_payment_is_asked_with_its_amount_and_made_once(
    speaker: RealtimeDouble, company: Company, tmp_path: Path
) -> None:
    actions = read_actions(company.url)
    table = {name: action.model_dump(exclude_none=True) for name, action in actions.items()}
    brain = {"facts_budget_ms": 0}
    config = configure(tmp_path, speaker.base_url, None, brain=brain, actions={"table": table})
    wish: dict[str, Any] = {"factura_id": "F-2024-1234", "fecha": "2025-01-05"}
    async with calling(config, tmp_path, context={"available_actions": list(table)}):
        upstream = await speaker.connection()
        await upstream.hear("Pague la factura el cinco de enero")
        first = await upstream.call("programar_pago", wish)
        await upstream.answer("¿Lo programo?")
        told = output(upstream, first)
        assert told["status"] == "confirmation_required"
        assert told["question"].startswith("¿Programo el pago de 1500 euros")
        await upstream.hear("Sí, por favor")
        second = await upstream.call("programar_pago", {**wish, "confirmado": True})
        await upstream.answer("Hecho.")
        assert output(upstream, second)["result"]["pago_id"] == "P-0001"
        await upstream.hear("Pague la factura otra vez")
        third = await upstream.call("programar_pago", wish)
        await upstream.answer("No puedo.")
        told = output(upstream, third)
        assert told["status"] == "error"
        assert told["message"] == "La factura F-2024-1234 no está pendiente: pago programado."
    with closing(sqlite3.connect(tmp_path / "company.sqlite")) as books:
        assert books.execute("SELECT count(*), sum(cents) FROM payments").fetchone() == (1, 150_000)
