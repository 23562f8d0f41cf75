"""The copy of a conversation: what another worker must know, from the events that pass. Pure."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from modes.self_hosted.conversation import ANSWER, PRE_ROLL_MS, SPEECH_MS, ConversationCopy


pytestmark = pytest.mark.pure


Json = dict[str, Any]
CHUNK = base64.b64encode(bytes(960)).decode()
FIRST: Json = {"response_id": "resp_1", "output_index": 0}
SERVER_VAD: Json = {
    "audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": True}}}
}


def listening() -> ConversationCopy:
    copy = ConversationCopy()
    copy.session = SERVER_VAD
    return copy


def speak(copy: ConversationCopy, chunks: int) -> None:
    for _ in range(chunks):
        copy.caller_event({"type": "input_audio_buffer.append", "audio": CHUNK})


def told(copy: ConversationCopy, kind: str, **fields: Any) -> None:
    copy.worker_event({"type": kind, **fields})


def answer(copy: ConversationCopy, text: str, *, done: bool) -> None:
    told(copy, "response.created", response={"id": "resp_1"})
    item = {"id": "item_a", "type": "message", "role": "assistant"}
    told(copy, "response.output_item.added", **FIRST, item=item)
    told(copy, "response.output_audio_transcript.delta", **FIRST, item_id="item_a", delta=text)
    sound = base64.b64encode(bytes(48 * 1000)).decode()
    told(copy, "response.output_audio.delta", **FIRST, item_id="item_a", delta=sound)
    if done:
        finished = {**item, "status": "completed"}
        told(copy, "response.output_item.done", **FIRST, item=finished)
        told(copy, "response.done", response={"id": "resp_1"})


def texts(copy: ConversationCopy) -> list[str]:
    return [item["content"][0].get("text", "(audio)") for item in copy.items]


def test_a_turn_whose_words_are_not_known_yet_goes_on_as_audio_and_is_owed() -> None:
    copy = listening()
    speak(copy, 10)
    told(copy, "input_audio_buffer.speech_started", item_id="item_u")
    speak(copy, 10)
    told(copy, "input_audio_buffer.committed", item_id="item_u")

    (item,) = copy.items
    assert item["content"] == [{"type": "input_audio", "audio": CHUNK * 20}]
    assert copy.owed() == [ANSWER]
    assert copy.unfinished == []

    told(
        copy,
        "conversation.item.input_audio_transcription.completed",
        item_id="item_u",
        transcript="hola",
    )
    assert texts(copy) == ["hola"]


def test_an_answer_in_the_middle_is_owed_again_and_not_remembered() -> None:
    copy = listening()
    copy.caller_event({"type": "response.create", "event_id": "e1"})
    answer(copy, "Su factura", done=False)

    assert copy.active_responses == ["resp_1"]
    assert copy.owed() == [{"type": "response.create", "event_id": "e1"}]
    copy.break_off()
    assert copy.items == []
    assert copy.owed() == []


def test_an_answer_that_was_cut_is_remembered_as_far_as_it_was_heard() -> None:
    copy = listening()
    answer(copy, "Su factura vence el lunes", done=True)
    copy.caller_event(
        {"type": "conversation.item.truncate", "item_id": "item_a", "audio_end_ms": 500}
    )
    assert texts(copy) == ["Su factura"]


def test_an_answer_that_the_caller_cancelled_is_not_owed() -> None:
    copy = listening()
    copy.caller_event({"type": "response.create"})
    answer(copy, "Su factura", done=False)
    copy.caller_event({"type": "response.cancel"})
    assert copy.owed() == []


def test_a_finished_function_call_is_kept_and_waits_for_its_client() -> None:
    copy = listening()
    copy.caller_event({"type": "response.create"})
    told(copy, "response.created", response={"id": "resp_1"})
    call = {"id": "item_c", "type": "function_call", "name": "f", "call_id": "c", "arguments": "{}"}
    done = {**call, "status": "completed"}
    told(copy, "response.output_item.done", **FIRST, item=done)
    assert copy.items == [call]
    assert copy.owed() == []


def test_a_refused_request_is_not_owed() -> None:
    copy = listening()
    copy.caller_event({"type": "response.create", "event_id": "e1"})
    told(copy, "error", error={"code": "invalid_value", "event_id": "e1"})
    assert copy.owed() == []


def test_items_keep_the_order_and_the_place_they_were_given() -> None:
    copy = listening()
    for item_id, previous in (("a", None), ("b", "a"), ("c", "a"), ("d", "root"), ("e", None)):
        content = [{"type": "input_text", "text": item_id}]
        item = {"id": item_id, "type": "message", "role": "user", "content": content}
        event: Json = {"type": "conversation.item.create", "item": item}
        copy.caller_event({**event, "previous_item_id": previous} if previous else event)
    copy.caller_event({"type": "conversation.item.delete", "item_id": "b"})
    assert texts(copy) == ["d", "a", "c", "e"]


def test_audio_is_bounded_in_silence_and_in_speech() -> None:
    copy = listening()
    speak(copy, 400)
    kept = sum(len(event["audio"]) for event in copy.unfinished)
    assert PRE_ROLL_MS * 64 - len(CHUNK) <= kept <= PRE_ROLL_MS * 64
    told(copy, "input_audio_buffer.speech_started", item_id="item_u")
    speak(copy, 3000)
    kept = sum(len(event["audio"]) for event in copy.unfinished)
    assert SPEECH_MS * 64 - len(CHUNK) <= kept <= SPEECH_MS * 64


def b64(seconds: float, bytes_per_second: int) -> str:
    return base64.b64encode(bytes(round(seconds * bytes_per_second))).decode()


@pytest.mark.parametrize(
    ("wire", "bytes_per_second"),
    [("audio/pcm", 48_000), ("audio/pcmu", 8_000), ("audio/pcma", 8_000)],
)
def test_durations_are_those_of_the_sessions_own_formats(wire: str, bytes_per_second: int) -> None:
    copy = ConversationCopy()
    sides = {"format": {"type": wire}}
    detection = {"type": "server_vad"}
    copy.session = {"audio": {"input": {**sides, "turn_detection": detection}, "output": sides}}
    item = {"id": "item_a", "type": "message", "role": "assistant"}
    told(copy, "response.created", response={"id": "resp_1"})
    told(copy, "response.output_item.added", **FIRST, item=item)
    words = "uno dos tres cuatro cinco seis"
    told(copy, "response.output_audio_transcript.delta", **FIRST, item_id="item_a", delta=words)
    told(
        copy,
        "response.output_audio.delta",
        **FIRST,
        item_id="item_a",
        delta=b64(1.0, bytes_per_second),
    )
    told(copy, "response.output_item.done", **FIRST, item=item)
    cut = {"type": "conversation.item.truncate", "item_id": "item_a", "audio_end_ms": 300}
    copy.caller_event(cut)
    assert texts(copy) == ["uno dos"]
    for _ in range(100):
        piece = {"type": "input_audio_buffer.append", "audio": b64(0.02, bytes_per_second)}
        copy.caller_event(piece)
    kept = len(copy.unfinished)
    assert kept == PRE_ROLL_MS / 20
    assert copy.unfinished_from_ms == pytest.approx(2000 - PRE_ROLL_MS, abs=1)


def test_a_request_for_an_item_is_asked_of_the_next_worker_until_it_is_answered() -> None:
    copy = listening()
    for item_id in ("item_a", "item_b", "item_c"):
        asked = {"type": "conversation.item.retrieve", "item_id": item_id, "event_id": item_id}
        copy.caller_event(asked)
    told(copy, "conversation.item.retrieved", item={"id": "item_a"})
    told(copy, "error", error={"code": "item_retrieve_invalid_item_id", "event_id": "item_b"})
    assert [event["item_id"] for event in copy.unfinished] == ["item_c"]
