"""conversation.item.*: positions, ids, cuts, and the races around them."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from penny.realtime import commands as c
from penny.realtime.conversation import REMEMBERED_DELETIONS, Conversation
from penny.realtime.items import Item
from tests.penny.realtime.talk import MS, Json, Talk, kinds, the, the_error


pytestmark = pytest.mark.pure


def spoken(talk: Talk, text: str = "Uno dos tres cuatro", ms: int = 1000) -> str:
    """Let the core speak an answer to its end; return the item's id."""
    response_id = talk.respond()
    talk.phrase(response_id, text, ms)
    done = talk.report(c.GenerationDone(response_id))
    return str(done[-2]["response"]["output"][0]["id"])


def test_items_go_where_previous_item_id_says() -> None:
    talk = Talk()
    first = talk.say("b")
    assert [event["previous_item_id"] for event in first] == [None, None]
    assert talk.say("c")[0]["previous_item_id"] == "item_1"
    assert talk.say("a", previous_item_id="root")[0]["previous_item_id"] is None
    assert talk.say("b2", previous_item_id="item_1")[0]["previous_item_id"] == "item_1"
    items = talk.ask(talk.respond()).items
    assert [item["content"][0]["text"] for item in items] == ["a", "b", "b2", "c"]


def test_a_client_keeps_its_own_item_id() -> None:
    talk = Talk()
    note: Json = {
        "id": "mi_nota",
        "type": "message",
        "role": "system",
        "content": [{"type": "input_text", "text": "PENNY-NOTE v1"}],
    }
    added, done = talk.create(note)
    assert added["item"]["id"] == done["item"]["id"] == "mi_nota"
    assert the_error(talk.create(note))["code"] == "item_create_duplicate_item_id"
    assert talk.ask(talk.respond()).items[0]["role"] == "system"


def test_an_unknown_previous_item_is_refused() -> None:
    talk = Talk()
    error = the_error(talk.say("x", previous_item_id="nadie"))
    assert error["code"] == "item_create_invalid_previous_item_id"
    assert error["param"] == "previous_item_id"
    assert talk.ask(talk.respond()).items == ()


def test_an_assistant_text_can_be_seeded() -> None:
    talk = Talk()
    content = [{"type": "output_text", "text": "Antes dije esto."}]
    talk.create({"type": "message", "role": "assistant", "content": content})
    assert talk.ask(talk.respond()).items[0]["content"] == content


