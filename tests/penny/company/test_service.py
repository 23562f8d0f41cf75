"""The sample company's ten functions over HTTP: once for a key, and refused in words to be said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from penny.cli.main import main
from penny.company.service import Company, read_actions


pytestmark = pytest.mark.socket

Json = dict[str, Any]
TODAY = date(2024, 12, 27)


@asynccontextmanager
async def company(folder: Path) -> AsyncIterator[Company]:
    made = Company(folder / "company.sqlite", lambda: TODAY)
    await made.start()
    try:
        yield made
    finally:
        await made.aclose()


async def ask(
    made: Company, function: str, key: str = "", language: str = "es", **arguments: Any
) -> tuple[int, Json]:
    headers = {"Accept-Language": language, **({"Idempotency-Key": key} if key else {})}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{made.url}/{function}", json=arguments, headers=headers) as answer,
    ):
        return answer.status, await answer.json()


async def test_an_invoice_is_told_however_its_number_is_written(tmp_path: Path) -> None:
    async with company(tmp_path) as made:
        for number in ("F-2024-1234", "f 2024 1234", "F20241234"):
            status, told = await ask(made, "consultar_factura", factura_id=number)
            assert (status, told["importe"], told["vencimiento"]) == (200, 1500.0, "2025-01-15")
        assert "1500 euros" in told["message"]
        _, oldest = await ask(made, "consultar_factura")
        assert oldest["numero"] == "F-2024-1102"
        _, english = await ask(made, "consultar_factura", language="en-GB")
        assert english["message"].startswith("Invoice F-2024-1102")
        status, told = await ask(made, "consultar_factura", factura_id="F-2024-1929")
        assert status == 404  # another customer's
        assert "F-2024-1929" in told["message"]


async def test_a_payment_is_made_once_for_a_key_and_once_for_an_invoice(tmp_path: Path) -> None:
    pay = {"factura_id": "F-2024-1234", "fecha": "2025-01-05"}
    async with company(tmp_path) as made:
        _, told = await ask(made, "programar_pago/preview", **pay)
        assert told["question"] == (
            "¿Programo el pago de 1500 euros de la factura F-2024-1234 de electricidad para el "
            "5 de enero de 2025?"
        )
        answers = await asyncio.gather(*(ask(made, "programar_pago", "k1", **pay) for _ in "12345"))
        assert {status for status, _ in answers} == {200}
        assert {answer["pago_id"] for _, answer in answers} == {"P-0001"}
        status, told = await ask(made, "programar_pago", "k2", **pay)
        assert (status, told["message"]) == (
            409, "La factura F-2024-1234 no está pendiente: pago programado.",
        )  # fmt: skip
        status, told = await ask(made, "programar_pago", **pay)
        assert (status, told["message"]) == (400, "Idempotency-Key is missing")
    async with company(tmp_path) as made:  # what was done outlives the service
        _, told = await ask(made, "programar_pago", "k1", **pay)
        assert told["pago_id"] == "P-0001"


async def test_what_was_asked_is_what_is_done(tmp_path: Path) -> None:
    async with company(tmp_path) as made:
        _, told = await ask(made, "programar_pago/preview")
        settled = told["arguments"]
        assert settled == {"factura_id": "F-2024-1102", "fecha": "2024-12-27"}
        await ask(made, "programar_pago", "another session", factura_id="F-2024-1102")
        status, told = await ask(made, "programar_pago", "k", **settled)
        assert status == 409
        assert "F-2024-1102" in told["message"]


async def test_companies_that_begin_at_once_share_one_new_file(tmp_path: Path) -> None:
    path = tmp_path / "company.sqlite"
    made = [Company(path, lambda: TODAY) for _ in range(8)]
    await asyncio.gather(*(each.start() for each in made))
    _, told = await ask(made[-1], "get_account_balance")
    assert told["saldo"] == 1797.15
    await asyncio.gather(*(each.aclose() for each in made))


@pytest.mark.parametrize(
    ("day", "said"), [("2024-12-26", "ya ha pasado"), ("mañana", "No entiendo la fecha mañana")]
)
async def test_a_day_that_cannot_be_is_refused(tmp_path: Path, day: str, said: str) -> None:
    async with company(tmp_path) as made:
        for function in ("programar_pago/preview", "programar_pago"):
            status, told = await ask(made, function, "k", fecha=day)
            assert status == 422
            assert said in told["message"]
        _, balance = await ask(made, "get_account_balance")
        assert balance["saldo"] == 1797.15


async def test_balance_status_and_calls_back(tmp_path: Path) -> None:
    async with company(tmp_path) as made:
        _, told = await ask(made, "get_account_balance")
        assert told["message"].startswith("Debe 1797 euros con 15 en 3 facturas")
        _, told = await ask(made, "get_account_status")
        assert told["servicios"] == ["electricidad", "agua"]
        _, told = await ask(
            made, "schedule_callback", "k", telefono="600123456", cuando="mañana a las cinco"
        )
        assert told["message"] == "Hecho: le llamamos mañana a las cinco al 600123456."
        _, again = await ask(made, "schedule_callback", "k")
        assert again == told


async def test_a_service_is_cancelled_once_it_is_known_which(tmp_path: Path) -> None:
    async with company(tmp_path) as made:
        status, told = await ask(made, "cancel_service/preview")
        assert (status, told["message"]) == (
            422, "¿Qué servicio quiere dar de baja: electricidad y agua?",
        )  # fmt: skip
        _, told = await ask(made, "cancel_service/preview", servicio="agua")
        assert told["question"].startswith("¿Doy de baja el servicio de agua?")
        _, told = await ask(made, "cancel_service", "k", servicio="agua")
        assert told["servicio"] == "agua"
        status, told = await ask(made, "cancel_service", "k2", servicio="agua")
        assert (status, "agua" in told["message"]) == (409, True)
        _, told = await ask(made, "get_account_status")
        assert told["servicios"] == ["electricidad"]


async def test_contact_details_are_changed(tmp_path: Path) -> None:
    async with company(tmp_path) as made:
        status, _ = await ask(made, "update_contact_info/preview")
        assert status == 422
        _, told = await ask(made, "update_contact_info/preview", telefono="600123456")
        assert told["question"] == "¿Cambio sus datos de contacto a 600123456?"
        _, told = await ask(made, "update_contact_info", "k", telefono="600123456")
        assert told["message"] == "Hecho: sus datos de contacto son ahora 600123456."


async def test_what_is_no_function_or_no_json_is_refused(tmp_path: Path) -> None:
    async with company(tmp_path) as made:
        assert (await ask(made, "borrar_todo", "k"))[0] == 404
        assert (await ask(made, "get_account_balance/preview"))[0] == 404
        sent = {"data": b"[1]", "headers": {"Idempotency-Key": "k"}}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{made.url}/programar_pago", **sent) as answer,
        ):
            assert answer.status == 400


def test_the_ten_functions_are_there() -> None:
    actions = read_actions("http://127.0.0.1:1")
    assert list(actions) == [
        "consultar_factura", "programar_pago", "transferir_humano", "get_account_balance",
        "get_account_status", "schedule_callback", "transfer_to_agent", "transfer_to_manager",
        "cancel_service", "update_contact_info",
    ]  # fmt: skip
    confirmed = {name for name, action in actions.items() if action.confirm}
    assert confirmed == {"programar_pago", "cancel_service", "update_contact_info"}
    assert all(actions[name].preview for name in confirmed)


def test_a_worker_of_the_sample_knows_how_callers_ask(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["worker", "--sample", "--settings"]) == 0
    assert "quiero pagar mi factura" in json.loads(capsys.readouterr().out)["phrases"]
    assert main(["worker", "--settings"]) == 0
    assert "phrases" not in json.loads(capsys.readouterr().out)
