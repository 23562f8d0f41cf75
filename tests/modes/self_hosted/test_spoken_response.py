"""A sentence of Penny's own as the events of a response."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest

from modes.self_hosted.spoken_response import say
from penny.audio.format import PCM24K
from tests.doubles.speech import speak


pytestmark = pytest.mark.pure


Json = dict[str, Any]

PCM = speak("Un momento.")


def kinds(events: list[Json]) -> list[str]:
    return [event["type"] for event in events]


def test_an_aside_is_heard_and_is_no_part_of_the_conversation() -> None:
    events = say("Un momento.", [PCM], {}, aside=True)
    assert kinds(events) == [
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
    ]
    response = events[-1]["response"]
    assert response["conversation_id"] is None
    assert response["output"][0]["content"] == [
        {"type": "output_audio", "transcript": "Un momento."}
    ]
    assert len({event["event_id"] for event in events}) == len(events)


def test_what_is_said_in_the_conversation_is_an_item_of_it() -> None:
    told = kinds(say("Perdone.", [PCM], {}, aside=False))
    assert [kind for kind in told if kind.startswith("conversation.")] == [
        "conversation.item.added",
        "conversation.item.done",
    ]


def test_a_session_without_sound_reads_the_sentence() -> None:
    events = say("Un momento.", [PCM], {"output_modalities": ["text"]}, aside=True)
    assert not [kind for kind in kinds(events) if "audio" in kind]
    assert events[3]["type"] == "response.output_text.delta"
    [part] = events[-1]["response"]["output"][0]["content"]
    assert part == {"type": "output_text", "text": "Un momento."}


@pytest.mark.parametrize(
    ("wire", "bytes_per_ms"), [("audio/pcm", 48), ("audio/pcmu", 8), ("audio/pcma", 8)]
)
def test_the_sound_comes_in_the_sessions_format(wire: str, bytes_per_ms: int) -> None:
    session = {"audio": {"output": {"format": {"type": wire}}}}
    half = len(PCM) // 2
    events = say("Un momento.", [PCM[:half], PCM[half:]], session, aside=True)
    sound = [e["delta"] for e in events if e["type"] == "response.output_audio.delta"]
    assert len(sound) >= 2
    heard_ms = sum(len(b64decode(delta)) for delta in sound) / bytes_per_ms
    assert heard_ms == pytest.approx(PCM24K.ms_of(len(PCM)), abs=5)
