"""Races between client, caller and engine, each answered as the real server answers it."""

from __future__ import annotations

import base64

import pytest

from penny.realtime import commands as c
from penny.realtime.responses import Response, take_options
from penny.realtime.table import RESPONSE
from tests.penny.realtime.talk import Talk, kinds, the, the_error


pytestmark = pytest.mark.pure


def test_a_second_response_while_one_is_active_is_refused_by_name() -> None:
    talk = Talk()
    first = talk.respond()
    error = the_error(talk.send("response.create", event_id="evt_9"))
    assert error["code"] == "conversation_already_has_active_response"
    assert error["type"] == "invalid_request_error"
    assert error["event_id"] == "evt_9"
    assert first in error["message"]
    assert talk.core.active_response_id == first


def test_a_cancel_followed_at_once_by_a_create_starts_the_new_response() -> None:
    talk = Talk()
    first = talk.respond()
    talk.send("response.cancel")
    second = talk.respond()
    assert second != first
    assert talk.core.request(first) is None
    assert talk.report(c.TextDelta(first, "tarde"), c.GenerationDone(first)) == []


def test_a_cancel_with_nothing_active_is_refused_by_name() -> None:
    talk = Talk()
    assert the_error(talk.send("response.cancel"))["code"] == "response_cancel_not_active"
    ended = talk.respond()
    talk.report(c.GenerationDone(ended))
    error = the_error(talk.send("response.cancel", response_id=ended))
    assert error["code"] == "response_cancel_not_active"


def test_reports_for_a_response_that_ended_are_dropped() -> None:
    talk = Talk()
    gone = talk.respond()
    talk.report(c.GenerationDone(gone))
    late = [
        c.TextDelta(gone, "x"),
        c.PhraseDelta(gone, "x"),
        c.AudioDelta(gone, b"\0\0"),
        c.ToolCallDelta(gone, "call", "f", "{"),
        c.ToolCallDone(gone, "call", "f", "{}"),
        c.GenerationUsage(gone, 1),
        c.GenerationDone(gone),
        c.GenerationFailed(gone, "engine_failed", "late"),
    ]
    assert talk.report(*late) == []


def test_two_turns_that_end_while_an_answer_goes_on_are_answered_once_after_it() -> None:
    talk = Talk()
    vad = {"type": "server_vad", "interrupt_response": False}
    talk.update(audio={"input": {"turn_detection": vad}})
    first = talk.speak(0, 500)[-1]["response"]["id"]
    for start in (1000, 2000):
        events = talk.speak(start, start + 500)
        assert kinds(events)[-1] == "conversation.item.done"
    events = talk.report(c.GenerationDone(first))
    assert kinds(events) == ["response.done", "rate_limits.updated", "response.created"]
    second = events[-1]["response"]["id"]
    assert len(talk.last_command(c.Generate).needs) == 3
    assert kinds(talk.report(c.GenerationDone(second))) == ["response.done", "rate_limits.updated"]


def test_a_waiting_answer_is_forgotten_when_the_caller_speaks_again() -> None:
    talk = Talk()
    talk.append(300)
    talk.report(c.SpeechStarted(0))
    asked = talk.respond()
    talk.report(c.SpeechStopped(300))
    events = talk.report(c.SpeechStarted(400))
    assert kinds(events).count("response.done") == 1
    assert "response.created" not in kinds(events)
    assert talk.core.request(asked) is None


def test_without_interrupt_response_caller_speech_lets_the_answer_go_on() -> None:
    talk = Talk()
    vad = {"type": "semantic_vad", "interrupt_response": False, "create_response": False}
    talk.update(audio={"input": {"turn_detection": vad}})
    running = talk.respond()
    events = talk.speak()
    assert "response.created" not in kinds(events)
    assert "response.done" not in kinds(events)
    assert talk.core.active_response_id == running


def test_responses_beside_the_conversation_are_bounded() -> None:
    talk = Talk(max_side_responses=2)
    talk.respond()
    talk.respond(conversation="none")
    talk.respond(conversation="none")
    error = the_error(talk.send("response.create", response={"conversation": "none"}))
    assert error["code"] == "too_many_responses"


def test_overrides_hold_for_one_response_only() -> None:
    talk = Talk()
    talk.update(instructions="Sé breve.", max_output_tokens=500)
    tool = {"type": "function", "name": "pagar"}
    first = talk.respond(
        instructions="Canta.",
        tools=[tool],
        tool_choice={"type": "function", "name": "pagar"},
        output_modalities=["text"],
        max_output_tokens=7,
        audio={"output": {"voice": {"id": "voz_1"}}},
        metadata={"a": "b"},
    )
    request = talk.ask(first)
    assert request.instructions == "Canta."
    assert request.tools == (tool,)
    assert request.tool_choice == {"type": "function", "name": "pagar"}
    assert (request.modality, request.max_output_tokens) == ("text", 7)
    assert (request.voice, request.metadata) == ("voz_1", {"a": "b"})
    talk.send("response.cancel")
    request = talk.ask(talk.respond())
    assert (request.instructions, request.tools, request.tool_choice) == ("Sé breve.", (), "auto")
    assert (request.modality, request.max_output_tokens) == ("audio", 500)


