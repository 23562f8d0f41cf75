"""Nothing that was said survives redaction, wherever it stands."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penny.gateway.redaction import OPAQUE, SHOWN, redact


pytestmark = pytest.mark.pure


SECRET = "mi número es el 600123123"

EVENTS: list[dict[str, Any]] = [
    {
        "type": "conversation.item.input_audio_transcription.completed",
        "item_id": "item_1",
        "transcript": SECRET,
    },
    {"type": "response.output_audio_transcript.delta", "response_id": "r", "delta": SECRET},
    {
        "type": "conversation.item.added",
        "item": {"id": "i", "role": "user", "content": [{"type": "input_text", "text": SECRET}]},
    },
    {"type": "session.update", "session": {"instructions": SECRET, "voice": "alloy"}},
    {"type": "penny.correction", "what_gpt_said": SECRET, "correct_info": SECRET},
    {"type": "penny.context_update", "context_update": {"relevant_data": {"name": SECRET}}},
    {"type": "penny.tool_call", "name": "pagar", "arguments": {"id": SECRET, SECRET: 1}},
    {"type": "error", "error": {"code": "invalid", "message": f"cannot parse {SECRET}"}},
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: str(event["type"]))
def test_words_are_told_as_their_length(event: dict[str, Any]) -> None:
    before = orjson.dumps(event)
    redacted = redact(event)

    assert SECRET not in orjson.dumps(redacted).decode()
    assert "<" in str(redacted)
    assert redacted["type"] == event["type"]
    assert orjson.dumps(event) == before


def test_kinds_ids_states_and_numbers_stay() -> None:
    event = {
        "type": "response.done",
        "response": {
            "id": "resp_1",
            "status": "completed",
            "usage": {"total_tokens": 12, "cached": True},
            "output": [{"id": "item_1", "role": "assistant"}],
        },
    }

    assert redact(event) == event


JSON = st.recursive(
    st.text(max_size=8) | st.integers() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON)
def test_text_under_any_other_name_is_hidden_however_deep(value: Any) -> None:
    def texts(name: str, part: Any) -> list[str]:
        if name in OPAQUE:
            return []
        if isinstance(part, dict):
            return [text for key, inner in part.items() for text in texts(key, inner)]
        if isinstance(part, list):
            return [text for inner in part for text in texts(name, inner)]
        hidden = isinstance(part, str) and name not in SHOWN and not name.endswith("_id")
        return [part] if hidden else []

    for text in texts("said", redact({"said": value})["said"]):
        assert text.startswith("<")
        assert text.endswith(("characters>", "deeper>"))
