from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from runpod_worker.engines.tool_choice import choose_tool, fill_arguments


pytestmark = pytest.mark.pure

SAMPLE = Path("penny/company/actions.yaml")


INVOICE: dict[str, Any] = {
    "type": "function",
    "name": "consultar_factura",
    "description": "Consulta una factura por su número",
    "parameters": {
        "type": "object",
        "properties": {"numero": {"type": "string"}, "copias": {"type": "integer", "minimum": 1}},
        "required": ["numero", "copias"],
    },
}
WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
        "required": ["city", "unit"],
    },
}
TOOLS = (INVOICE, WEATHER)


def test_words_that_name_a_tool_call_it() -> None:
    assert choose_tool(TOOLS, "auto", "quiero consultar la factura F-2024-1234") is INVOICE
    assert choose_tool(TOOLS, "auto", "what is the weather in paris") is WEATHER


def test_other_words_call_none_unless_one_is_required() -> None:
    assert choose_tool(TOOLS, "auto", "buenos días") is None
    assert choose_tool(TOOLS, "required", "buenos días") in TOOLS
    assert choose_tool(TOOLS, "none", "what is the weather") is None


def _sample() -> tuple[dict[str, Any], ...]:
    """The sample company's actions, as a session of theirs offers them."""
    actions = yaml.safe_load(SAMPLE.read_text())
    return tuple(
        {
            "type": "function",
            "name": name,
            "description": " ".join(f"«{phrase}»" for phrase in action["phrases"]),
        }
        for name, action in actions.items()
    )


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ("no quiero hablar con una persona", None),
        ("No, gracias, no quiero hablar con una persona.", None),
        ("no quiero que me llamen", None),
        ("no hace falta que me llamen", None),
        ("no me llames más tarde", None),
        ("quiero que no me llamen", None),
        ("no quiero pagar mi factura", None),
        ("ya no quiero pagar la factura", None),
        ("tampoco quiero cancelar mi servicio", None),
        ("no quiero ni pagar la factura ni hablar con una persona", None),
        ("I don't want to talk to a person", None),
        ("I do not really want to talk to a person", None),
        ("please don’t call me back", None),
        ("never call me back", None),
        ("I can't pay my bill", None),
        ("no quiero seguir esperando, páseme con una persona", "transferir_humano"),
        ("no quiero esperar más quiero hablar con una persona", "transferir_humano"),
        ("no me funciona páseme con una persona", "transferir_humano"),
        ("No, quiero hablar con una persona", "transferir_humano"),
        ("no yo quiero hablar con una persona", "transferir_humano"),
        ("quiero hablar con una persona, no con una máquina", "transferir_humano"),
        ("no quiero hablar con una persona, quiero pagar mi factura", "programar_pago"),
        ("no quiero agua pero quiero que me llamen", "schedule_callback"),
        ("mi internet no funciona", "get_account_status"),
        ("mi internet ya funciona", None),
        ("don't make me wait, talk to a person", "transferir_humano"),
        ("this is not working I want to talk to a person", "transferir_humano"),
        ("not now, please call me back", "schedule_callback"),
        ("quiero que me llamen", "schedule_callback"),
        ("pay my bill", "programar_pago"),
    ],
)
def test_what_a_caller_does_not_want_is_not_done(words: str, chosen: str | None) -> None:
    tool = choose_tool(_sample(), "auto", words)
    assert (tool and tool["name"]) == chosen


def test_words_in_common_that_are_denied_do_not_call_a_tool() -> None:
    assert choose_tool(TOOLS, "auto", "no quiero consultar la factura F-2024-1234") is None
    assert choose_tool(TOOLS, "auto", "I don't want to get the weather") is None


def test_a_named_tool_is_called_whatever_was_said() -> None:
    forced = {"type": "function", "name": "get_weather"}

    assert choose_tool(TOOLS, forced, "hola") is WEATHER


def test_arguments_are_taken_from_the_words() -> None:
    assert fill_arguments(INVOICE, "dos copias de la f-2024-1234, o sea 2") == {
        "numero": "F-2024-1234",
        "copias": 2,
    }
    assert fill_arguments(WEATHER, "what is the weather in paris?") == {
        "city": "paris",
        "unit": "celsius",
    }


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("words", ["", "hola", "3", "F-1 7.5 en Madrid"])
def test_arguments_always_satisfy_the_schema(tool: dict[str, Any], words: str) -> None:
    jsonschema.validate(fill_arguments(tool, words), tool["parameters"])


AMOUNT: dict[str, Any] = {
    "type": "function",
    "name": "pagar",
    "parameters": {
        "type": "object",
        "properties": {"importe": {"type": "number", "minimum": 0}},
        "required": ["importe"],
    },
}


@pytest.mark.parametrize(
    ("words", "amount"),
    [
        ("paga 1.500 euros", 1500),
        ("paga 1.500,75 euros", 1500.75),
        ("pay 1,500.75 dollars", 1500.75),
        ("pay 1,500 dollars", 1500),
        ("paga 1 500 euros", 1500),
        ("paga 1.234.567 euros", 1_234_567),
        ("paga 84,35 euros", 84.35),
        ("paga 0,5", 0.5),
        ("paga 20", 20),
        ("sube -20 grados", -20),
        ("sube \u221220,5 grados", -20.5),
        ("el contrato A-20, paga 7", 7),
    ],
)
def test_an_amount_is_the_one_that_was_said(words: str, amount: float) -> None:
    """One that the schema forbids is passed on as said: what is called refuses it."""
    assert fill_arguments(AMOUNT, words) == {"importe": amount}


def test_a_number_that_was_not_said_is_the_least_allowed() -> None:
    assert fill_arguments(AMOUNT, "paga") == {"importe": 0}
    assert fill_arguments(INVOICE, "una factura")["copias"] == 1