def test_a_session_update_reaches_the_next_response_not_the_running_one() -> None:
    talk = Talk()
    first = talk.respond()
    talk.update(instructions="Nuevas.", audio={"output": {"speed": 1.5}})
    assert (talk.ask(first).instructions, talk.ask(first).speed) == ("", 1.0)
    talk.send("response.cancel")
    request = talk.ask(talk.respond())
    assert (request.instructions, request.speed) == ("Nuevas.", 1.5)


def test_the_context_is_taken_when_the_engine_asks_for_it() -> None:
    talk = Talk()
    response_id = talk.respond()
    talk.say("llegó después")
    assert len(talk.ask(response_id).items) == 1


@pytest.mark.parametrize(
    ("response", "param", "code"),
    [
        ({"output_modalities": ["audio", "text"]}, "response.output_modalities", "invalid_value"),
        ({"max_output_tokens": 0}, "response.max_output_tokens", "invalid_value"),
        ({"max_output_tokens": True}, "response.max_output_tokens", "invalid_type"),
        ({"instructions": 4}, "response.instructions", "invalid_type"),
        ({"conversation": "other"}, "response.conversation", "invalid_value"),
        ({"metadata": {str(n): "v" for n in range(17)}}, "response.metadata", None),
        ({"metadata": {"k": 1}}, "response.metadata.k", "invalid_type"),
        ({"metadata": {"k" * 65: "v"}}, "response.metadata", "string_above_max_length"),
        ({"input": [{"type": "item_reference", "id": "no"}]}, "response.input[0].id", None),
        ({"input": [{"type": "item_reference"}]}, "response.input[0].id", None),
        ({"input": "hola"}, "response.input", "invalid_type"),
        ({"tools": [{"type": "mcp"}]}, "response.tools[0].type", "unsupported_tool"),
        ({"tool_choice": "maybe"}, "response.tool_choice", "invalid_value"),
        ({"audio": {"output": {"voice": 3}}}, "response.audio.output.voice", "invalid_type"),
    ],
)
def test_a_wrong_option_is_refused_by_its_path_and_starts_nothing(
    response: dict[str, object], param: str, code: str | None
) -> None:
    talk = Talk()
    error = the_error(talk.send("response.create", response=response))
    assert error["param"] == param
    assert code is None or error["code"] == code
    assert talk.core.active_response_id is None


def test_audio_of_the_context_counts_by_what_it_holds_there() -> None:
    talk = Talk()
    first = talk.speak(0, 950)[-1]["response"]["id"]
    talk.report(c.TranscriptDone("item_1", "hola", 950))
    talk.phrase(first, "Uno dos tres cuatro", 2000)
    talk.report(c.GenerationDone(first))
    talk.truncate("item_2", 990)
    second = talk.respond()
    talk.ask(second)
    done = the(talk.report(c.GenerationDone(second, 11)), "response.done")["response"]
    # 950 ms in = 10 tokens; 990 ms heard of the answer = 20 tokens.
    assert done["usage"]["input_token_details"]["audio_tokens"] == 30
    assert done["usage"]["input_tokens"] == 41


def test_an_item_deleted_before_the_engine_asks_is_not_in_a_referring_context() -> None:
    talk = Talk()
    talk.say("hola")
    reference = {"type": "item_reference", "id": "item_1"}
    side = talk.respond(conversation="none", input=[reference])
    talk.send("conversation.item.delete", item_id="item_1")
    assert talk.ask(side).items == ()


def test_a_response_does_not_find_its_own_words_in_its_context() -> None:
    talk = Talk()
    response_id = talk.respond()
    talk.phrase(response_id, "Hola", 400)
    assert talk.ask(response_id).items == ()
    assert len(talk.ask(talk.respond(conversation="none")).items) == 1


def test_audio_in_an_inline_input_needs_its_transcript() -> None:
    talk = Talk()
    part = {"type": "input_audio", "audio": "AAAA"}
    item = {"type": "message", "role": "user", "content": [part]}
    error = the_error(talk.send("response.create", response={"input": [item]}))
    assert error["code"] == "unsupported_content_type"
    part["transcript"] = "hola"
    asked = talk.ask(talk.respond(input=[item])).items[0]
    assert asked["content"] == [{"type": "input_audio", "transcript": "hola"}]


def test_what_has_no_place_on_the_wire_of_an_answer_is_left_out() -> None:
    talk = Talk()
    spoken = talk.respond()
    written = talk.respond(conversation="none", output_modalities=["text"])
    assert talk.report(c.TextDelta(spoken, "x"), c.PhraseDelta(spoken, "")) == []
    assert talk.report(c.PhraseDelta(written, "x"), c.AudioDelta(written, bytes(96))) == []
    assert talk.report(c.AudioDelta(spoken, b""), c.TextDelta(written, "")) == []


