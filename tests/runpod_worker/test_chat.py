"""Realtime items as a chat model reads them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpod_worker.chat import PENDING, write_messages, write_tool_choice, write_tools


pytestmark = pytest.mark.pure


Json = dict[str, Any]


def message(role: str, *texts: str, kind: str = "input_text") -> Json:
    key = "transcript" if "audio" in kind else "text"
    content = [{"type": kind, key: text} for text in texts]
    return {"type": "message", "role": role, "content": content}


def call(call_id: str, name: str = "consultar", arguments: str = "{}") -> Json:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def output(call_id: str, text: str) -> Json:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def test_instructions_come_first_and_speech_is_read_by_its_transcript() -> None:
    items = [
        message("user", "hola", kind="input_audio"),
        message("assistant", "Buenos días, le", kind="output_audio"),
    ]

    assert write_messages("Eres Penny.", items) == [
        {"role": "system", "content": "Eres Penny."},
        {"role": "user", "content": "hola"},
        {"role": "assistant", "content": "Buenos días, le"},
    ]


def test_a_system_item_stays_in_the_middle_in_the_role_the_template_allows() -> None:
    items = [
        message("user", "hola"),
        message("system", "El caller es socio."),
        message("user", "sí"),
    ]

    kept = write_messages("Eres Penny.", items)
    moved = write_messages("Eres Penny.", items, late_system_role="user")

    assert [m["role"] for m in kept] == ["system", "user", "system", "user"]
    assert [m["role"] for m in moved] == ["system", "user", "user", "user"]


def test_without_instructions_a_system_item_may_be_the_head() -> None:
    messages = write_messages("", [message("system", "Sé breve.")], late_system_role="user")

    assert messages == [{"role": "system", "content": "Sé breve."}]


def test_calls_join_the_words_before_them_and_their_outputs_follow_at_once() -> None:
    items = [
        message("user", "¿cuánto debo?"),
        message("assistant", "Un momento.", kind="output_audio"),
        call("a", arguments='{"n":1}'),
        call("b"),
        message("user", "¿sigue ahí?"),
        output("b", "2"),
        output("a", "1"),
    ]

    messages = write_messages("", items)

    assert [m["role"] for m in messages] == ["user", "assistant", "tool", "tool", "user"]
    assert messages[1]["content"] == "Un momento."
    assert [c["id"] for c in messages[1]["tool_calls"]] == ["a", "b"]
    assert messages[1]["tool_calls"][0]["function"]["arguments"] == '{"n":1}'
    assert [(m["tool_call_id"], m["content"]) for m in messages[2:4]] == [("a", "1"), ("b", "2")]


def test_a_call_still_at_work_is_pending_and_an_orphaned_output_goes() -> None:
    messages = write_messages("", [output("gone", "x"), message("user", "hola"), call("a")])

    assert [m["role"] for m in messages] == ["user", "assistant", "tool"]
    assert messages[-1]["content"] == PENDING


def test_an_item_without_words_is_no_message() -> None:
    picture = {"type": "input_image", "image_url": "data:,"}
    items = [message("assistant", ""), {"type": "message", "role": "user", "content": [picture]}]

    assert write_messages("", items) == []


def test_tools_and_the_choice_take_the_nested_form() -> None:
    tool = {"type": "function", "name": "pagar", "parameters": {"type": "object"}}

    assert write_tools([tool]) == [
        {"type": "function", "function": {"name": "pagar", "parameters": {"type": "object"}}}
    ]
    assert write_tool_choice("auto") == "auto"
    assert write_tool_choice({"type": "function", "name": "pagar"}) == {
        "type": "function",
        "function": {"name": "pagar"},
    }


@given(
    st.lists(
        st.one_of(
            st.sampled_from(["user", "assistant", "system"]).map(lambda r: message(r, "algo")),
            st.sampled_from("abc").map(call),
            st.sampled_from("abc").map(lambda c: output(c, "hecho")),
        ),
        max_size=12,
    )
)
def test_every_call_is_followed_by_its_output_whatever_the_order(items: list[Json]) -> None:
    messages = write_messages("Eres Penny.", items)

    for index, told in enumerate(messages):
        calls = [c["id"] for c in told.get("tool_calls", ())]
        after = messages[index + 1 : index + 1 + len(calls)]
        assert [m.get("tool_call_id") for m in after] == calls
    assert sum(m["role"] == "tool" for m in messages) == sum(
        len(m.get("tool_calls", ())) for m in messages
    )


@given(
    st.lists(st.sampled_from(["user", "assistant"]).map(lambda r: message(r, "algo")), max_size=8)
)
def test_a_longer_conversation_keeps_the_head_that_servers_cache(items: list[Json]) -> None:
    whole = write_messages("Eres Penny.", items)

    for end in range(len(items)):
        before = write_messages("Eres Penny.", items[:end])
        assert whole[: len(before)] == before
