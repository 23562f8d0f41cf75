"""Whose a model's call is, whether it is run, and what is kept of it."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.modes.self_hosted.mcp.test_mcp import ARGUMENTS, Client, a_server, talking


pytestmark = pytest.mark.socket

Json = dict[str, Any]
OWN: Json = {"type": "function", "name": "ver", "parameters": {}}


async def test_a_name_that_is_a_clients_function_now_is_no_tool_of_a_server_that_had_it() -> None:
    server = a_server()
    async with talking(server) as client:
        await client.listed(require_approval="never")
        mcp = {"type": "mcp", "server_label": "otra", "server_url": client.url}
        more = {**mcp, "require_approval": "never"}
        client.send("session.update", session={"type": "realtime", "tools": [OWN, more]})
        await client.until("mcp_list_tools.completed", 2)
        client.worker.calls = "ver"
        told = client.send("response.create")
        (done,) = [e for e in told if e["type"] == "response.function_call_arguments.done"]
        assert (done["name"], done["arguments"]) == ("ver", ARGUMENTS)
        (response,) = [e["response"] for e in told if e["type"] == "response.done"]
        assert [item["type"] for item in response["output"]] == ["function_call"]
        assert server.calls == []
        assert client.marks == []
        (updated,) = client.send("session.update", session={"type": "realtime"})
        tools = [tool["type"] for tool in updated["session"]["tools"]]
        assert tools == ["function", "mcp"], "the client's own is shown"


async def test_a_call_is_of_the_tools_that_its_own_response_was_given() -> None:
    server = a_server()
    async with talking(server) as client:
        await client.listed(require_approval="never")
        client.worker.calls = "ver"
        told = client.send("response.create", response={"tools": [OWN], "metadata": {"a": "b"}})
        assert "response.function_call_arguments.done" in [event["type"] for event in told]
        seen = [event["response"]["metadata"] for event in told if "response" in event]
        assert seen == [{"a": "b"}, {"a": "b"}]
        assert server.calls == []
        (call_id,) = {e["call_id"] for e in told if "call_id" in e}
        result = {"type": "function_call_output", "call_id": call_id, "output": "x"}
        client.send("conversation.item.create", item=result)
        client.send("session.update", session={"type": "realtime", "tools": [a_tool(client), OWN]})
        client.worker.calls = "ver"
        told = client.send("response.create", response={"tools": [a_tool(client)]})
        assert {e["response"]["metadata"] for e in told if "response" in e} == {None}
        await client.until("response.mcp_call.completed")
        assert server.calls == [("ver", {"id": "F-1"})]


def a_tool(client: Client) -> Json:
    server = {"type": "mcp", "server_label": "facturas", "server_url": client.url}
    return {**server, "require_approval": "never"}


async def test_a_call_of_a_response_that_is_cut_is_not_run_and_the_model_knows_it() -> None:
    server = a_server()
    async with talking(server) as client:
        await client.listed(require_approval="never")
        client.worker.calls, client.worker.hangs = "pagar", True
        client.send("response.create")
        client.send("response.cancel")
        await client.until("response.mcp_call.failed")
        (done,) = [e["response"] for e in client.told if e["type"] == "response.done"]
        assert done["status"] == "cancelled"
        call = client.told[-1]["item"]
        assert (call["output"], call["error"]["type"]) == (None, "tool_execution_error")
        assert server.calls == []
        assert [mark["status"] for mark in client.marks] == ["refused"]
        client.send("response.create")
        assert "not run" in client.worker.request.items[-1]["output"]


async def test_the_end_of_another_response_runs_nothing() -> None:
    server = a_server()
    async with talking(server) as client:
        await client.listed(require_approval="never")
        client.worker.calls, client.worker.hangs = "pagar", True
        client.send("response.create")
        beside = client.send("response.create", response={"conversation": "none"})
        ended = [e["response"]["status"] for e in beside if e["type"] == "response.done"]
        assert ended == ["completed"]
        client.send("response.cancel")
        await client.until("response.mcp_call.failed")
        assert server.calls == []


async def test_a_call_that_the_client_tells_of_is_history_and_is_not_run() -> None:
    server = a_server()
    async with talking(server) as client:
        await client.listed(require_approval="never")
        item = {"type": "function_call", "name": "pagar", "call_id": "c", "arguments": ARGUMENTS}
        added, done = client.send("conversation.item.create", item=item)
        assert added["item"]["type"] == done["item"]["type"] == "function_call"
        client.worker.calls = "ver"
        client.send("response.create")
        await client.until("response.mcp_call.completed")
        assert server.calls == [("ver", {"id": "F-1"})]


@pytest.mark.parametrize("fails", [False, True])
async def test_who_keeps_the_call_is_told_of_each_tool_that_was_run(fails: bool) -> None:
    server = a_server()
    async with talking(server) as client:
        await client.listed(require_approval="never")
        server.fails = fails
        client.worker.calls = "pagar"
        client.send("response.create")
        end = "failed" if fails else "completed"
        await client.until(f"response.mcp_call.{end}")
        about: Json = {"type": "penny.tool_call", "call_id": "call_1", "name": "pagar"}
        about |= {"arguments": {"id": "F-1"}, "result": None}
        why = "tool_execution_error" if fails else None
        marks = [{k: v for k, v in mark.items() if k != "event_id"} for mark in client.marks]
        assert marks == [
            {**about, "status": "started", "message": None},
            {**about, "status": end, "message": why},
        ]


async def test_what_a_server_says_of_a_failure_is_not_logged() -> None:
    server = a_server()
    server.refusal = "invalid token sk-secret"
    with capture_logs() as logs:
        async with talking(server) as client:
            client.update(authorization="sk-secret")
            await client.until("mcp_list_tools.failed")
    (entry,) = [each for each in logs if each["event"] == "mcp_not_listed"]
    assert (entry["kind"], entry["code"]) == ("protocol_error", -32001)
    assert "sk-secret" not in str(logs)


async def test_a_session_that_its_server_ended_is_begun_anew_and_the_call_is_run_once() -> None:
    server = a_server()
    async with talking(server) as client:
        await client.listed(require_approval="never")
        server.sessions.clear()
        client.worker.calls = "ver"
        client.send("response.create")
        await client.until("response.mcp_call.completed")
        assert server.calls == [("ver", {"id": "F-1"})]
        assert server.sessions == {"mcp-session-2"}


def nested(levels: int) -> str:
    content = "[" * levels + "]" * levels
    return f'{{"jsonrpc": "2.0", "id": ID, "result": {{"content": {content}}}}}'


@pytest.mark.parametrize("body", [nested(150), nested(100_000), "5", '["x"]', "null", "{"])
async def test_an_answer_that_is_none_or_is_nested_too_deep_ends_its_call(body: str) -> None:
    server = a_server()
    async with talking(server) as client:
        await client.listed(require_approval="never")
        server.body = body
        client.worker.calls = "ver"
        client.send("response.create")
        await client.until("response.mcp_call.failed")
        assert client.told[-1]["item"]["error"]["type"] == "protocol_error"
