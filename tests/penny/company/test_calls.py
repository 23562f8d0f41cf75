"""Calls with the sample company through a whole Penny: by text and voice, in both modes."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from kb.base import KnowledgeBase
from runpod_worker.engines.reader import Reader
from runpod_worker.engines.registry import Engines
from runpod_worker.engines.silero import SileroVad
from tests.doubles.caller import Caller, calling
from tests.doubles.engines import FixedStt, FixedTts
from tests.doubles.house import running_penny
from tests.doubles.sample import open_sample
from tests.doubles.speech import silence, speak


pytestmark = pytest.mark.engines

Json = dict[str, Any]


@pytest.fixture(scope="module")
def base() -> Iterator[KnowledgeBase]:
    opened = open_sample()
    yield opened
    opened.close()


class Lasting(Reader):
    """A reader whose documents outlive its worker."""

    async def aclose(self) -> None:
        return None


class Quick(FixedTts):
    """A voice whose answers are heard to their end at once."""

    MS_PER_CHARACTER = 2


House = Callable[..., AbstractAsyncContextManager[str]]


@pytest.fixture
def house(base: KnowledgeBase, tmp_path: Path) -> House:
    """Opens a Penny whose private mode reads, with the sample company behind it."""
    (tmp_path / "documents" / "empresa" / "documentos").mkdir(parents=True)

    @asynccontextmanager
    async def opened(stt: FixedStt | None = None, **sections: Any) -> AsyncIterator[str]:
        reader = Lasting(base, "kb://empresa/documentos", date.today)
        engines = Engines(SileroVad(), stt or FixedStt(), reader, Quick())
        kb = {
            "documents": str(tmp_path / "documents"), "index": str(tmp_path / "kb"),
            "watch": False, "embedding": "none",
        }  # fmt: skip
        actions = {"sample": True}
        async with running_penny(engines, kb=kb, actions=actions, **sections) as address:
            yield address

    return opened


@asynccontextmanager
async def a_call(address: str, **start: Any) -> AsyncIterator[Caller]:
    async with calling(address) as caller:
        await caller.send("session_start", mode="SELF_HOSTED", greeting="", **start)
        await caller.until("session_started")
        yield caller


async def say(caller: Caller, text: str) -> str:
    """Type a turn; what Penny answers."""
    await caller.send("text_input", text=text)
    return await answer(caller)


async def answer(caller: Caller) -> str:
    """What Penny answers, heard to its end: on a busy machine told before its final text."""
    return str((await caller.until("transcript_heard", complete=True))["text"])


def rows(folder: Path, table: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "company.sqlite")) as books:
        return books.execute(f"SELECT * FROM {table}").fetchall()


async def test_a_newcomer_pays_an_invoice_by_text(house: House, tmp_path: Path) -> None:
    async with house() as address, a_call(address) as caller:
        asked = await say(caller, "Quiero pagar mi factura")
        assert asked.startswith("¿Programo el pago de 212 euros con 80 de la factura F-2024-1102")
        assert rows(tmp_path, "payments") == []
        done = await say(caller, "sí")
        assert done.startswith("Hecho: el pago de 212 euros con 80")
        again = await say(caller, "sí")
        assert not again.startswith("Hecho")
        ((_, number, cents, _),) = rows(tmp_path, "payments")
        assert (number, cents) == ("F-2024-1102", 21280)
        told = [(e["name"], e["status"]) for e in caller.events if e["type"] == "tool_call"]
        assert told == [
            ("programar_pago", "refused"), ("programar_pago", "started"),
            ("programar_pago", "completed"),
        ]  # fmt: skip


async def test_a_no_pays_nothing_and_a_day_may_be_said_later(house: House, tmp_path: Path) -> None:
    async with house() as address, a_call(address) as caller:
        await say(caller, "Quiero pagar la factura F-2024-1234")
        later = await say(caller, "mejor el cinco de enero")
        assert "F-2024-1234" in later
        assert "5 de enero" in later
        await say(caller, "no")
        assert rows(tmp_path, "payments") == []
        assert "Hecho" not in await say(caller, "sí")
        assert rows(tmp_path, "payments") == []


async def test_a_question_about_paying_is_answered_by_the_documents(
    house: House, tmp_path: Path
) -> None:
    async with house() as address, a_call(address) as caller:
        said = await say(caller, "¿Cómo puedo pagar mi factura?")
        assert "¿Programo" not in said
        assert "tool_call" not in caller.kinds()


async def test_the_support_call(house: House, tmp_path: Path) -> None:
    async with house() as address, a_call(address) as caller:
        assert "electricidad y agua" in await say(caller, "Hola, mi internet no funciona")
        done = await say(caller, "Ya reinicié el router pero sigue igual")
        assert done == "Hecho: le llamamos lo antes posible."
        done = await say(caller, "Llámame más tarde, mañana a las cinco")
        assert done == "Hecho: le llamamos mañana a las cinco."
        assert len(rows(tmp_path, "callbacks")) == 2


async def test_the_bill_call(house: House) -> None:
    async with house() as address, a_call(address) as caller:
        said = await say(caller, "Necesito revisar el saldo de mi cuenta")
        assert "1797 euros con 15" in said
        due = said.partition("la primera vence el ")[2]
        assert due
        assert f"vence el {due.rstrip('.')}" in await say(caller, "¿Y cuándo vence?")


async def test_more_is_told_of_the_invoice_that_was_asked_for(house: House) -> None:
    async with house() as address, a_call(address) as caller:
        before = await say(caller, "¿Y cuándo vence?")
        assert "tool_call" not in caller.kinds(), before
        told = await say(caller, "Consulta la factura F-2024-1234")
        assert "F-2024-1234" in told
        assert await say(caller, "¿Y cuándo vence?") == told
        await say(caller, "¿Y cuándo vence el contrato de la luz?")
        asked = [e["name"] for e in caller.events if e["type"] == "tool_call"]
        assert asked == ["consultar_factura"] * len(asked)
        assert (
            sum(e.get("status") == "completed" for e in caller.events if e["type"] == "tool_call")
            == 2
        )


async def test_the_call_of_a_customer_who_leaves(house: House, tmp_path: Path) -> None:
    async with house() as address, a_call(address) as caller:
        which = await say(caller, "Quiero cancelar mi servicio")
        assert which == "¿Qué servicio quiere dar de baja: electricidad y agua?"
        assert (await say(caller, "agua")).startswith("¿Doy de baja el servicio de agua?")
        assert (await say(caller, "sí")).startswith("Hecho: el servicio de agua")
        await caller.send("text_input", text="Estoy molesto con el servicio")
        handoff = await caller.until("handoff")
        assert handoff["destination"] == "managers"
        assert (await caller.until("session_ended"))["reason"] == "handoff"


async def test_contact_and_balance_in_english(house: House, tmp_path: Path) -> None:
    async with house() as address, a_call(address, language="en") as caller:
        told = await say(caller, "How much do I owe?")
        assert told.startswith("You owe 1797 euros and 15 cents")
        asked = await say(caller, "Change my phone to 600 123 456 please")
        assert asked == "Shall I change your contact to 600123456?"
        assert (await say(caller, "yes")).startswith("Done: your contact is now 600123456")


async def test_an_invoice_is_paid_by_voice(house: House, tmp_path: Path) -> None:
    stt = FixedStt("quiero pagar mi factura", "sí")
    async with house(stt) as address, a_call(address) as caller:
        for spoken, said in (("Quiero pagar mi factura.", "¿Programo"), ("Sí.", "Hecho:")):
            await caller.speak(silence(300) + speak(spoken) + silence(1500))
            assert (await answer(caller)).startswith(said)
        assert len(rows(tmp_path, "payments")) == 1
