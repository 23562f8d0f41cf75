"""The event order of every scenario, as the captures of the real server show it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from penny.realtime import commands as c
from tests.penny.realtime.talk import MS, NOW_S, Talk, kinds, the, the_error


pytestmark = pytest.mark.pure


TEXT_ANSWER = [
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]
AUDIO_CLOSING = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]
AUDIO_OPENING = [
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
]


def test_a_session_begins_with_its_whole_configuration() -> None:
    talk = Talk(opened=False)
    assert talk.send("input_audio_buffer.clear") == []
    (created,) = talk.take(talk.core.open(NOW_S))
    session = created["session"]
    assert created["type"] == "session.created"
    assert session["expires_at"] == NOW_S + 3600
    assert session["object"] == "realtime.session"
    assert session["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 500
    assert talk.commands == [c.Configure(session)]
    assert talk.take(talk.core.open(NOW_S)) == []


def test_a_text_turn_has_the_captured_order() -> None:
    talk = Talk()
    assert kinds(talk.say("hola")) == ["conversation.item.added", "conversation.item.done"]
    response_id = talk.respond(output_modalities=["text"], metadata={"client_event_id": "x"})
    assert talk.commands[-1] == c.Generate(response_id, ())
    events = talk.report(
        c.TextDelta(response_id, "Buenos "),
        c.TextDelta(response_id, "días"),
        c.GenerationDone(response_id, 30, 10, 4),
    )
    assert kinds(events) == TEXT_ANSWER
    response = the(events, "response.done")["response"]
    assert response["status"] == "completed"
    assert response["status_details"] is None
    assert response["metadata"] == {"client_event_id": "x"}
    assert response["output"][0]["content"] == [{"type": "output_text", "text": "Buenos días"}]
    assert response["usage"]["input_token_details"]["cached_tokens"] == 10
    assert response["usage"]["total_tokens"] == 34
    assert the(events, "conversation.item.added")["previous_item_id"] == "item_1"
    assert talk.core.request(response_id) is None


def test_a_voice_turn_with_server_vad_has_the_captured_order() -> None:
    talk = Talk()
    talk.update(audio={"input": {"transcription": {"model": "whisper-1"}}})
    talk.append(1200)
    assert talk.commands[-1] == c.BufferAudio(bytes(1200 * MS))
    (started,) = talk.report(c.SpeechStarted(100))
    assert (started["type"], started["audio_start_ms"]) == (
        "input_audio_buffer.speech_started",
        100,
    )
    item_id = started["item_id"]
    (delta,) = talk.report(c.TranscriptDelta(item_id, "qué"))
    assert delta["delta"] == "qué"
    events = talk.report(c.SpeechStopped(1000))
    assert kinds(events) == [
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    assert {event.get("item_id", item_id) for event in events} == {item_id}
    assert events[1]["previous_item_id"] is None
    assert events[2]["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    response_id = events[-1]["response"]["id"]
    assert talk.commands[-2:] == [
        c.CommitBuffer(item_id, 100, 1000, True),
        c.Generate(response_id, (item_id,)),
    ]
    (completed,) = talk.report(c.TranscriptDone(item_id, "¿qué hora es?", 900, 5, "es"))
    assert completed["usage"] == {
        "type": "tokens",
        "total_tokens": 14,
        "input_tokens": 9,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 9},
        "output_tokens": 5,
    }
    request = talk.ask(response_id)
    assert request.items[0]["content"][0]["transcript"] == "¿qué hora es?"
    assert (request.modality, request.language, request.voice) == ("audio", "es", "alloy")
    events = talk.phrase(response_id, "Son las tres.", 820)
    events += talk.report(
        c.TextDelta(response_id, "unused"), c.GenerationDone(response_id, 20, 0, 6)
    )
    assert kinds(events) == AUDIO_OPENING + AUDIO_CLOSING
    done = the(events, "response.done")["response"]
    assert done["output"][0]["content"] == [{"type": "output_audio", "transcript": "Son las tres."}]
    assert done["usage"]["input_token_details"]["audio_tokens"] == 9
    assert done["usage"]["output_token_details"] == {"text_tokens": 6, "audio_tokens": 17}
    delta = base64.b64decode(the(events, "response.output_audio.delta")["delta"])
    assert len(delta) == 820 * MS


def test_caller_speech_closes_the_answer_then_truncate_cuts_to_the_words_heard() -> None:
    talk = Talk()
    first = talk.respond()
    talk.phrase(first, "Uno dos tres ", 1000)
    talk.phrase(first, "cuatro cinco seis", 1000)
    talk.append(3000)
    events = talk.report(c.SpeechStarted(2500))
    assert kinds(events) == ["input_audio_buffer.speech_started", *AUDIO_CLOSING]
    done = the(events, "response.done")["response"]
    assert done["status"] == "cancelled"
    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert the(events, "conversation.item.done")["item"]["status"] == "incomplete"
    assert the(events, "response.output_item.done")["item"]["status"] == "incomplete"
    assert talk.commands[-1] == c.CancelGeneration(first)
    assert talk.report(c.AudioDelta(first, bytes(96)), c.GenerationDone(first)) == []
    item_id = done["output"][0]["id"]
    (cut,) = talk.truncate(item_id, 500)
    assert (cut["type"], cut["audio_end_ms"]) == ("conversation.item.truncated", 500)
    events = talk.report(c.SpeechStopped(2900))
    second = events[-1]["response"]["id"]
    heard = talk.ask(second).items[0]
    assert heard["content"] == [{"type": "output_audio", "transcript": "Uno"}]


def test_an_interrupted_answer_keeps_what_was_sent_until_it_is_truncated() -> None:
    talk = Talk()
    first = talk.respond()
    talk.phrase(first, "Uno dos tres ", 1000)
    talk.report(c.PhraseDelta(first, "cuatro cinco"))
    talk.send("response.cancel")
    second = talk.respond()
    assert talk.ask(second).items[0]["content"][0]["transcript"] == "Uno dos tres "


def test_client_cancel_closes_in_the_same_order() -> None:
    talk = Talk()
    response_id = talk.respond()
    talk.phrase(response_id, "Hola", 100)
    events = talk.send("response.cancel", response_id=response_id)
    assert kinds(events) == AUDIO_CLOSING
    reason = the(events, "response.done")["response"]["status_details"]["reason"]
    assert reason == "client_cancelled"
    assert talk.commands[-1] == c.CancelGeneration(response_id)


def test_a_response_cancelled_before_its_first_content_has_no_items() -> None:
    talk = Talk()
    talk.respond()
    events = talk.send("response.cancel")
    assert kinds(events) == ["response.done", "rate_limits.updated"]
    assert events[0]["response"]["output"] == []


def test_a_manual_turn_commits_without_answering_until_asked() -> None:
    talk = Talk()
    talk.update(audio={"input": {"turn_detection": None}})
    talk.append(400)
    assert talk.report(c.SpeechStarted(0), c.SpeechStopped(300)) == []
    events = talk.send("input_audio_buffer.commit")
    assert kinds(events) == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    item_id = events[0]["item_id"]
    assert talk.commands[-1] == c.CommitBuffer(item_id, 0, 400, False)
    response_id = talk.respond()
    assert talk.commands[-1] == c.Generate(response_id, (item_id,))
    # No transcription was asked for: no event, but the text is in the context.
    assert (
        talk.report(c.TranscriptDelta(item_id, "ho"), c.TranscriptDone(item_id, "hola", 400)) == []
    )
    assert talk.ask(response_id).items[0]["content"][0]["transcript"] == "hola"


def test_a_function_call_has_the_captured_order_and_its_output_leads_to_a_new_response() -> None:
    talk = Talk()
    talk.update(tools=[{"type": "function", "name": "clima", "parameters": {"type": "object"}}])
    response_id = talk.respond()
    assert talk.ask(response_id).tools[0]["name"] == "clima"
    events = talk.report(
        c.ToolCallDelta(response_id, "call_1", "clima", '{"ciudad":'),
        c.ToolCallDelta(response_id, "call_1", "clima", '"Lima"}'),
        c.ToolCallDone(response_id, "call_1", "clima", '{"ciudad":"Lima"}'),
        c.GenerationDone(response_id, 9, 0, 7),
    )
    assert kinds(events) == [
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    assert events[0]["item"]["arguments"] == ""
    assert events[0]["item"]["status"] == "in_progress"
    assert events[4]["arguments"] == '{"ciudad":"Lima"}'
    assert events[6]["item"]["status"] == "completed"
    assert events[7]["response"]["output"][0]["type"] == "function_call"
    output = {"type": "function_call_output", "call_id": "call_1", "output": "niebla"}
    added = talk.create(output)
    assert kinds(added) == ["conversation.item.added", "conversation.item.done"]
    request = talk.ask(talk.respond())
    assert [item["type"] for item in request.items] == ["function_call", "function_call_output"]


def test_arguments_that_arrive_whole_still_come_as_a_delta_first() -> None:
    talk = Talk()
    response_id = talk.respond()
    events = talk.report(c.ToolCallDone(response_id, "call_1", "colgar", "{}"))
    assert the(events, "response.function_call_arguments.delta")["delta"] == "{}"
    assert talk.report(c.ToolCallDone(response_id, "call_1", "colgar", "{}")) == []


def test_a_cancelled_call_is_never_announced_as_done_with_its_arguments() -> None:
    talk = Talk()
    response_id = talk.respond()
    talk.report(c.ToolCallDelta(response_id, "call_1", "pagar", '{"importe": 1'))
    events = talk.send("response.cancel")
    assert "response.function_call_arguments.done" not in kinds(events)
    assert the(events, "response.output_item.done")["item"]["status"] == "incomplete"
    assert talk.ask(talk.respond()).items == ()


def test_speech_and_a_call_share_a_response_with_their_own_output_index() -> None:
    talk = Talk()
    response_id = talk.respond()
    talk.phrase(response_id, "Un momento. ", 500)
    talk.report(c.ToolCallDelta(response_id, "call_1", "clima", "{}"))
    late = talk.phrase(response_id, "Miro.", 300)
    assert {event["output_index"] for event in late} == {0}
    events = talk.report(
        c.ToolCallDone(response_id, "call_1", "clima", "{}"), c.GenerationDone(response_id)
    )
    assert the(events, "response.function_call_arguments.done")["output_index"] == 1
    output = the(events, "response.done")["response"]["output"]
    assert [item["type"] for item in output] == ["message", "function_call"]


def test_an_out_of_band_response_runs_beside_the_main_one_without_item_events() -> None:
    talk = Talk()
    talk.say("hola", event_id="e1")
    main = talk.respond()
    side = talk.respond(
        conversation="none",
        output_modalities=["text"],
        metadata={"topic": "resumen"},
        instructions="Resume.",
        input=[
            {"type": "item_reference", "id": "item_1"},
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "¿tema?"}],
            },
        ],
    )
    request = talk.ask(side)
    assert request.instructions == "Resume."
    assert [item["content"][0]["text"] for item in request.items] == ["hola", "¿tema?"]
    talk.phrase(main, "Buenas", 200)
    events = talk.report(c.TextDelta(side, "saludo"), c.GenerationDone(side))
    assert not [kind for kind in kinds(events) if kind.startswith("conversation.")]
    done = the(events, "response.done")["response"]
    assert done["conversation_id"] is None
    assert done["metadata"] == {"topic": "resumen"}
    assert kinds(talk.report(c.GenerationDone(main))) == AUDIO_CLOSING
    assert [item["id"] for item in talk.ask(talk.respond()).items][0] == "item_1"


def test_caller_speech_leaves_an_out_of_band_response_alone() -> None:
    talk = Talk()
    side = talk.respond(conversation="none")
    talk.append(500)
    assert kinds(talk.report(c.SpeechStarted(0))) == ["input_audio_buffer.speech_started"]
    assert talk.core.request(side) is not None
    assert "response.done" in kinds(talk.send("response.cancel", response_id=side))


def test_an_empty_input_means_no_context() -> None:
    talk = Talk()
    talk.say("hola")
    assert talk.ask(talk.respond(input=[])).items == ()


def test_a_failed_generation_ends_its_response_as_failed() -> None:
    talk = Talk()
    response_id = talk.respond()
    talk.phrase(response_id, "Ho", 20)
    events = talk.report(c.GenerationFailed(response_id, "engine_failed", "tts died"))
    done = the(events, "response.done")["response"]
    assert done["status"] == "failed"
    assert done["status_details"]["error"] == {
        "type": "server_error",
        "code": "engine_failed",
        "message": "tts died",
    }


@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
def test_an_answer_cut_short_is_incomplete_with_its_reason(reason: Any) -> None:
    talk = Talk()
    response_id = talk.respond(output_modalities=["text"])
    events = talk.report(
        c.TextDelta(response_id, "a"), c.GenerationDone(response_id, incomplete_reason=reason)
    )
    done = the(events, "response.done")["response"]
    assert done["status"] == "incomplete"
    assert done["status_details"] == {"type": "incomplete", "reason": reason}
    assert done["output"][0]["status"] == "incomplete"


def test_a_cancelled_response_has_the_usage_reported_so_far() -> None:
    talk = Talk()
    response_id = talk.respond()
    talk.report(c.GenerationUsage(response_id, 40, 8, 3))
    talk.phrase(response_id, "Hola", 120)
    usage = the(talk.send("response.cancel"), "response.done")["response"]["usage"]
    assert usage["input_token_details"]["text_tokens"] == 40
    assert usage["output_token_details"] == {"text_tokens": 3, "audio_tokens": 3}


def test_an_idle_timeout_commits_the_silence_and_answers() -> None:
    talk = Talk()
    vad = {"type": "server_vad", "idle_timeout_ms": 5000}
    talk.update(audio={"input": {"turn_detection": vad}})
    talk.append(6000)
    events = talk.report(c.IdleTimeout(1000, 6000))
    assert kinds(events) == [
        "input_audio_buffer.timeout_triggered",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    assert talk.report(c.IdleTimeout(1000, 6000)) == []


def test_a_session_past_its_hour_is_told_and_closed_with_1001() -> None:
    talk = Talk(session_max_s=60)
    running = talk.respond()
    assert talk.take(talk.core.tick(NOW_S + 59.9)) == []
    events = talk.take(talk.core.tick(NOW_S + 60))
    assert kinds(events) == ["response.done", "rate_limits.updated", "error"]
    assert events[-1]["error"]["code"] == "session_expired"
    assert talk.commands[-2:] == [
        c.CancelGeneration(running),
        c.Hangup(1001, "session_expired"),
    ]
    assert talk.send("response.create") == []
    assert talk.report(c.GenerationDone(running)) == []
    assert talk.take(talk.core.tick(NOW_S + 61)) == []


@pytest.mark.parametrize("wanted", [False, True])
def test_only_a_client_that_asked_hears_of_pennys_own_events(wanted: bool) -> None:
    talk = Talk(penny_events=wanted)
    talk.phrase(talk.respond(), "Uno dos", 1000)
    events = talk.truncate(talk.events[-1]["item_id"], 500)
    assert ("penny.item.heard" in kinds(events)) is wanted


def test_output_audio_buffer_clear_is_refused_with_what_to_do_instead() -> None:
    error = the_error(Talk().send("output_audio_buffer.clear", event_id="mine"))
    assert (error["code"], error["event_id"]) == ("unsupported_event", "mine")
