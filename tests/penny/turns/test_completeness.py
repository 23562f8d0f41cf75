from __future__ import annotations

import pytest

from penny.turns.completeness import judge_text, lacks_end


pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    "text",
    [
        "¿A qué hora abren?",
        "What is it for?",
        "¡Perfecto!",
        "Gracias.",
        "Sí",
        "vale",
        "cuánto cuesta la habitación",
        "where is the station",
    ],
)
def test_finished(text: str) -> None:
    assert judge_text(text) == "finished"


@pytest.mark.parametrize(
    "text",
    [
        "quiero ir a",
        "quiero ir a.",
        "Pues, y",
        "una habitación para",
        "no puedo, pero",
        "necesito el",
        "eh",
        "Eeeeh.",
        "mi número es el, mmm",
        "este",
        "cuánto cuesta la",
        "and",
        "I would like the",
        "because I'm",
        "because I’m",
        "lo que pasa...",
        "lo que pasa…",
        "primero,",
        "mi número es 612.",
        "es que no me",
        "la factura me ha",
        "quiero saber cuándo",
        "la línea está muy",
        "my order has been",
    ],
)
def test_open(text: str) -> None:
    assert judge_text(text) == "open"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "…",
        "mañana por la tarde",
        "si",
        "dónde",
        "turn it on",
        "mi nombre es Ana",
        "Me llamo Ana.",
        "no entiendo por qué",
        "no lo se",
        "y ahora qué tengo que hacer",
        "can you help me",
    ],
)
def test_unknown(text: str) -> None:
    assert judge_text(text) == "unknown"


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("La conferencia comienza", True),
        ("La conferencia comienza.", False),
        ("la conferencia comienza", False),
        ("Madrid", False),
        ("", False),
    ],
)
def test_whether_the_mark_at_the_end_is_missing(text: str, lacks: bool) -> None:
    assert lacks_end(text) == lacks