def test_an_answer_whose_words_never_sounded_closes_without_audio() -> None:
    talk = Talk()
    response_id = talk.respond()
    talk.report(c.PhraseDelta(response_id, "Hola"))
    done = the(talk.report(c.GenerationDone(response_id)), "response.done")["response"]
    assert done["usage"]["output_token_details"]["audio_tokens"] == 0
    assert talk.ask(talk.respond()).items == ()


def test_a_call_goes_on_where_it_was_when_its_end_is_not_reported() -> None:
    talk = Talk()
    response_id = talk.respond()
    talk.report(c.ToolCallDelta(response_id, "call_1", "f", "{}"))
    done = talk.report(c.GenerationDone(response_id))
    assert the(done, "response.function_call_arguments.done")["arguments"] == "{}"
    assert the(done, "response.output_item.done")["item"]["status"] == "completed"


def test_deltas_after_a_finished_call_are_dropped() -> None:
    talk = Talk()
    response_id = talk.respond()
    talk.report(c.ToolCallDone(response_id, "call_1", "f", "{}"))
    assert talk.report(c.ToolCallDelta(response_id, "call_1", "f", "x")) == []


def test_a_response_keeps_the_output_format_it_asked_for() -> None:
    talk = Talk()
    output = {"format": {"type": "audio/pcmu"}, "voice": None}
    response_id = talk.respond(audio={"output": output}, instructions=None)
    talk.phrase(response_id, "Hola", 1000)
    done = talk.report(c.GenerationDone(response_id))
    n_bytes = sum(
        len(base64.b64decode(event["delta"]))
        for event in talk.events
        if event["type"] == "response.output_audio.delta"
    )
    assert n_bytes == 8000  # as long as what was generated: positions stay the same
    response = the(done, "response.done")["response"]
    assert response["audio"]["output"]["format"] == {"type": "audio/pcmu"}
    assert talk.core.session["audio"]["output"]["format"]["type"] == "audio/pcm"


def test_an_ended_response_refuses_every_event_of_its_table() -> None:
    talk = Talk()
    response = Response("resp", take_options(talk.core.session), None)
    assert response.apply("cancel")
    assert not any(response.apply(event) for event in RESPONSE.events)
    assert response.state == "cancelled"


def test_a_preview_is_the_request_of_the_turn_to_come_and_changes_nothing() -> None:
    talk = Talk()
    talk.say("Hola")
    talk.update(instructions="Di poco.")
    before = len(talk.events)
    preview = talk.core.preview("¿cuándo vence?")
    assert preview is not None
    assert (preview.instructions, preview.items[-1]["role"]) == ("Di poco.", "user")
    assert preview.items[-1]["content"] == [{"type": "input_audio", "transcript": "¿cuándo vence?"}]
    assert len(preview.items) == 2
    assert len(talk.events) == before
    talk.respond()
    assert talk.core.preview("¿cuándo vence?") is None


def test_no_preview_where_a_turn_is_not_answered_by_itself() -> None:
    talk = Talk()
    talk.update(
        audio={"input": {"turn_detection": {"type": "server_vad", "create_response": False}}}
    )
    assert talk.core.preview("hola") is None
    assert Talk(opened=False).core.preview("hola") is None


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_failed_answer_whose_speech_is_whole_was_heard_to_its_last_word(is_whole: bool) -> None:
    talk = Talk()
    response = talk.respond()
    talk.phrase(response, "Lo siento, no puedo.", 1000)
    talk.report(c.GenerationFailed(response, "engine_failed", "away", is_whole))
    (item,) = talk.ask(talk.respond()).items
    (part,) = item["content"]
    assert part["transcript"] == ("Lo siento, no puedo." if is_whole else "Lo siento, no")


def test_a_failure_before_any_speech_leaves_no_item() -> None:
    talk = Talk()
    response = talk.respond()
    talk.report(c.GenerationFailed(response, "engine_failed", "away", True))
    assert talk.ask(talk.respond()).items == ()


def test_audio_too_short_for_a_sample_of_the_wire_is_not_sent() -> None:
    talk = Talk()
    talk.update(audio={"output": {"format": {"type": "audio/pcmu"}}})
    response = talk.respond()
    sample = c.AudioDelta(response, bytes(2))
    talk.report(c.PhraseDelta(response, "Sí."), sample, sample, sample)
    assert kinds(talk.events).count("response.output_audio.delta") == 1


def test_a_setting_of_a_response_that_penny_has_no_use_for_changes_nothing() -> None:
    talk = Talk()
    response = talk.respond(reasoning={"effort": "low"}, parallel_tool_calls=False)
    assert talk.core.active_response_id == response


def test_a_call_that_begins_without_arguments_is_announced_without_a_delta() -> None:
    talk = Talk()
    events = talk.report(c.ToolCallDelta(talk.respond(), "call_1", "f", ""))
    assert "response.output_item.added" in kinds(events)
    assert "response.function_call_arguments.delta" not in kinds(events)
