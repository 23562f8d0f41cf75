"""The three calls of a call centre, through EXTERNAL: what its model asks for is really done."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from penny.company.service import Company, read_actions
from tests.doubles.realtime_server import RealtimeDouble
from tests.modes.external.caller import calling, configure
from tests.modes.external.test_tools import output


pytestmark = pytest.mark.socket

Json = dict[str, Any]


class Played:
    """A call whose model hears words and asks for a function."""

    def __init__(self, upstream: Any) -> None:
        self._upstream = upstream

    async def turn(self, words: str, name: str, arguments: Json | None = None) -> Json:
        """What the function answers."""
        await self._upstream.hear(words)
        asked = await self._upstream.call(name, arguments or {})
        await self._upstream.answer("Muy bien.")
        told: Json = output(self._upstream, asked)
        return told


@asynccontextmanager
async def played(folder: Path) -> AsyncIterator[Played]:
    company = Company(folder / "company.sqlite", lambda: date(2024, 12, 27))
    await company.start()
    try:
        async with RealtimeDouble() as speaker:
            actions = read_actions(company.url)
            table = {name: action.model_dump(exclude_none=True) for name, action in actions.items()}
            brain = {"facts_budget_ms": 0}
            section = {"table": table}
            config = configure(folder, speaker.base_url, None, brain=brain, actions=section)
            async with calling(config, folder, context={"available_actions": list(table)}):
                yield Played(await speaker.connection())
    finally:
        await company.aclose()


def rows(folder: Path, table: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "company.sqlite")) as books:
        return books.execute(f"SELECT * FROM {table}").fetchall()


async def test_support(tmp_path: Path) -> None:
    async with played(tmp_path) as call:
        told = await call.turn("Hola, mi internet no funciona", "get_account_status")
        assert told["result"]["servicios"] == ["electricidad", "agua"]
        wish = {"telefono": "+34600000000", "cuando": "mañana a las cinco"}
        told = await call.turn("Ya reinicié el router pero sigue igual", "schedule_callback", wish)
        assert told["result"]["llamada_id"] == "L-0001"
    ((_, _, phone, when),) = rows(tmp_path, "callbacks")
    assert (phone, when) == ("+34600000000", "mañana a las cinco")


async def test_bill(tmp_path: Path) -> None:
    async with played(tmp_path) as call:
        told = await call.turn("Necesito revisar el saldo de mi cuenta", "get_account_balance")
        assert told["result"]["saldo"] == 1797.15
        told = await call.turn("¿Y cuándo vence?", "consultar_factura")
        assert date.fromisoformat(told["result"]["vencimiento"])
        assert told["result"]["estado"] == "pendiente"


async def test_cancellation(tmp_path: Path) -> None:
    async with played(tmp_path) as call:
        wish = {"servicio": "agua"}
        told = await call.turn("Quiero cancelar mi servicio de agua", "cancel_service", wish)
        assert told["status"] == "confirmation_required"
        assert rows(tmp_path, "services").count(("C-10234", "agua", 1)) == 1
        told = await call.turn("Sí", "cancel_service", {**wish, "confirmado": True})
        assert told["result"]["servicio"] == "agua"
        told = await call.turn("Estoy molesto con el servicio", "transfer_to_manager")
        assert told["handoff"] == "managers"
    assert ("C-10234", "agua", 0) in rows(tmp_path, "services")
