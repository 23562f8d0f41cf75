"""Cards and codes as they are spoken in Spanish: none of a hundred leaks, and nothing else goes.

The words of each number are made by another hand (num2words), not by what reads them here.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable

import pytest
from num2words import num2words

from penny.calls.masking import mask_dialogue, mask_secrets
from penny.calls.record import KEY, Turn
from tests.penny.calls.calls import a_turn


pytestmark = pytest.mark.pure

chance = random.Random(23)
CARDS = [
    "4111111111111111", "5500005555555559", "4000123412341234", "371449635398431",
    "6011000990139424", "4532015112830366", "5105105105105100", "30569309025904",
    "4222222222222", "5018271093645120",
]  # fmt: skip
"""Of thirteen to sixteen digits; some with a wrong check digit."""


def in_words(number: int) -> str:
    return str(num2words(number, lang="es"))


def one_by_one(card: str) -> list[str]:
    return [" ".join(in_words(int(digit)) for digit in card)]


def in_pairs(card: str) -> list[str]:
    pairs = [card[at : at + 2] for at in range(0, len(card), 2)]
    said = (
        f"cero {in_words(int(p[1]))}" if p[0] == "0" and len(p) == 2 else in_words(int(p))
        for p in pairs
    )
    return [", ".join(said)]


def in_threes(card: str) -> list[str]:
    parts = [card[at : at + 3] for at in range(0, len(card), 3)]
    return [
        " ".join(
            " ".join(["cero"] * (len(p) - len(str(int(p))))) + " " + in_words(int(p)) for p in parts
        )
    ]


def in_fours(card: str) -> list[str]:
    parts = [card[at : at + 4] for at in range(0, len(card), 4)]
    return [
        "; ".join(
            " ".join(["cero"] * (len(p) - len(str(int(p))))) + " " + in_words(int(p)) for p in parts
        )
    ]


def written(card: str) -> list[str]:
    return ["Es la " + " ".join(card[at : at + 4] for at in range(0, len(card), 4)) + "."]


def mixed(card: str) -> list[str]:
    return [
        f"Apunte: {card[:4]}, " + " ".join(in_words(int(d)) for d in card[4:8]) + f" y {card[8:]}"
    ]


def with_doubles(card: str) -> list[str]:
    said = re.sub(r"(\d)\1", lambda found: f" doble {in_words(int(found[1]))} ", card)
    return [re.sub(r"\d", lambda found: f" {in_words(int(found[0]))} ", said)]


def hesitating(card: str) -> list[str]:
    return [
        " eh... espere ".join(
            " ".join(in_words(int(d)) for d in card[at : at + 4]) for at in range(0, len(card), 4)
        )
    ]


def over_turns(card: str) -> list[str]:
    return [" ".join(in_words(int(d)) for d in card[at : at + 4]) for at in range(0, len(card), 4)]


def over_turns_with_words(card: str) -> list[str]:
    return [f"luego {card[at : at + 5]}, ¿sí?" for at in range(0, len(card), 5)]


MANNERS: list[Callable[[str], list[str]]] = [
    one_by_one, in_pairs, in_threes, in_fours, written, mixed, with_doubles, hesitating,
    over_turns, over_turns_with_words,
]  # fmt: skip


def plain(text: str) -> set[str]:
    folded = unicodedata.normalize("NFKD", text.lower()).encode("ascii", "ignore").decode()
    return set(re.findall(r"[a-z]+|\d+", folded))


NUMBER_WORDS = {
    word for number in (*range(100), 200, 345, 567, 789, 1000) for word in plain(in_words(number))
}
NUMBER_WORDS = {
    *NUMBER_WORDS,
    "cuatrocientos",
    "seiscientos",
    "ochocientos",
    "novecientos",
    "ciento",
    "doble",
} - {"y"}


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("card", CARDS)
def test_no_digit_of_a_card_is_kept(card: str, manner: Callable[[str], list[str]]) -> None:
    said = manner(card)
    around = ["Quiero pagar la factura.", *said, "Nada más, gracias."]
    turns = [a_turn(words, heard="Siga, por favor.") for words in around]
    masked = mask_secrets(turns)
    changed = [at for at, turn in enumerate(masked) if turn.is_masked]
    for turn in masked:
        left = plain(turn.words or "")
        assert not left & NUMBER_WORDS, turn.words
        assert not {word for word in left if word.isdigit()}, turn.words
    assert changed == list(range(1, len(said) + 1))
    assert masked[0] == turns[0]
    assert masked[-1] == turns[-1]


def test_what_penny_says_again_goes_too() -> None:
    turns = [
        a_turn("4111 1111 1111 1111", heard="¿Termina en once once?"),
        a_turn("sí", heard="Gracias: tarjeta terminada en 1111."),
    ]
    masked = mask_secrets(turns)
    changed = [at for at, turn in enumerate(masked) if turn.is_masked]
    assert changed == [0, 1]
    assert "once" not in masked[0].text
    assert masked[1].heard_text == "Gracias: tarjeta terminada en ••••."


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("", "el CVV es 123"),
        ("", "mi pin es cuatro cinco uno dos"),
        ("¿Me dice el código de seguridad?", "novecientos doce"),
        ("Necesito la clave.", "dos dos siete uno"),
        ("", "la contraseña es cero cero siete"),
        ("What is the security code?", "one two three"),
    ],
)
def test_a_security_code_is_never_kept(asked: str, words: str) -> None:
    masked = mask_secrets([a_turn("hola", heard=asked), a_turn(words, heard="Gracias.")])
    assert not plain(masked[1].words or "") & (
        NUMBER_WORDS | {"123", "one", "two", "three", "novecientos"}
    )


@pytest.mark.parametrize(
    ("asked", "keys", "left"),
    [
        ("Pulse uno para facturas.", "1", "1"),
        ("¿Su tarjeta?", "4111111111111111#", "•" * 16 + "#"),
        ("Marque su PIN.", "4512", "••••"),
    ],
)
def test_keys_that_spell_a_secret_are_not_kept(asked: str, keys: str, left: str) -> None:
    pressed = [{"kind": KEY, "at_ms": at, "fields": {"event": key}} for at, key in enumerate(keys)]
    (_, masked) = mask_secrets([a_turn("hola", asked), a_turn("", "Gracias.", marks=pressed)])
    assert "".join(mark["fields"]["event"] for mark in masked.marks) == left


def test_an_action_long_after_the_card_keeps_no_number_of_it() -> None:
    fields = {
        "name": "cobrar",
        "call_id": "call_1234567890123456",
        "arguments": {"tarjeta": "4111-1111 1111 1111", "numero": 4111111111111111, "euros": 1200},
        "summary": "Cliente: cuatro uno uno uno, uno uno uno uno, uno uno uno uno, uno uno uno uno",
    }
    turn = a_turn("sí, correcto", marks=[{"kind": "tool_call", "at_ms": 1, "fields": fields}])
    (masked,) = mask_secrets([turn])
    assert masked.marks[0]["fields"] == {
        **fields, "arguments": {"tarjeta": "••••-•••• •••• ••••", "numero": "•", "euros": 1200},
        "summary": "Cliente: • • • •, • • • •, • • • •, • • • •",
    }  # fmt: skip
    assert masked.words == "sí, correcto"


@pytest.mark.parametrize(
    "words",
    [
        "Mi teléfono es el 600 123 456.",
        "Es el treinta y cuatro, seiscientos doce, treinta y cuatro, cincuenta y seis, siete ocho.",
        "Son mil doscientos treinta y cuatro euros con cincuenta.",
        "El quince de enero de dos mil veintiséis a las diez y media.",
        "El contrato 2024001234.",
        "Mi DNI es 12345678 zeta.",
        "Páseme con el 902 del departamento de facturas.",
        "Un momento, que somos dos y tenemos tres líneas.",
        "Ponga 48.50 en la factura 15 y 62.30 en la 16.",
    ],
)
def test_what_is_no_card_stays_readable(words: str) -> None:
    turns: list[Turn] = [a_turn("Buenos días."), a_turn(words), a_turn("Gracias.")]
    assert mask_secrets(turns) == turns


@pytest.mark.parametrize(
    "said",
    [
        [f"turno {number}" for number in range(1, 30)],
        [f"el turno {in_words(number)}" for number in range(1, 30)],
        [f"Pase al punto {number}, por favor." for number in range(1, 30)],
        [f"{number} cajas" for number in range(1, 30)],
        ["Mi teléfono es el 600 123 456.", "Mi DNI es 12345678 zeta.", "El contrato 2024001234."],
        ["Somos 2 personas.", "El día 14.", "Entramos a las 21.", "Habitación 305.", "3 noches.",
         "Vuelo 3412.", "Sí.", "Asiento 14."],
        ["I have 2 children.", "Room 305.", "We come on May 14.", "Flight 3412.", "Order 55021."],
    ],
)  # fmt: skip
def test_small_numbers_of_many_turns_are_no_card(said: list[str]) -> None:
    turns = [a_turn(words, heard="Vale.") for words in said]
    assert mask_secrets(turns) == turns
    # Nor where it is the other side that says them.
    turns = [a_turn("sí", heard=words) for words in said]
    assert mask_secrets(turns) == turns


@pytest.mark.parametrize(
    "said",
    [
        ["Quiero pagar con la 4111 1111", "1111", "1111 y ya está, ¿cuánto tarda?"],
        ["Mi tarjeta es la 4111", "Sí, 1111", "vale", "después 1111", "y al final, perdón, 1111"],
        ["It's 4111", "then 1111", "okay, 1111", "and the last: 1111, right?"],
        list("4111111111111111"),
    ],
)
def test_a_card_over_turns_goes_with_the_words_beside_it(said: list[str]) -> None:
    masked = mask_secrets([a_turn(words, heard="¿Sí?") for words in said])
    assert not any(character.isdigit() for turn in masked for character in turn.words or "")


def test_a_card_in_a_summary_of_both_sides_is_masked_over_the_lines() -> None:
    half = "uno " * 8
    summary = (
        "Cliente: la tarjeta es cuatro uno uno uno uno uno uno uno\n"
        "Penny: Perfecto, la tengo, dígame los siguientes.\n"
        f"Cliente: {half.strip()}\n"
        "Penny: Gracias, la factura es la F-2024-1234."
    )
    masked = mask_dialogue(summary)
    assert "cuatro" not in masked
    assert "uno" not in masked
    assert masked.startswith("Cliente: la tarjeta es ")
    assert "Penny: Perfecto, la tengo, dígame los siguientes." in masked
    assert len(masked.splitlines()) == 4


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Quiere pagar.",
        "Cliente: mi teléfono es 600 123 456\nPenny: Gracias.\nCliente: quiero pagar",
        "Penny: Hola\nPenny: ¿En qué puedo ayudarle?\n\nintención: pagar la F-2024-1234",
    ],
)
def test_a_summary_without_a_card_stays_as_it_is(text: str) -> None:
    assert mask_dialogue(text) == text