def test_a_users_audio_item_is_transcribed_before_it_is_answered() -> None:
    talk = Talk()
    audio = base64.b64encode(bytes(300 * MS)).decode()
    part = {"type": "input_audio", "audio": audio}
    added = talk.create({"type": "message", "role": "user", "content": [part]})
    item_id = added[0]["item"]["id"]
    assert added[0]["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    assert talk.commands[-1] == c.ItemAudio(item_id, bytes(300 * MS), False)
    talk.respond()
    assert talk.last_command(c.Generate).needs == (item_id,)


def test_retrieve_shows_the_item_with_its_transcript_and_without_audio() -> None:
    talk = Talk()
    talk.update(audio={"input": {"transcription": {}}})
    talk.speak()
    talk.report(c.TranscriptDone("item_1", "hola", 1000))
    (event,) = talk.send("conversation.item.retrieve", item_id="item_1")
    assert event["item"]["content"] == [{"type": "input_audio", "transcript": "hola"}]
    error = the_error(talk.send("conversation.item.retrieve", item_id="no"))
    assert error["code"] == "item_retrieve_invalid_item_id"


def test_a_second_delete_is_acknowledged() -> None:
    talk = Talk()
    talk.say("x")
    for _ in range(2):
        told = talk.send("conversation.item.delete", item_id="item_1")
        assert kinds(told) == ["conversation.item.deleted"]
    error = the_error(Talk().send("conversation.item.delete", item_id="never"))
    assert error["code"] == "item_delete_invalid_item_id"


def test_a_late_truncate_is_clamped_and_acknowledged() -> None:
    talk = Talk()
    item_id = spoken(talk)
    (event,) = talk.truncate(item_id, 99_000)
    assert event["audio_end_ms"] == 1000
    assert talk.ask(talk.respond()).items[0]["content"][0]["transcript"] == "Uno dos tres cuatro"


def test_truncated_words_do_not_come_back_with_a_later_cut() -> None:
    talk = Talk()
    item_id = spoken(talk)
    assert talk.truncate(item_id, 400)[0]["audio_end_ms"] == 400
    assert talk.truncate(item_id, 900)[0]["audio_end_ms"] == 400
    (shown,) = talk.send("conversation.item.retrieve", item_id=item_id)
    assert shown["item"]["content"][0]["transcript"] == "Uno dos"


def test_an_answer_of_which_nothing_was_heard_leaves_the_context() -> None:
    talk = Talk()
    talk.truncate(spoken(talk), 0)
    assert talk.ask(talk.respond()).items == ()


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_a_truncate_of_an_item_without_audio_is_refused_by_name(role: str) -> None:
    talk = Talk()
    kind = "input_text" if role == "user" else "output_text"
    talk.create({"type": "message", "role": role, "content": [{"type": kind, "text": "x"}]})
    error = the_error(talk.truncate("item_1", 100))
    assert error["code"] == "unsupported_content_type"
    assert "Only model output audio messages can be truncated" in error["message"]


def test_a_truncate_before_the_first_audio_is_a_benign_race() -> None:
    talk = Talk()
    response_id = talk.respond()
    item_id = talk.report(c.PhraseDelta(response_id, "Uno"))[0]["item"]["id"]
    assert talk.truncate(item_id, 50)[0]["audio_end_ms"] == 0


def test_a_truncate_of_a_deleted_item_is_acknowledged_and_of_a_stranger_refused() -> None:
    talk = Talk()
    item_id = spoken(talk)
    talk.send("conversation.item.delete", item_id=item_id)
    assert kinds(talk.truncate(item_id, 10)) == ["conversation.item.truncated"]
    assert the_error(talk.truncate("no", 10))["code"] == "item_truncate_invalid_item_id"


def test_a_truncate_names_its_wrong_field() -> None:
    talk = Talk()
    item_id = spoken(talk)
    assert the_error(talk.truncate(item_id, -1))["param"] == "audio_end_ms"
    assert the_error(talk.truncate(item_id, 10, content_index=1))["param"] == "content_index"
    missing = talk.send("conversation.item.truncate", item_id=item_id, content_index=0)
    assert the_error(missing)["code"] == "missing_required_parameter"


def test_an_answer_deleted_while_it_is_said_still_closes() -> None:
    talk = Talk()
    response_id = talk.respond()
    item_id = talk.phrase(response_id, "Uno", 100)[0]["item"]["id"]
    talk.send("conversation.item.delete", item_id=item_id)
    events = talk.phrase(response_id, " dos", 100) + talk.report(c.GenerationDone(response_id))
    assert "conversation.item.done" not in kinds(events)
    assert kinds(events)[-3:] == [
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    assert events[-2]["response"]["output"][0]["status"] == "completed"
    assert talk.ask(talk.respond()).items == ()


def test_a_full_conversation_refuses_the_client_and_makes_room_for_the_caller() -> None:
    talk = Talk(max_items=2)
    talk.say("a")
    talk.say("b")
    assert the_error(talk.say("c"))["code"] == "conversation_full"
    talk.speak()
    items = talk.ask(talk.core.active_response_id or "").items
    assert [item["content"][0].get("text") for item in items] == ["b", None]


def test_a_conversation_full_of_characters_takes_more_after_a_delete() -> None:
    talk = Talk(max_conversation_chars=250)
    talk.say("a" * 100)
    assert the_error(talk.say("b" * 100))["code"] == "conversation_full"
    talk.send("conversation.item.delete", item_id="item_1")
    assert kinds(talk.say("b" * 100))[0] == "conversation.item.added"


def test_an_output_without_its_call_is_kept() -> None:
    output: Json = {"type": "function_call_output", "call_id": "call_7", "output": ""}
    assert kinds(Talk().create(output)) == ["conversation.item.added", "conversation.item.done"]


def test_images_are_refused_unless_an_engine_sees() -> None:
    part = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"}
    item: Json = {"type": "message", "role": "user", "content": [part]}
    error = the_error(Talk().create(item))
    assert error["code"] == "unsupported_content_type"
    assert error["param"] == "item.content[0].type"
    talk = Talk(accept_images=True)
    talk.create(item)
    assert talk.ask(talk.respond()).items[0]["content"] == [part]


@pytest.mark.parametrize(
    "address", ["https://example.org/a.png", "data:", "data:text/html;base64,AA"]
)
def test_an_image_is_sent_itself_where_the_engine_may_call_no_other_host(address: str) -> None:
    item = message([{"type": "input_image", "image_url": address}])
    talk = Talk(accept_images=True)
    assert the_error(talk.create(item))["param"] == "item.content[0].image_url"
    assert Talk(accept_images=True, accept_image_addresses=True).create(item)


def test_an_answer_given_elsewhere_is_known_by_its_transcript_and_keeps_its_phase() -> None:
    spoken = {"type": "output_audio", "transcript": "Un momento."}
    talk = Talk()
    added = the(
        talk.create({**message([spoken], "assistant"), "phase": "commentary"}),
        "conversation.item.added",
    )
    assert added["item"]["content"] == [spoken]
    assert added["item"]["phase"] == "commentary"
    (item,) = talk.ask(talk.respond()).items
    assert (item["content"], item["phase"]) == ([spoken], "commentary")


def message(content: Any, role: str = "user") -> Json:
    return {"type": "message", "role": role, "content": content}


@pytest.mark.parametrize(
    ("item", "param"),
    [
        (None, "item"),
        ("hola", "item"),
        ({}, "item.type"),
        ({"type": "mcp_call"}, "item.type"),
        ({"type": "message", "content": []}, "item.role"),
        ({"type": "message", "role": "tool", "content": []}, "item.role"),
        ({"type": "message", "role": "user"}, "item.content"),
        (message("hola"), "item.content"),
        (message([{"type": "output_text", "text": "x"}]), "item.content[0].type"),
        (message([{"type": "output_audio"}], "assistant"), "item.content[0].transcript"),
        ({**message([], "assistant"), "phase": "x"}, "item.phase"),
        (message([{"type": "input_text"}]), "item.content[0].text"),
        (message([{"type": "input_text", "text": 3}]), "item.content[0].text"),
        (message([{"type": "input_audio"}]), "item.content[0].audio"),
        (message([{"type": "input_audio", "audio": "@"}]), "item.content[0].audio"),
        ({"type": "function_call", "name": "f", "arguments": "{}"}, "item.call_id"),
        ({"type": "function_call_output", "call_id": "c", "output": {}}, "item.output"),
        ({**message([]), "id": ""}, "item.id"),
        ({**message([]), "id": "x" * 200}, "item.id"),
    ],
)
def test_a_wrong_item_is_refused_by_its_path(item: Any, param: str) -> None:
    talk = Talk()
    assert the_error(talk.create(item))["param"] == param
    assert talk.ask(talk.respond()).items == ()


def test_an_item_longer_than_the_limit_is_refused() -> None:
    error = the_error(Talk(max_item_chars=5).say("123456"))
    assert error["code"] == "string_above_max_length"
    assert error["param"] == "item.content[0].text"


def test_a_seeded_call_and_its_output_are_in_the_context() -> None:
    talk = Talk()
    call: Json = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    talk.create(call)
    talk.create({"type": "function_call_output", "call_id": "c1", "output": "ok"})
    kept = talk.ask(talk.respond()).items
    assert [item["type"] for item in kept] == ["function_call", "function_call_output"]


def test_two_audio_parts_in_one_item_are_refused() -> None:
    parts = [{"type": "input_audio", "transcript": word} for word in ("uno", "dos")]
    error = the_error(Talk().create({"type": "message", "role": "user", "content": parts}))
    assert error["param"] == "item.content"


def test_deleted_ids_are_remembered_within_bounds_and_may_be_used_again() -> None:
    conversation = Conversation("conv", 10, 1000)
    for number in range(REMEMBERED_DELETIONS + 1):
        item = Item(f"i{number}", {"type": "message", "role": "user", "content": []})
        conversation.insert(item, None)
        conversation.delete(item.id)
    assert not conversation.was_deleted("i0")
    assert conversation.was_deleted("i1")
    conversation.insert(Item("i1", {"type": "message", "role": "user", "content": []}), "root")
    assert not conversation.was_deleted("i1")
    assert conversation.find_previous("i1") is None


def test_an_ended_item_does_not_end_again() -> None:
    item = Item("i", {"type": "message", "role": "user", "content": []})
    assert not item.apply("interrupt")
    assert item.status == "completed"


def test_a_call_deleted_while_it_is_written_ends_once() -> None:
    talk = Talk()
    response_id = talk.respond()
    added = talk.report(c.ToolCallDelta(response_id, "call_1", "f", "{"))
    talk.send("conversation.item.delete", item_id=added[0]["item"]["id"])
    ends = talk.report(
        c.ToolCallDone(response_id, "call_1", "f", "{}"),
        c.ToolCallDone(response_id, "call_1", "f", "{}"),
        c.ToolCallDelta(response_id, "call_1", "f", "late"),
        c.GenerationDone(response_id),
    )
    assert kinds(ends).count("response.function_call_arguments.delta") == 1
    assert kinds(ends).count("response.function_call_arguments.done") == 1
    assert kinds(ends).count("response.output_item.done") == 1
