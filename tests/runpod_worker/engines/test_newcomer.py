"""Ten free questions a language about the sample company, as a newcomer types them.

Written before they were asked; the documents' phrases and the word lists were not mended for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest

from runpod_worker.engines.reader import ASKED, Reader
from runpod_worker.engines.reader_words import REPLIES, write_help
from tests.doubles.sample import open_sample
from tests.runpod_worker.engines.small_talk_phrases import ENGLISH as ENGLISH_PHRASES
from tests.runpod_worker.engines.small_talk_phrases import SPANISH as SPANISH_PHRASES
from tests.runpod_worker.engines.test_reader import answer, user


pytestmark = pytest.mark.pure


MONDAY = date(2026, 11, 30)
SPANISH = {
    "Hola, ¿a qué hora abrís el sábado?": "Los sábados abre solo la oficina de Villanueva",
    "¿Cuánto tengo que pagar por la factura F-2024-1234?": "1500 euros",
    "Me acabo de mudar, ¿cómo pongo el agua a mi nombre?": "cambio de titular",
    "¿Se puede pagar con Bizum?": "Bizum",
    "Tengo una fuga de agua en la calle, ¿a quién llamo?": "900 654 321",
    "¿Cómo me descargo vuestra app?": "Mi Valle",
    "¿Cuánto cuesta la luz?": "quince céntimos",
    "Quiero cancelar mi contrato": "Para dar de baja el contrato",
    "¿Tenéis oficina en Puente Alto?": "Puente Alto",
    "¿Me podéis ayudar con el bono social?": "treinta y cinco por ciento",
}
ENGLISH = {
    "Hi, when is my bill due?": "twenty days after the date of issue",
    "How much is the water?": "one euro and ten cents",
    "What time do you open tomorrow?": "Tomorrow is Tuesday. Our phone line is open Monday to",
    "Where's your office?": "Villanueva del Valle, Riofrío",
    "I want to cancel my contract": "five days before you leave",
    "Can I pay by card?": "direct debit, card",
    "My power is out, what should I do?": "main switch",
    "How do I read the meter?": "black digits",
    "Can I talk to a human?": "say agent",
    "Are you open on Saturday?": "On Saturdays only the Villanueva del Valle office",
}
BAR = 9
PHRASES_OF_THE_DOCUMENTS = ("¿Con quién hablo?", "¿Eres un robot?")


@pytest.fixture(scope="module")
def sample() -> Iterator[Reader]:
    base = open_sample()
    yield Reader(base, "kb://empresa/documentos", lambda: MONDAY)
    base.close()


@pytest.mark.parametrize("questions", [SPANISH, ENGLISH], ids=["es", "en"])
async def test_nine_of_ten_free_questions_get_their_answer(
    questions: dict[str, str], sample: Reader
) -> None:
    missed = [
        text for text, told in questions.items() if told not in await answer(sample, user(text))
    ]
    assert len(missed) <= len(questions) - BAR, missed


async def test_what_the_documents_say_of_who_speaks_comes_before_the_readers_own_words(
    sample: Reader,
) -> None:
    for text in PHRASES_OF_THE_DOCUMENTS:
        assert "El asistente de voz" in await answer(sample, user(text))
    assert await answer(sample, user("¿Quién eres?")) == REPLIES["es"]["identity"]


async def test_small_talk_is_never_answered_with_a_passage(sample: Reader) -> None:
    own = {said for replies in REPLIES.values() for said in replies.values()}
    for text, kind in (*SPANISH_PHRASES, *ENGLISH_PHRASES):
        if kind in ASKED or text in PHRASES_OF_THE_DOCUMENTS:
            continue
        said = await answer(sample, user(text))
        assert said in own or said.startswith((write_help([], "es"), write_help([], "en"))), text
