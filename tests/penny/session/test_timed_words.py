"""Words with times and confidences, from what engines tell to what a turn's record has."""

from __future__ import annotations

from math import log
from typing import Any

import pytest

from penny.calls.record import keep_turn
from penny.session.turn_record import TurnReader, TurnRecord
from penny.session.turn_recorder import TurnRecorder


pytestmark = pytest.mark.pure

Json = dict[str, Any]
HEARD = "conversation.item.input_audio_transcription.completed"


class Last(TurnReader):
    def __init__(self) -> None:
        self.turn: TurnRecord | None = None

    def turn_finished(self, turn: TurnRecord) -> None:
        self.turn = turn


def turn_of(*events: Json) -> Json:
    """What is kept of a turn that began two seconds into the session, with these events in it."""
    recorder, last = TurnRecorder(100.0), Last()
    recorder.add_reader(last)
    began: Json = {
        "type": "input_audio_buffer.speech_started", "item_id": "i", "audio_start_ms": 2000,
    }  # fmt: skip
    for at_s, event in enumerate((began, *events), 102):
        recorder.speaker_event({**event, "item_id": "i"}, float(at_s))
    recorder.ended("client_ended", 120.0)
    assert last.turn is not None
    return keep_turn(last.turn).model_dump(mode="json")


def test_an_engine_with_times_has_them_on_the_line_of_the_session() -> None:
    words = [
        {"text": "hola", "start_ms": 120, "end_ms": 400, "confidence": 0.9},
        {"text": "Penny", "start_ms": 450, "end_ms": 800, "confidence": None},
    ]
    heard: Json = {"type": "penny.transcript", "text": "Hola, Penny.", "understood": True}
    kept = turn_of({**heard, "confidence": 0.8, "words": words})
    assert kept["confidence"] == 0.8
    assert [(each["start_ms"], each["end_ms"]) for each in kept["timed_words"]] == [
        (2120, 2400), (2450, 2800),
    ]  # fmt: skip
    assert [each["text"] for each in kept["timed_words"]] == ["hola", "Penny"]


def test_a_vendor_with_logprobs_has_confidences_and_no_times() -> None:
    tokens = [("Mi", 0.9), (" fac", 0.8), ("tura", 0.4), (",", 1.0), (" por", 0.5), (" favor", 0.5)]
    logprobs = [{"token": token, "logprob": log(sure), "bytes": []} for token, sure in tokens]
    kept = turn_of({"type": HEARD, "transcript": "Mi factura, por favor", "logprobs": logprobs})
    told = [(each["text"], each["confidence"], each["start_ms"]) for each in kept["timed_words"]]
    assert told == [
        ("Mi", 0.9, None), ("factura,", 0.4, None), ("por", 0.5, None), ("favor", 0.5, None),
    ]  # fmt: skip
    assert kept["confidence"] == pytest.approx((0.9 * 0.8 * 0.4 * 0.5 * 0.5) ** (1 / 6), abs=1e-3)


def test_an_engine_that_tells_neither_has_none() -> None:
    kept = turn_of({"type": HEARD, "transcript": "hola", "logprobs": None})
    assert (kept["confidence"], kept["timed_words"]) == (None, [])
