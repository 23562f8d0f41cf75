"""A request cut to the model's window."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penny.errors import EngineError
from runpod_worker.chat import read_text, write_request
from runpod_worker.stages import LlmRequest
from runpod_worker.window import fit


pytestmark = pytest.mark.pure

Json = dict[str, Any]


def count(text: str) -> int:
    return (len(text) + 3) // 4


def said(role: str, text: str, n: int = 0) -> Json:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": role, "content": content, "id": f"item_{n}"}


def conversation(turns: int, size: int = 100) -> tuple[Json, ...]:
    items = []
    for n in range(turns):
        items.append(said("user", f"pregunta {n} {'a' * size}", 2 * n))
        items.append(said("assistant", f"respuesta {n} {'b' * size}", 2 * n + 1))
    return tuple(items)


def size(request: LlmRequest) -> int:
    """Tokens as a template writes them, with eight around each message."""
    return sum(count(m["content"]) + 8 for m in write_request(request))


def test_what_fits_stays_as_it_is() -> None:
    request = LlmRequest("Eres Penny.", (*conversation(3), said("user", "¿y hoy?")), notes="Hoy.")

    assert fit(request, 4096, 400, count) == request


@given(
    turns=st.integers(0, 60),
    length=st.integers(0, 900),
    asked=st.integers(1, 20_000),
    passages=st.lists(st.integers(1, 3000), max_size=12),
    instructions=st.integers(0, 20_000),
)
def test_nothing_is_ever_too_long_and_the_question_is_always_there(
    turns: int, length: int, asked: int, passages: list[int], instructions: int
) -> None:
    question = said("user", f"¿? {'c' * asked}")
    request = LlmRequest(
        "i" * instructions,
        (*conversation(turns, length), question),
        notes="Hoy es lunes.",
        passages=tuple("p" * each for each in passages),
    )

    fitted = fit(request, 4096, 400, count)

    assert size(fitted) + 400 <= 4096
    assert read_text(fitted.items[-1]).startswith("¿?")
    assert "Hoy es lunes." in fitted.notes


def test_the_oldest_turns_go_whole_and_in_steps() -> None:
    starts = []
    for turns in range(60, 90):
        request = LlmRequest("", (*conversation(turns), said("user", "¿y hoy?")))
        kept = fit(request, 4096, 400, count).items
        assert kept[0]["role"] == "user"
        starts.append(kept[0]["id"])

    assert len(set(starts)) <= 8  # of 30: between two steps the beginning is the same


def test_of_turns_that_went_numbers_and_names_are_kept_before_other_words() -> None:
    telling = said("user", "me llamo Lucía Ortega y mi contrato es el 48213")
    items = (telling, said("assistant", "Gracias."), *conversation(200, 60))

    notes = fit(LlmRequest("", (*items, said("user", "¿y hoy?"))), 4096, 400, count).notes

    assert "Lucía Ortega" in notes
    assert "48213" in notes
    assert "«pregunta" in notes


def test_passages_go_from_the_last_one_up() -> None:
    passages = tuple(f"{n} {'p' * 2000}" for n in range(10))
    request = LlmRequest("", (*conversation(40), said("user", "¿y hoy?")), passages=passages)

    kept = fit(request, 4096, 400, count).passages

    assert kept == passages[: len(kept)]
    assert 2 <= len(kept) < 10


def test_a_call_and_its_output_stay_with_the_question_they_answer() -> None:
    called = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c", "output": "x" * 60_000}
    request = LlmRequest("", (*conversation(40), said("user", "¿y hoy?"), called, output))

    fitted = fit(request, 4096, 400, count)

    assert [item["type"] for item in fitted.items[-3:]] == [
        "message",
        "function_call",
        "function_call_output",
    ]
    assert size(fitted) + 400 <= 4096


def test_truncation_disabled_is_an_error_and_a_ratio_decides_how_much_goes() -> None:
    items = (*conversation(80), said("user", "¿y hoy?"))
    with pytest.raises(EngineError, match="no longer fits") as failure:
        fit(LlmRequest("", items, truncation="disabled"), 4096, 400, count)
    assert (failure.value.code, failure.value.retryable) == ("llm_context_exceeded", False)

    half = fit(LlmRequest("", items, truncation=ratio(0.5)), 4096, 400, count)
    most = fit(LlmRequest("", items, truncation=ratio(0.9)), 4096, 400, count)
    assert len(half.items) < len(most.items)


def test_the_clients_own_limit_after_the_instructions_counts() -> None:
    items = (*conversation(20), said("user", "¿y hoy?"))
    wish: Json = {**ratio(0.8), "token_limits": {"post_instructions": 500}}

    fitted = fit(LlmRequest("i" * 4000, items, truncation=wish), 32_768, 400, count)

    assert size(fitted) - 1008 <= 500
    assert len(fitted.instructions) == 4000


def ratio(value: float) -> Json:
    return {"type": "retention_ratio", "retention_ratio": value}


def test_the_digest_quotes_each_turn_once() -> None:
    items = (*conversation(300, 40), said("user", "¿y hoy?"))

    notes = fit(LlmRequest("", items), 4096, 400, count).notes

    quoted = re.findall(r"«(pregunta \d+)", notes)
    assert len(quoted) == len(set(quoted)) > 3
