"""The mirror: what another worker must know, from the events that pass. Pure."""

from __future__ import annotations

import base64
from typing import Any

from modes.self_hosted.mirror import ANSWER, PRE_ROLL_BASE64, SPEECH_BASE64, Mirror


Json = dict[str, Any]
CHUNK = base64.b64encode(bytes(960)).decode()
SERVER_VAD: Json = {
    "audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": True}}}
}


def listening() -> Mirror:
    mirror = Mirror()
    mirror.session = SERVER_VAD
    return mirror


def speak(mirror: Mirror, chunks: int) -> None:
    for _ in range(chunks):
        mirror.caller_event({"type": "input_audio_buffer.append", "audio": CHUNK})


def told(mirror: Mirror, kind: str, **fields: Any) -> None:
    mirror.worker_event({"type": kind, **fields})


def answer(mirror: Mirror, text: str, *, done: bool) -> None:
    told(mirror, "response.created", response={"id": "resp_1"})
    item = {"id": "item_a", "type": "message", "role": "assistant"}
    told(mirror, "response.output_item.added", response_id="resp_1", item=item)
    told(mirror, "response.output_audio_transcript.delta", item_id="item_a", delta=text)
    sound = base64.b64encode(bytes(48 * 1000)).decode()
    told(mirror, "response.output_audio.delta", item_id="item_a", delta=sound)
    if done:
        finished = {**item, "status": "completed"}
        told(mirror, "response.output_item.done", response_id="resp_1", item=finished)
        told(mirror, "response.done", response={"id": "resp_1"})


def texts(mirror: Mirror) -> list[str]:
    return [item["content"][0].get("text", "(audio)") for item in mirror.items]


def test_a_turn_whose_words_are_not_known_yet_goes_on_as_audio_and_is_owed() -> None:
    mirror = listening()
    speak(mirror, 10)
    told(mirror, "input_audio_buffer.speech_started", item_id="item_u")
    speak(mirror, 10)
    told(mirror, "input_audio_buffer.committed", item_id="item_u")

    (item,) = mirror.items
    assert item["content"] == [{"type": "input_audio", "audio": CHUNK * 20}]
    assert mirror.owed() == [ANSWER]
    assert mirror.unfinished == []

    told(
        mirror,
        "conversation.item.input_audio_transcription.completed",
        item_id="item_u",
        transcript="hola",
    )
    assert texts(mirror) == ["hola"]


def test_an_answer_in_the_middle_is_owed_again_and_not_remembered() -> None:
    mirror = listening()
    mirror.caller_event({"type": "response.create", "event_id": "e1"})
    answer(mirror, "Su factura", done=False)

    assert mirror.active_responses == ["resp_1"]
    assert mirror.owed() == [{"type": "response.create", "event_id": "e1"}]
    mirror.break_off()
    assert mirror.items == []
    assert mirror.owed() == []


def test_an_answer_that_was_cut_is_remembered_as_far_as_it_was_heard() -> None:
    mirror = listening()
    answer(mirror, "Su factura vence el lunes", done=True)
    mirror.caller_event(
        {"type": "conversation.item.truncate", "item_id": "item_a", "audio_end_ms": 500}
    )
    assert texts(mirror) == ["Su factura"]


def test_an_answer_that_the_caller_cancelled_is_not_owed() -> None:
    mirror = listening()
    mirror.caller_event({"type": "response.create"})
    answer(mirror, "Su factura", done=False)
    mirror.caller_event({"type": "response.cancel"})
    assert mirror.owed() == []


def test_a_finished_function_call_is_kept_and_waits_for_its_client() -> None:
    mirror = listening()
    mirror.caller_event({"type": "response.create"})
    told(mirror, "response.created", response={"id": "resp_1"})
    call = {"id": "item_c", "type": "function_call", "name": "f", "call_id": "c", "arguments": "{}"}
    done = {**call, "status": "completed"}
    told(mirror, "response.output_item.done", response_id="resp_1", item=done)
    assert mirror.items == [call]
    assert mirror.owed() == []


def test_a_refused_request_is_not_owed() -> None:
    mirror = listening()
    mirror.caller_event({"type": "response.create", "event_id": "e1"})
    told(mirror, "error", error={"code": "invalid_value", "event_id": "e1"})
    assert mirror.owed() == []


def test_items_keep_the_order_and_the_place_they_were_given() -> None:
    mirror = listening()
    for item_id, previous in (("a", None), ("b", "a"), ("c", "a"), ("d", "root"), ("e", None)):
        content = [{"type": "input_text", "text": item_id}]
        item = {"id": item_id, "type": "message", "role": "user", "content": content}
        event: Json = {"type": "conversation.item.create", "item": item}
        mirror.caller_event({**event, "previous_item_id": previous} if previous else event)
    mirror.caller_event({"type": "conversation.item.delete", "item_id": "b"})
    assert texts(mirror) == ["d", "a", "c", "e"]


def test_audio_is_bounded_in_silence_and_in_speech() -> None:
    mirror = listening()
    speak(mirror, 400)
    kept = sum(len(event["audio"]) for event in mirror.unfinished)
    assert PRE_ROLL_BASE64 - len(CHUNK) <= kept <= PRE_ROLL_BASE64
    told(mirror, "input_audio_buffer.speech_started", item_id="item_u")
    speak(mirror, 3000)
    kept = sum(len(event["audio"]) for event in mirror.unfinished)
    assert SPEECH_BASE64 - len(CHUNK) <= kept <= SPEECH_BASE64


def test_malformed_client_events_are_the_workers_to_refuse() -> None:
    mirror = listening()
    for event in (
        {"type": "conversation.item.create"},
        {"type": "conversation.item.create", "item": "x"},
        {"type": "conversation.item.delete"},
        {"type": "conversation.item.truncate"},
        {"type": "input_audio_buffer.append"},
    ):
        mirror.caller_event(event)
    assert mirror.items == []
