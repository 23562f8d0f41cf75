"""Realtime items as a chat model reads them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpod_worker.chat import (
    NOTHING_SAID,
    PENDING,
    flatten,
    show,
    write_messages,
    write_request,
    write_tool_choice,
    write_tools,
)
from runpod_worker.stages import LlmRequest
from tests.doubles.chat_server import assert_strict_template


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
        message("user", "dígame", kind="input_audio"),
    ]

    assert write_messages("Eres Penny.", items) == [
        {"role": "system", "content": "Eres Penny."},
        {"role": "user", "content": "hola"},
        {"role": "assistant", "content": "Buenos días, le"},
        {"role": "user", "content": "dígame"},
    ]


def test_turns_alternate_whoever_spoke_first_or_twice() -> None:
    items = [
        message("assistant", "Buenos días."),
        message("user", "hola"),
        message("system", "La persona es socia."),
        message("user", "sí"),
    ]

    assert write_messages("Eres Penny.", items) == [
        {"role": "system", "content": "Eres Penny."},
        {"role": "user", "content": NOTHING_SAID},
        {"role": "assistant", "content": "Buenos días."},
        {"role": "user", "content": "hola\n[La persona es socia.]\nsí"},
    ]


def test_without_instructions_a_system_item_may_be_the_head() -> None:
    messages = write_messages("", [message("system", "Sé breve."), message("user", "hola")])

    assert [m["role"] for m in messages] == ["system", "user"]


def test_what_holds_for_the_turn_stands_before_the_callers_last_words() -> None:
    items = [message("user", "una"), message("assistant", "dos"), message("user", "tres")]
    request = LlmRequest("", (*items, call("a"), output("a", "1")), notes="Hoy.", passages=("- P",))

    messages = write_request(request)

    assert messages[0]["content"] == "una"
    assert messages[2]["content"] == "Hoy.\n- P\n---\ntres"
    assert messages[-1]["role"] == "tool"


def test_a_server_without_tools_or_system_role_is_told_of_them_in_words() -> None:
    items = [
        message("user", "¿cuánto?"),
        call("a", "mirar"),
        output("a", "84"),
        message("user", "¿y?"),
    ]
    tool = write_tools([{"type": "function", "name": "mirar", "parameters": {}}])

    plain = flatten(write_messages("Eres Penny.", items), tool, system=False)

    assert [m["role"] for m in plain] == ["user", "assistant", "user", "assistant", "user"]
    assert plain[0]["content"].startswith("Eres Penny.\n\n# Tools")
    assert plain[0]["content"].endswith("¿cuánto?")
    assert plain[1]["content"] == '<tool_call>\n{"name": "mirar", "arguments": {}}\n</tool_call>'
    assert plain[2]["content"] == "<tool_response>\n84\n</tool_response>"
    assert all(set(m) == {"role", "content"} for m in plain)


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

    roles = [m["role"] for m in messages]
    assert roles == ["user", "assistant", "tool", "tool", "assistant", "user"]
    assert (messages[1]["content"], messages[4]["content"]) == ("Un momento.", NOTHING_SAID)
    assert [c["id"] for c in messages[1]["tool_calls"]] == ["a", "b"]
    assert messages[1]["tool_calls"][0]["function"]["arguments"] == '{"n":1}'
    assert [(m["tool_call_id"], m["content"]) for m in messages[2:4]] == [("a", "1"), ("b", "2")]


def test_a_call_still_at_work_is_pending_and_an_orphaned_output_goes() -> None:
    messages = write_messages("", [output("gone", "x"), message("user", "hola"), call("a")])

    assert [m["role"] for m in messages] == ["user", "assistant", "tool"]
    assert messages[-1]["content"] == PENDING


def test_an_item_without_words_is_no_message() -> None:
    items = [message("assistant", ""), message("user", "")]

    assert write_messages("", items) == [{"role": "user", "content": NOTHING_SAID}]


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

    for end in (at for at in range(1, len(items) + 1) if items[at - 1]["role"] == "user"):
        *head, last = write_messages("Eres Penny.", items[:end])
        assert whole[: len(head)] == head
        assert whole[len(head)]["content"].startswith(last["content"])


ITEMS = st.one_of(
    st.sampled_from(["user", "assistant", "system"]).map(lambda r: message(r, "algo")),
    st.sampled_from("abc").map(call),
    st.sampled_from("abc").map(lambda c: output(c, "hecho")),
)


@given(st.sampled_from(["Eres Penny.", ""]), st.lists(ITEMS, max_size=12), st.booleans())
def test_the_strictest_templates_take_every_conversation(
    instructions: str, items: list[Json], system: bool
) -> None:
    """Gemma's and Mistral's: system first or nowhere, then user and assistant in turn."""
    messages = write_messages(instructions, items)
    assert_strict_template(messages)
    plain = flatten(messages, [], system=system)
    assert_strict_template(plain)
    assert {m["role"] for m in plain} <= {"user", "assistant"} | ({"system"} if system else set())


def test_an_image_alone_is_a_turn_and_a_template_without_roles_keeps_it() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA=="}
    item = {"type": "message", "role": "user", "content": [image]}
    messages = write_messages("Eres Penny.", [item])
    shown = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    assert show(messages)[-1]["content"] == [{"type": "text", "text": ""}, shown]
    (only,) = show(flatten(messages, (), system=False))
    assert only["content"] == [{"type": "text", "text": "Eres Penny.\n\n"}, shown]
