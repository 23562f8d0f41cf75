"""The desk of actions: schemas, exactly once, and a yes that is one."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from brain.actions import CONSENT_TURNS, ActionDesk, Judged, offer_tools, read_consent
from config.brain import Action, ActionsSection


pytestmark = pytest.mark.pure


PAY = Action(
    description="Paga una factura.",
    endpoint="http://x",
    confirm=True,
    parameters={
        "type": "object",
        "properties": {
            "importe": {"type": "number", "exclusiveMinimum": 0, "maximum": 5000},
            "factura": {"type": "string", "pattern": "^F-[0-9]{4}-[0-9]+$"},
            "lineas": {"type": "array", "maxItems": 2, "items": {"type": "integer"}},
        },
        "required": ["importe"],
        "additionalProperties": False,
    },
)
LOOK = Action(description="Consulta.", endpoint="http://x")
FIVE = json.dumps({"importe": 5})


def desk(session: str = "sess_1") -> ActionDesk:
    return ActionDesk({"pagar": PAY, "consultar": LOOK}, session)


def paid(actions: ActionDesk, call_id: str, turn: int, words: str, arguments: str = FIVE) -> Judged:
    return actions.judge(call_id, "pagar", arguments, turn, words)


def test_a_call_id_counts_once() -> None:
    actions = desk()
    assert actions.judge("c1", "consultar", "{}", 1, "").verdict == "run"
    again = actions.judge("c1", "consultar", "{}", 1, "")
    assert (again.verdict, again.first_call_id) == ("repeated", "c1")


def test_a_call_made_anew_after_a_reconnection_shares_the_first_ones_result() -> None:
    actions = desk()
    first = actions.judge("c1", "consultar", '{"a": 1, "b": 2}', 1, "")
    anew = actions.judge("c2", "consultar", '{"b": 2, "a": 1}', 1, "")
    assert (anew.verdict, anew.first_call_id) == ("repeated", "c1")
    assert anew.call.key == first.call.key
    later = actions.judge("c3", "consultar", '{"a": 1, "b": 2}', 2, "")
    assert later.verdict == "run"
    assert later.call.key != first.call.key


def test_the_key_is_the_same_in_another_process_and_another_in_another_session() -> None:
    keys = [
        each.judge("any", "consultar", '{"a": 1}', 3, "").call.key
        for each in (desk(), desk(), desk("sess_2"))
    ]
    assert keys[0] == keys[1] != keys[2]
    assert len(keys[0]) == 32


def test_a_wish_whose_fate_is_unknown_keeps_its_key_in_a_later_turn() -> None:
    actions = desk()
    paid(actions, "c1", 1, "")
    first = paid(actions, "c2", 2, "sí")
    actions.failed("c2")
    again = paid(actions, "c3", 4, "inténtalo otra vez")
    assert (again.verdict, again.call.key) == ("run", first.call.key)


def test_it_runs_after_a_yes_and_once() -> None:
    actions = desk()
    assert paid(actions, "c1", 1, "quiero pagar").verdict == "confirm_first"
    assert paid(actions, "c2", 1, "sí").verdict == "confirm_first", "nobody had asked before"
    assert paid(actions, "c3", 2, "Sí, adelante.").verdict == "run"
    assert paid(actions, "c4", 2, "Sí, adelante.").first_call_id == "c3"
    assert paid(actions, "c5", 3, "sí").verdict == "confirm_first", "another payment"


@pytest.mark.parametrize(
    "words", ["no", "espera", "mañana", "¿cuánto era?", "ajá", "", "Sí, pero 6"]
)
def test_anything_but_a_yes_asks_again(words: str) -> None:
    actions = desk()
    paid(actions, "c1", 1, "")
    assert paid(actions, "c2", 2, words).verdict == "confirm_first"
    assert paid(actions, "c3", 3, "sí").verdict == "run"


def test_other_arguments_are_asked_for_anew() -> None:
    actions = desk()
    paid(actions, "c1", 1, "")
    assert paid(actions, "c2", 2, "sí", json.dumps({"importe": 6})).verdict == "confirm_first"


def test_a_yes_long_after_confirms_nothing() -> None:
    actions = desk()
    paid(actions, "c1", 1, "")
    assert paid(actions, "c2", 2 + CONSENT_TURNS, "sí").verdict == "confirm_first"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("{}", "importe"),
        ('{"importe": "5"}', "importe"),
        ('{"importe": -5}', "importe"),
        ('{"importe": 9000}', "importe"),
        ('{"importe": NaN}', "JSON"),
        ('{"importe": 5, "factura": "../1"}', "factura"),
        ('{"importe": 5, "lineas": [1, 2, 3]}', "lineas"),
        ('{"importe": 5, "otro": 1}', "otro"),
        ("[1]", "object"),
        ("{nope", "JSON"),
        ('{"importe": ' + "[" * 200 + "]" * 200 + "}", "nested"),
        ('{"importe": 5, "factura": "' + "x" * 30_000 + '"}', "characters"),
        ("[" * 100_000, "characters"),
    ],
)
def test_arguments_that_the_schema_does_not_allow(arguments: str, told: str) -> None:
    judged = desk().judge("c1", "pagar", arguments, 1, "sí")
    assert judged.verdict == "bad_arguments"
    assert told in judged.message


def test_what_is_wrong_with_arguments_is_told_without_their_brackets() -> None:
    judged = desk().judge("c1", "pagar", '{"importe": "[CORRECCION NECESARIA]\\n"}', 1, "")
    assert "[" not in judged.message
    assert "\n" not in judged.message


def test_an_action_nobody_declared() -> None:
    assert desk().judge("c1", "borrar_todo", "{}", 1, "").verdict == "unknown"


def test_the_search_needs_a_question() -> None:
    assert desk().judge("c1", "search_knowledge", '{"query": "plazos"}', 1, "").verdict == "run"
    assert desk().judge("c2", "search_knowledge", "{}", 1, "").verdict == "bad_arguments"


@pytest.mark.parametrize(
    ("words", "consent"),
    [
        ("Sí, adelante.", "yes"),
        ("vale", "yes"),
        ("claro que sí", "yes"),
        ("desde luego", "yes"),
        ("sí, programa el pago por favor", "yes"),
        ("yes, go ahead", "yes"),
        ("No", "no"),
        ("no, gracias", "no"),
        ("espera", "no"),
        ("mañana", "no"),
        ("Sí, mañana", "no"),
        ("Sí, pero otro importe", "no"),
        ("don't", "no"),
        ("no no, sí", "no"),
        ("¿sí?", "unclear"),
        ("ajá", "unclear"),
        ("bueno", "unclear"),
        ("Sí, el veinte", "unclear"),
        ("siete", "unclear"),
        ("", "unclear"),
    ],
)
def test_what_is_a_yes(words: str, consent: str) -> None:
    assert read_consent(words, "programar_pago Programa el pago; no se puede deshacer.") == consent


def test_the_actions_own_words_may_stand_in_a_yes() -> None:
    assert read_consent("sí, cancela el servicio", "cancelar_servicio Cancela el servicio") == "yes"
    assert read_consent("sí, cancela el servicio", "programar_pago Programa un pago") == "no"


def test_tools_tell_that_they_need_a_yes() -> None:
    tool = offer_tools({"pagar": PAY}, "es", search=False)[0]
    assert "confirmado" in tool["parameters"]["properties"]
    assert "espera el sí" in tool["description"]
    assert "confirmado" not in PAY.parameters["properties"]


def test_a_schema_that_is_none_is_told_when_the_file_is_read() -> None:
    with pytest.raises(ValueError, match="no JSON Schema"):
        Action(description="x", endpoint="http://x", parameters={"type": "object", "required": 1})


OWNER = Action(
    description="Cambia el titular.",
    endpoint="http://x",
    parameters={
        "type": "object",
        "properties": {
            "dni": {"type": "string", "format": "dni"},
            "tarjeta": {"type": "string", "format": "card-number"},
        },
    },
)


def owned(actions: ActionDesk, turn: int, words: str = "", **arguments: str) -> Judged:
    return actions.judge(f"c{turn}{arguments}", "titular", json.dumps(arguments), turn, words)


def test_a_misheard_identifier_is_proposed_and_counts_from_the_next_turn() -> None:
    actions = ActionDesk({"titular": OWNER})
    wrong = owned(actions, 1, dni="12345768Z", tarjeta="4111111111111111")
    assert wrong.verdict == "bad_arguments"
    wrong = owned(actions, 1, dni="12345378Z", tarjeta="4111111111111111")
    assert (wrong.verdict, "«12345678Z»" in wrong.message) == ("bad_arguments", True)
    early = owned(actions, 1, dni="12345678Z", tarjeta="4111111111111111")
    assert (early.verdict, "espera el sí" in early.message) == ("bad_arguments", True)
    denied = owned(actions, 2, "no", dni="12345678Z", tarjeta="4111111111111111")
    assert (denied.verdict, "entero" in denied.message) == ("bad_arguments", True)
    good = owned(actions, 3, "sí, esa es", dni="12345678Z", tarjeta="4111111111111111")
    assert good.verdict == "run"


def test_digits_of_what_is_kept_nowhere_are_not_told() -> None:
    actions = ActionDesk({"titular": OWNER})
    wrong = owned(actions, 1, dni="12345678Z", tarjeta="4000002660003184")
    assert wrong.verdict == "bad_arguments"
    assert "posición 8" in wrong.message
    assert "4000" not in wrong.message
    short = owned(actions, 1, dni="1234567Z", tarjeta="4111111111111111")
    assert "faltan 1" in short.message


@pytest.mark.parametrize("before", ["pagar", "nada"])
def test_what_comes_before_an_action_is_another_declared_one(before: str) -> None:
    table = {"pagar": {"description": "Paga.", "endpoint": "http://x", "after": before}}
    with pytest.raises(ValidationError, match=r"another action of actions\.table"):
        ActionsSection.model_validate({"table": table})
