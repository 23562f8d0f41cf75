"""The validator of server events must itself refuse what is wrong."""

from __future__ import annotations

import copy
from typing import Any

import pydantic
import pytest

from penny.realtime import commands as c
from tests.penny.realtime.talk import Talk, the
from tests.realtime_schema import assert_server_event_valid


pytestmark = pytest.mark.pure


def done_event() -> dict[str, Any]:
    talk = Talk()
    response_id = talk.respond(output_modalities=["text"])
    events = talk.report(c.TextDelta(response_id, "hola"), c.GenerationDone(response_id))
    return the(events, "response.done")


def test_a_true_event_passes() -> None:
    assert_server_event_valid(done_event())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("type",), "response.finished"),
        (("type",), "conversation.item.created"),
        (("event_id",), ""),
        (("response", "status"), "over"),
        (("response", "usage", "total_tokens"), 1),
        (("response", "usage", "input_token_details", "cached_tokens_details"), None),
        (("response", "output", 0, "status"), None),
        (("response", "output", 0, "role"), "bot"),
        (("response", "output", 0, "content", 0, "type"), "text"),
        (("response", "output", 0, "content", 0, "text"), 5),
    ],
)
def test_a_wrong_value_at_any_depth_fails(path: tuple[Any, ...], value: Any) -> None:
    event = copy.deepcopy(done_event())
    inner: Any = event
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises((AssertionError, pydantic.ValidationError, TypeError)):
        assert_server_event_valid(event)


@pytest.mark.parametrize("field", ["item_id", "content_index", "audio_end_ms", "event_id"])
def test_a_missing_required_field_fails(field: str) -> None:
    event = {
        "type": "conversation.item.truncated",
        "event_id": "e",
        "item_id": "i",
        "content_index": 0,
        "audio_end_ms": 5,
    }
    assert_server_event_valid(event)
    del event[field]
    with pytest.raises((KeyError, pydantic.ValidationError)):
        assert_server_event_valid(event)
