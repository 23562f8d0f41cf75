"""Where the time of a turn went, told from Realtime events alone."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from penny.session.turn_recorder import TurnRecorder
from penny.session.turn_timing import TurnTiming


pytestmark = pytest.mark.pure


Json = dict[str, Any]


class Told:
    def __init__(self) -> None:
        self.events: list[Json] = []
        self.stages: list[tuple[str, int]] = []
        self.turns = TurnRecorder(0.0)
        self.turns.add_reader(
            TurnTiming(self.events.append, lambda s, ms: self.stages.append((s, ms)))
        )

    def hear(self, ms: int, at_s: float) -> None:
        audio = b64encode(bytes(48 * ms)).decode()
        self.turns.caller_event({"type": "input_audio_buffer.append", "audio": audio}, at_s)

    def say(self, at_s: float, kind: str, **fields: Any) -> None:
        self.turns.speaker_event({"type": kind, **fields}, at_s)


@pytest.fixture
def told() -> Told:
    return Told()


def stream_seconds(told: Told, seconds: int) -> None:
    for frame in range(seconds * 50):
        told.hear(20, at_s=10.0 + (frame + 1) * 0.02)


def answer(told: Told, at_s: float) -> None:
    response = {"id": "resp_1", "conversation_id": "conv_1"}
    told.say(at_s, "response.created", response=response)
    told.say(at_s + 0.1, "penny.response.first_token", response_id="resp_1")
    delta = b64encode(bytes(48 * 500)).decode()
    audio = {"response_id": "resp_1", "item_id": "item_p", "delta": delta}
    told.say(at_s + 0.2, "response.output_audio.delta", **audio)
    told.say(at_s + 0.5, "response.done", response={**response, "status": "completed"})


def test_stages_count_from_the_moment_the_last_word_arrived(told: Told) -> None:
    stream_seconds(told, 2)
    told.say(11.0, "input_audio_buffer.speech_started", item_id="item_1", audio_start_ms=200)
    told.say(12.0, "input_audio_buffer.speech_stopped", item_id="item_1", audio_end_ms=2000)
    told.say(12.0, "penny.turn.decided", item_id="item_1", speech_end_ms=1500, decided_ms=2000)
    transcript = "conversation.item.input_audio_transcription.completed"
    told.say(12.04, transcript, item_id="item_1", transcript="hola")
    answer(told, 12.05)
    (event,) = told.events
    assert event["latency_ms"] == {
        "speech_end": 0,
        "turn_decided": 500,
        "transcript": 540,
        "first_token": 650,
        "first_audio": 750,
        "done": 1050,
    }
    assert event["speech_ms"] == 1300
    assert event["audio_ms"] == 500
    assert dict(told.stages)["first_audio"] == 750


def test_a_speaker_that_counts_silence_into_the_end_is_corrected_by_the_setting(told: Told) -> None:
    stream_seconds(told, 2)
    told.say(12.0, "input_audio_buffer.speech_started", item_id="item_1", audio_start_ms=0)
    told.say(12.0, "input_audio_buffer.speech_stopped", item_id="item_1", audio_end_ms=2000)
    answer(told, 12.0)
    assert told.events[0]["latency_ms"]["turn_decided"] == 500


def test_a_typed_turn_counts_from_the_arrival_of_its_text(told: Told) -> None:
    item = {"id": "item_9", "type": "message", "role": "user"}
    told.turns.caller_event({"type": "conversation.item.create", "item": item}, 5.0)
    told.say(5.01, "conversation.item.added", item=item)
    answer(told, 5.02)
    (event,) = told.events
    assert event["input"] == "text"
    assert event["latency_ms"]["first_audio"] == 220
    assert event["latency_ms"]["turn_decided"] is None


def test_an_out_of_band_response_is_nobodys_turn(told: Told) -> None:
    item = {"id": "item_9", "type": "message", "role": "user"}
    told.turns.caller_event({"type": "conversation.item.create", "item": item}, 5.0)
    told.say(5.0, "conversation.item.added", item=item)
    side = {"id": "resp_side", "conversation_id": None, "status": "completed"}
    told.say(5.1, "response.created", response=side)
    told.say(5.2, "response.done", response=side)
    assert told.events == []


def test_the_time_until_an_answer_includes_the_tool_it_needed(told: Told) -> None:
    item = {"id": "item_9", "type": "message", "role": "user"}
    told.turns.caller_event({"type": "conversation.item.create", "item": item}, 5.0)
    told.say(5.0, "conversation.item.added", item=item)
    call = {"id": "resp_0", "conversation_id": "conv_1", "status": "completed"}
    told.say(5.1, "response.created", response=call)
    told.say(5.3, "response.done", response=call)
    assert told.events == []
    answer(told, 8.0)
    (event,) = told.events
    assert event["latency_ms"]["first_audio"] == 3200
    assert event["latency_ms"]["done"] == 3500


def test_malformed_client_events_are_the_speakers_to_answer(told: Told) -> None:
    for event in (
        {"type": "input_audio_buffer.append"},
        {"type": "input_audio_buffer.append", "audio": 7},
        {"type": "conversation.item.create"},
        {"type": "conversation.item.create", "item": "x"},
    ):
        told.turns.caller_event(event, 1.0)
    assert told.events == []


def test_g711_audio_is_measured_by_its_own_rate(told: Told) -> None:
    formats = {"input": {"format": {"type": "audio/pcmu"}}, "output": {}}
    told.say(0.0, "session.updated", session={"audio": formats})
    audio = b64encode(bytes(8 * 20)).decode()
    for frame in range(100):
        event = {"type": "input_audio_buffer.append", "audio": audio}
        told.turns.caller_event(event, 10.0 + (frame + 1) * 0.02)
    told.say(12.0, "input_audio_buffer.speech_started", item_id="item_1", audio_start_ms=0)
    told.say(12.0, "input_audio_buffer.speech_stopped", item_id="item_1", audio_end_ms=2000)
    answer(told, 12.0)
    assert told.events[0]["latency_ms"]["turn_decided"] == pytest.approx(500, abs=25)
