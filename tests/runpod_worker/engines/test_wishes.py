"""Wishes over several turns, and the questions of callers that are none."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from brain.actions import offer_tools
from penny.company.service import read_actions
from runpod_worker.engines.wishes import find_follow_up, find_wish, say_result


pytestmark = pytest.mark.pure

TODAY = date(2025, 1, 1)
TOOLS = tuple(offer_tools(read_actions("http://127.0.0.1:1"), "es", search=False))


def wish(*said: str, answered: str = "¿Lo hago?", is_yes: bool = False) -> tuple[str, Any] | None:
    found = find_wish(TOOLS, "auto", said, answered, TODAY, is_yes=is_yes)
    return None if found is None else (found[0]["name"], found[1])


@pytest.mark.parametrize(
    ("words", "name", "arguments"),
    [
        ("quiero pagar mi factura", "programar_pago", {}),
        (
            "Quiero pagar la factura F-2024-1234 el cinco de enero",
            "programar_pago",
            {"factura_id": "F-2024-1234", "fecha": "2025-01-05"},
        ),
        ("paga mi factura mañana por favor", "programar_pago", {"fecha": "2025-01-02"}),
        ("I want to pay my bill", "programar_pago", {}),
        ("Hola, ¿cuánto debo?", "get_account_balance", {}),
        ("cambia mi teléfono al 600 123 456", "update_contact_info", {"telefono": "600123456"}),
        (
            "llámame más tarde, mañana a las cinco",
            "schedule_callback",
            {"cuando": "mañana a las cinco"},
        ),
        ("quiero cancelar mi servicio", "cancel_service", {}),
        ("Hola, mi internet no funciona", "get_account_status", {}),
    ],
)
def test_words_that_ask_for_it(words: str, name: str, arguments: Any) -> None:
    assert wish(words) == (name, arguments)


@pytest.mark.parametrize(
    "words",
    [
        "¿Cómo puedo pagar mi factura?",
        "cuándo tengo que pagar la factura",
        "dónde puedo pagar la factura",
        "qué pasa si quiero cancelar mi servicio",
        "si quiero cancelar el servicio antes de un año me cobran algo",
        "¿Puedo pagar mi factura con tarjeta?",
        "How can I pay my bill?",
        "me han cobrado dos veces la factura que iba a pagar el banco en enero",
        "hola",
        "",
    ],
)
def test_a_question_about_it_asks_for_nothing(words: str) -> None:
    assert wish(words) is None


def test_a_yes_repeats_the_wish_as_it_was_with_what_was_added() -> None:
    said = ("quiero pagar la factura F-2024-1234", "mejor el cinco de enero", "sí")
    expected = {"factura_id": "F-2024-1234", "fecha": "2025-01-05"}
    assert wish(*said[:2]) == ("programar_pago", expected)
    assert wish(*said, is_yes=True) == ("programar_pago", {**expected, "confirmado": True})
    assert wish(*said, is_yes=True, answered="Hecho.") is None


def test_a_yes_to_nothing_asks_for_nothing() -> None:
    assert wish("hola", "sí", is_yes=True) is None
    assert wish("cuánto debo", "sí", is_yes=True) is None
    assert wish("quiero pagar mi factura", "no") is None


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({"status": "ok", "result": {"message": "Hecho: pagada."}}, "Hecho: pagada."),
        ({"status": "ok", "result": {"pago_id": "P-1"}}, "Hecho."),
        ({"status": "ok", "message": "despídete", "handoff": "x"}, "Le paso con una persona."),
        ({"status": "confirmation_required", "question": "¿Pago?", "message": "m"}, "¿Pago?"),
        ({"status": "confirmation_required", "message": "Di a la persona"}, "¿Quiere que"),
        ({"status": "error", "message": "No hay factura."}, "No hay factura."),
        ({"status": "error", "code": "x"}, "No he podido"),
    ],
)
def test_a_result_is_said_in_words(output: Any, said: str) -> None:
    told = say_result(json.dumps(output), "es")
    assert told is not None
    assert told.startswith(said)


@pytest.mark.parametrize(
    "output", ["plain", "[1]", '{"importe": 3}', '{"status": 1, "passages": []}']
)
def test_what_is_of_no_action_is_left_to_others(output: str) -> None:
    assert say_result(output, "es") is None


INVOICE = "La factura F-2024-1234 de electricidad es de 1500 euros."
BALANCE = "Debe 1797 euros con 15 en 5 facturas."


@pytest.mark.parametrize(
    ("said", "answered", "arguments"),
    [
        (("consulta la factura F-2024-1234", "¿Y cuándo vence?"), INVOICE, "F-2024-1234"),
        (("¿cuánto es la F-2024-1234?", "cuándo vence"), INVOICE, "F-2024-1234"),  # of a document
        (("check my invoice", "And when is it due?"), "Invoice F-2024-1102 …", "F-2024-1102"),
        (("saldo de mi cuenta", "¿y cuándo vence?"), BALANCE, None),
        (("saldo de mi cuenta", "gracias", "¿y cuándo vence?"), "De nada.", None),
    ],
)
def test_words_without_a_subject_are_of_what_was_told(
    said: tuple[str, ...], answered: str, arguments: str | None
) -> None:
    found = find_follow_up(TOOLS, "auto", said, answered, TODAY)
    assert found is not None
    wanted = {"factura_id": arguments} if arguments else {}
    assert (found[0]["name"], found[1]) == ("consultar_factura", wanted)
    assert find_wish(TOOLS, "auto", said, answered, TODAY, is_yes=False) is None


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        (("¿Y cuándo vence?",), ""),
        (("¿cuál es el horario?", "¿Y cuándo vence?"), "De nueve a cinco."),
        (("saldo de mi cuenta", "¿y cuándo vence el contrato?"), BALANCE),
        (("saldo de mi cuenta", *["¿cuál es el horario?"] * 3, "¿y cuándo vence?"), "De nueve."),
        (("saldo de mi cuenta", "¿y cuándo abren?"), BALANCE),
    ],
)
def test_words_without_a_subject_where_nothing_of_it_was_told(
    said: tuple[str, ...], answered: str
) -> None:
    assert find_follow_up(TOOLS, "auto", said, answered, TODAY) is None
