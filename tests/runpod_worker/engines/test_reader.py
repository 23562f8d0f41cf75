from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from kb.base import KnowledgeBase
from kb.embedder import EmbeddingServer
from kb.settings import KbSection, KbSettings
from runpod_worker.engines.loaders import Loading, load_reader
from runpod_worker.engines.reader import Reader, write_output
from runpod_worker.engines.reader_words import REPLIES, write_help, write_unknown
from runpod_worker.settings import WorkerSettings
from runpod_worker.stages import LlmRequest, LlmText, LlmToolCall, LlmUsage
from tests.doubles.embedding_server import running_embeddings
from tests.runpod_worker.engines.small_talk_phrases import ENGLISH, SPANISH


pytestmark = pytest.mark.socket


REF = "kb://empresa/documentos"
FRIDAY = date(2026, 11, 27)
DOCUMENT = """---
titulo: Facturas
idioma: es
preguntas:
  Plazo de pago:
    - qué plazo tengo para pagar
---
# Facturas

## Plazo de pago

Tiene veinte días naturales para pagar desde la fecha de emisión.
"""
HOURS = """---
titulo: Atención
idioma: es
preguntas:
  Horario de atención:
    - cuál es el horario de atención
  Sábados:
    - abren los sábados por la mañana
frases:
  Horario de atención:
    - a qué hora abren
  Sábados:
    - abren el sábado
    - a qué hora abren el sábado
---
# Atención

## Horario de atención

Abrimos de lunes a viernes de nueve a dos.

## Sábados

Los sábados abrimos de diez a una.
"""


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    folder = tmp_path / "documents" / "empresa" / "documentos"
    folder.mkdir(parents=True)
    (folder / "facturas.md").write_text(DOCUMENT, encoding="utf-8")
    (folder / "atencion.md").write_text(HOURS, encoding="utf-8")
    base = KnowledgeBase.open(KbSettings(tmp_path / "documents", tmp_path / "index"))
    yield Reader(base, REF, lambda: FRIDAY)
    base.close()


async def test_reader_finds_by_meaning_where_a_server_gives_vectors(tmp_path: Path) -> None:
    folder = tmp_path / "documents" / "empresa" / "documentos"
    folder.mkdir(parents=True)
    (folder / "gato.md").write_text("## Gato\n\nEl gato duerme.\n", encoding="utf-8")
    others = "\n\n".join(f"## Asunto {n}\n\nEl asunto {n} queda archivado." for n in range(60))
    (folder / "asuntos.md").write_text(others, encoding="utf-8")
    with running_embeddings() as server:
        settings = KbSection(
            documents=tmp_path / "documents",
            index=tmp_path / "index",
            embedding="openai-compatible",
            embedding_server=EmbeddingServer(url=server.url, model="topics", timeout_s=5),
        )
        base = KnowledgeBase.open(settings.kb_settings({}))
        base.embed()

        assert (
            await answer(Reader(base, REF, lambda: FRIDAY), user("¿Dónde duerme el minino?"))
            == "El gato duerme."
        )
        base.close()


async def test_a_document_that_is_changed_while_a_worker_runs_is_read_out(tmp_path: Path) -> None:
    folder = tmp_path / "documents" / "empresa" / "documentos"
    folder.mkdir(parents=True)
    (folder / "facturas.md").write_text(DOCUMENT, encoding="utf-8")
    library = KbSection(
        documents=tmp_path / "documents", index=tmp_path / "index", embedding="none"
    )
    gateway = KnowledgeBase.open(library.kb_settings({}))
    gateway.keep_up(watch=True)
    reader = await load_reader(Loading(WorkerSettings(library=library)))
    assert isinstance(reader, Reader)
    question = user("¿Qué plazo tengo para pagar?")
    assert "veinte días" in await answer(reader, question)

    (folder / "facturas.md").write_text(DOCUMENT.replace("veinte", "treinta"), encoding="utf-8")

    async with asyncio.timeout(60):
        while "treinta días" not in await answer(reader, question):
            await asyncio.sleep(0.02)
    await reader.aclose()
    gateway.close()


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def assistant(text: str) -> dict[str, Any]:
    part = {"type": "output_audio", "transcript": text}
    return {"type": "message", "role": "assistant", "content": [part]}


async def answer(reader: Reader, *items: dict[str, Any], **options: Any) -> str:
    request = LlmRequest(instructions="", items=items, **options)
    deltas = [delta async for delta in reader.generate(request)]
    assert isinstance(deltas[-1], LlmUsage)
    return "".join(delta.text for delta in deltas if isinstance(delta, LlmText))


async def test_reader_speaks_the_passage_that_answers(reader: Reader) -> None:
    assert "veinte días" in await answer(reader, user("¿Qué plazo tengo para pagar?"))


