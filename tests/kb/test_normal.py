"""What is said, written and spelled comes to the same keys."""

from __future__ import annotations

import num2words
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.intent import plain_question
from kb.normal.analysis import analyse, guess_language, keys_of
from kb.normal.numbers import canonical_number
from kb.normal.stems import key_of
from kb.normal.stopwords import is_weak


pytestmark = pytest.mark.pure


@given(st.integers(2, 999_999))
def test_every_spanish_number_as_spoken_is_its_digits(value: int) -> None:
    spoken = num2words.num2words(value, lang="es")

    assert str(value) in keys_of(f"son {spoken} litros", "es")


@given(st.integers(2, 999_999))
def test_every_english_number_as_spoken_is_its_digits(value: int) -> None:
    spoken = num2words.num2words(value, lang="en").replace("-", " ").replace(",", "")

    assert str(value) in keys_of(f"{spoken} litres", "en")


@pytest.mark.parametrize(
    "spoken",
    [
        "efe dos mil veinticuatro guion mil doscientos treinta y cuatro",
        "efe dosmil veintikuatro gion mil dosientos treintaycuatro",
        "efe veinte veinticuatro guion doce treinta y cuatro",
        "efe dos cero dos cuatro guion uno dos tres cuatro",
        "F-2024-1234",
        "f 2024 1234",
    ],
)
def test_a_spelled_code_is_the_written_one(spoken: str) -> None:
    assert "f20241234" in keys_of(f"cuándo vence la factura {spoken}", "es")


def test_ordinary_words_beside_a_number_are_no_code() -> None:
    assert keys_of("vence en enero de dos mil veinticinco", "es")[-1] == "2025"


@pytest.mark.parametrize(
    "said", ["el quince de enero", "el 15 de enero", "2025-01-15", "15/01/2025"]
)
def test_a_date_keeps_its_day_and_month_however_it_is_written(said: str) -> None:
    assert "15ener" in keys_of(said, "es")


@pytest.mark.parametrize("said", ["un euro con diez", "1,10 €", "1.10 euros"])
def test_an_amount_is_one_number_however_it_is_said(said: str) -> None:
    assert "1.1" in keys_of(said, "es")


@pytest.mark.parametrize(
    ("written", "plain"),
    [("1.500,00", "1500"), ("1,500.00", "1500"), ("1.500", "1500"), ("0,15", "0.15"), ("007", "7")],
)
def test_separators_do_not_change_a_number(written: str, plain: str) -> None:
    assert canonical_number(written) == plain


def test_a_spoken_address_is_the_written_one() -> None:
    spoken = keys_of("escriba a clientes arroba aguas y luz punto example", "es")

    assert "clientes@aguasyluz.example" in spoken
    assert "clientes@aguasyluz.example" in keys_of("clientes@aguasyluz.example", "es")


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("resivo", "recibo"),
        ("bense", "vence"),
        ("yave", "llave"),
        ("orario", "horario"),
        ("averia", "avería"),
        ("facturacion", "facturación"),
        ("documentasion", "documentación"),
        ("quilobatio", "kilovatio"),
        ("cuesta", "costar"),
        ("cayó", "caer"),
        ("murió", "morir"),
        ("pidieron", "pedir"),
    ],
)
def test_words_that_sound_alike_share_a_key(heard: str, meant: str) -> None:
    assert key_of(heard, "es") == key_of(meant, "es")


@pytest.mark.parametrize(("one", "other"), [("taxi", "taza"), ("taxi", "tasa")])
def test_words_that_differ_in_more_than_sound_do_not(one: str, other: str) -> None:
    assert key_of(one, "es") != key_of(other, "es")


def test_an_everyday_word_is_known_by_its_form_not_its_stem() -> None:
    assert is_weak("rato", "es")
    assert is_weak("ratos", "es")
    assert not is_weak("ratas", "es")
    assert is_weak("mandamos", "es")


@pytest.mark.parametrize(
    "asked", ["cuánto vale la luz", "a cómo está la luz", "a cuánto sale la luz"]
)
def test_every_way_to_ask_a_price_is_one(asked: str) -> None:
    assert plain_question(asked) == "cuánto cuesta la luz"


def test_stop_words_are_known_by_their_sound() -> None:
    assert keys_of("kiero saver kuanto ase", "es") == []
    assert keys_of("quanto y quando", "es") == []


def test_a_number_word_is_mended_beside_another_number_only() -> None:
    assert "187" in keys_of("siento ochenta y siete", "es")
    assert "100" not in keys_of("lo siento mucho", "es")


@pytest.mark.parametrize(
    ("text", "language"), [("cuándo vence mi factura", "es"), ("when is my bill due", "en")]
)
def test_the_small_words_tell_the_language(text: str, language: str) -> None:
    assert guess_language(text) == language


@given(st.text(max_size=200), st.sampled_from(["es", "en"]))
def test_any_text_is_analysed_without_failing(text: str, language: str) -> None:
    for token in analyse(text, "en" if language == "en" else "es"):
        assert token.keys
        assert not any(character.isspace() for key in token.keys for character in key)