EXAMPLES = ["¿Cuál es el horario de atención?", "¿Qué plazo tengo para pagar?"]


async def test_reader_says_that_it_does_not_know_and_what_it_does(reader: Reader) -> None:
    unknown = write_unknown([*EXAMPLES, "Abren los sábados por la mañana."], "es")
    assert await answer(reader, user("¿Quién ganó la liga de fútbol?")) == unknown
    english = await answer(reader, user("what is the weather in paris"))
    assert english == write_unknown([], "en")


async def test_reader_tells_what_the_loaded_documents_can_be_asked(reader: Reader) -> None:
    told = write_help([*EXAMPLES, "Abren los sábados por la mañana."], "es")
    for asked in ("¿Qué puedes hacer?", "ayuda", "¿En qué me podéis ayudar?"):
        assert await answer(reader, user(asked)) == told
    for example in EXAMPLES:
        assert example in told
        assert "documentación" not in await answer(reader, user(example))


async def test_small_talk_is_never_told_that_the_documents_lack_it(reader: Reader) -> None:
    unknown = (write_unknown([], "es"), write_unknown([], "en"))
    for text, kind in (*SPANISH, *ENGLISH):
        if kind not in ("question", "hours"):
            assert not (await answer(reader, user(text))).startswith(unknown), text


async def test_reader_makes_small_talk_in_the_language_of_the_caller(reader: Reader) -> None:
    assert await answer(reader, user("Hola")) == REPLIES["es"]["greet"]
    assert await answer(reader, user("Hello!")) == REPLIES["en"]["greet"]
    assert (
        await answer(reader, user("Hola, ¿qué tal?"), language="en") == REPLIES["es"]["wellbeing"]
    )


async def test_a_question_after_a_greeting_is_answered_as_a_question(reader: Reader) -> None:
    said = await answer(reader, user("Hola, buenos días, ¿qué plazo tengo para pagar?"))
    assert "veinte días" in said


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("¿Abrís los sábados?", "Los sábados abrimos de diez a una."),
        ("¿A qué hora abrís mañana?", "Mañana es sábado. Los sábados abrimos de diez a una."),
        (
            "¿Estáis abiertos hoy?",
            "Hoy es viernes. Abrimos de lunes a viernes de nueve a dos.",
        ),
        (
            "¿Abren pasado mañana?",
            "Pasado mañana es domingo. El horario no dice nada de los domingos. "
            "Abrimos de lunes a viernes de nueve a dos.",
        ),
        ("¿Qué horario tenéis?", "Abrimos de lunes a viernes de nueve a dos."),
    ],
)
async def test_opening_hours_are_those_of_the_day_that_is_asked(
    reader: Reader, question: str, said: str
) -> None:
    assert await answer(reader, user(question)) == said


async def test_reader_repeats_its_last_answer(reader: Reader) -> None:
    items = (user("hola"), assistant("Veinte días."), user("Repite, por favor."))

    assert await answer(reader, *items) == "Veinte días."
    assert await answer(reader, user("repite por favor")) == REPLIES["es"]["repeat"]


async def test_reader_stops_at_the_token_limit_and_says_so(reader: Reader) -> None:
    request = LlmRequest("", (user("¿Qué plazo tengo para pagar?"),), max_output_tokens=5)
    deltas = [delta async for delta in reader.generate(request)]

    usage = deltas[-1]
    assert isinstance(usage, LlmUsage)
    assert usage.stop == "length"
    assert 0 < usage.output_tokens <= 5


async def test_reader_calls_a_required_tool_then_speaks_its_output(reader: Reader) -> None:
    tool = {
        "type": "function",
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    }
    question = user("what is the weather in paris")
    request = LlmRequest("", (question,), tools=(tool,), tool_choice="required")

    deltas = [delta async for delta in reader.generate(request)]

    call, usage = deltas
    assert isinstance(call, LlmToolCall)
    assert isinstance(usage, LlmUsage)
    assert (call.name, call.arguments, call.done) == ("get_weather", '{"city": "paris"}', True)
    assert usage.stop == "tool"
    output = {"type": "function_call_output", "call_id": call.call_id, "output": '{"sky": "clear"}'}
    assert await answer(reader, question, output, tools=(tool,)) == "sky: clear"
    content = [{"type": "input_text", "text": "PENNY-NOTE v2"}]
    note = {"type": "message", "role": "system", "content": content}
    assert await answer(reader, question, output, note, tools=(tool,)) == "sky: clear"


def test_tool_output_is_written_in_plain_words() -> None:
    assert (
        write_output('{"due_date": "2025-01-15", "paid": false}')
        == "due date: 2025-01-15. paid: no"
    )
    assert write_output("plain text") == "plain text"
