"""A private session's MCP tools: what the client is told, what the server is asked, what the model
below gets to know. Everything told passes the SDK's strict types."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from modes.self_hosted.mcp.opening import McpHouse
from penny.errors import SpeakerLost
from penny.realtime import commands as c
from penny.realtime.errors import ClientError
from penny.session.mode import SessionSpec, Speaker
from tests.doubles.http import serving
from tests.doubles.mcp_server import McpServer, tool
from tests.penny.realtime.talk import Talk
from tests.realtime_schema import assert_server_event_valid


pytestmark = pytest.mark.socket

Json = dict[str, Any]
ARGUMENTS = '{"id": "F-1"}'
LIMIT_S = 30.0


class Worker:
    """A speaker on the worker's own core; its model calls the function that it is told to."""

    is_full = False

    def __init__(self, session: Json) -> None:
        self.talk = Talk()
        self.calls: str | None = None
        self.hangs = False
        """Whether a response does not end after a call."""
        self._sink: Any = None
        self.is_lost = False
        self.talk.update(**session)
        self.info: Json = {"session": self.talk.core.session, "model": "m"}

    def start(self, sink: Any) -> None:
        self._sink = sink

    def send(self, event: Json) -> None:
        if self.is_lost:
            raise SpeakerLost("the connection broke")
        for told in self.talk.take(self.talk.core.receive(dict(event))):
            self._sink.on_event(told)
            if told["type"] == "response.created":
                self._answer(told["response"]["id"])

    def _answer(self, response_id: str) -> None:
        request = self.talk.core.request(response_id)
        assert request is not None
        if self.calls is not None:
            done = c.ToolCallDone(response_id, "call_1", self.calls, ARGUMENTS)
            reports: tuple[c.EngineReport, ...] = (done, c.GenerationDone(response_id))
            reports = reports[:1] if self.hangs else reports
            self.calls = None
        else:
            self.request = request
            reports = (c.PhraseDelta(response_id, "Listo."), c.GenerationDone(response_id))
        for told in self.talk.report(*reports):
            self._sink.on_event(told)

    async def drain(self) -> None:
        """There is always room."""

    async def aclose(self) -> None:
        self.is_lost = True

    @property
    def tools(self) -> list[str]:
        return [each["name"] for each in self.talk.core.session["tools"]]


class Client:
    """What a client is told; ``worker`` is below."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.worker: Worker
        self.speaker: Speaker
        self.told: list[Json] = []
        self.marks: list[Json] = []
        """What the edge keeps from it, for who keeps the call."""

    def on_event(self, event: Json) -> None:
        (self.marks if event["type"].startswith("penny.") else self.told).append(event)

    def on_closed(self, error: SpeakerLost | None) -> None:
        raise AssertionError(error)

    def send(self, kind: str, **fields: Any) -> list[Json]:
        """Send an event; what was told of it at once."""
        begun = len(self.told)
        self.speaker.send({"type": kind, **fields})
        return self.told[begun:]

    def update(self, **more: Any) -> list[Json]:
        server = {"type": "mcp", "server_label": "facturas", "server_url": self.url, **more}
        return self.send("session.update", session={"type": "realtime", "tools": [server]})

    async def until(self, kind: str, times: int = 1) -> Json:
        async with asyncio.timeout(LIMIT_S):
            while self.kinds.count(kind) < times:
                await asyncio.sleep(0.005)
        return [event for event in self.told if event["type"] == kind][times - 1]

    async def listed(self, **more: Any) -> None:
        self.update(**more)
        await self.until("mcp_list_tools.completed")

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.told]

    def check(self) -> None:
        """Every event is as the SDK has it, and each item stands after one told before."""
        known: list[str | None] = [None]
        for event in self.told:
            assert_server_event_valid(event)
            assert "pennymcp" not in str(event), event
            if event["type"] == "conversation.item.added":
                assert event["previous_item_id"] in known, event
                known.append(event["item"]["id"])


@asynccontextmanager
async def talking(server: McpServer, **session: Any) -> AsyncIterator[Client]:
    async with serving({"POST /mcp": server.handle, "DELETE /mcp": server.handle}) as base:
        client = Client(f"{base}/mcp")
        house = McpHouse((client.url,))

        async def open_below(spec: SessionSpec) -> Speaker:
            client.worker = Worker(spec.session)
            return client.worker

        if wanted := session.pop("named", None):
            session["tools"] = [{**wanted, "server_url": client.url}]
        client.speaker = await house.open(SessionSpec("s", "es", session=session), open_below)
        client.speaker.start(client)
        yield client
        client.check()
        await client.speaker.aclose()
        await house.aclose()
        if server.status == 200:
            assert server.sessions == set(), "each is ended"


def a_server(**more: Any) -> McpServer:
    return McpServer([tool("ver", read_only=True), tool("pagar"), tool("borrar")], **more)


@pytest.mark.parametrize("streams", [False, True])
async def test_a_tool_is_listed_called_and_its_output_known_to_the_next_answer(
    streams: bool,
) -> None:
    server = a_server(streams=streams)
    async with talking(server) as client:
        (updated,) = client.update(
            require_approval="never", authorization="k-1", headers={"X": "y"}
        )
        (shown,) = updated["session"]["tools"]
        assert shown["server_label"] == "facturas"
        assert not {"authorization", "headers"} & shown.keys()
        await client.until("mcp_list_tools.completed")
        assert client.kinds[1:] == [
            "conversation.item.added",
            "mcp_list_tools.in_progress",
            "mcp_list_tools.completed",
            "conversation.item.done",
        ]
        listed = client.told[-1]["item"]
        assert [each["name"] for each in listed["tools"]] == ["ver", "pagar", "borrar"]
        assert client.worker.tools == ["ver", "pagar", "borrar"]
        assert (server.headers["Authorization"], server.headers["X"]) == ("Bearer k-1", "y")
        client.worker.calls = "ver"
        begun = len(client.told)
        client.send("response.create")
        done = await client.until("response.mcp_call.completed")
        assert client.kinds[begun:] == [
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.mcp_call_arguments.delta",
            "response.mcp_call_arguments.done",
            "response.output_item.done",
            "response.done",
            "rate_limits.updated",
            "response.mcp_call.in_progress",
            "response.mcp_call.completed",
            "conversation.item.done",
        ]
        call = client.told[-1]["item"]
        assert call["id"] == done["item_id"]
        assert (call["type"], call["name"], call["arguments"]) == ("mcp_call", "ver", ARGUMENTS)
        assert (call["output"], call["error"]) == ("pendiente de pago", None)
        assert server.calls == [("ver", {"id": "F-1"})]
        (response,) = [e["response"] for e in client.told if e["type"] == "response.done"]
        assert [item["type"] for item in response["output"]] == ["mcp_call"]
        client.send("response.create")
        items = [item["type"] for item in client.worker.request.items]
        assert items == ["function_call", "function_call_output"]
        assert client.worker.request.items[1]["output"] == "pendiente de pago"


@pytest.mark.parametrize("approve", [True, False])
async def test_a_call_waits_until_the_client_approves_of_it_and_is_not_run_where_it_does_not(
    approve: bool,
) -> None:
    server = a_server()
    async with talking(server) as client:
        await client.listed()
        client.worker.calls = "pagar"
        client.send("response.create")
        added, done = (e for e in client.told if e.get("item", {}).get("id", "").startswith("mcpr"))
        asked = added["item"]
        assert done["type"] == "conversation.item.done"
        assert asked["type"] == "mcp_approval_request"
        assert (asked["name"], asked["arguments"]) == ("pagar", ARGUMENTS)
        assert server.calls == []
        answer = {"type": "mcp_approval_response", "approval_request_id": asked["id"]}
        answer |= {"approve": approve, "reason": "no hoy"}
        client.send("conversation.item.create", item=answer, previous_item_id=asked["id"])
        end = await client.until("response.mcp_call." + ("completed" if approve else "failed"))
        call = client.told[-1]["item"]
        assert (call["id"], call["approval_request_id"]) == (end["item_id"], asked["id"])
        assert server.calls == ([("pagar", {"id": "F-1"})] if approve else [])
        if not approve:
            assert call["error"]["type"] == "tool_execution_error"
            assert "no hoy" in call["error"]["message"]
        (error,) = client.send("conversation.item.create", item=answer, event_id="twice")
        assert error["error"]["param"] == "item.approval_request_id"
        assert error["error"]["event_id"] == "twice"
        client.send("response.create")
        said = client.worker.request.items[-1]["output"]
        assert ("pendiente" in said) == approve


Rule = Json | str | None


@pytest.mark.parametrize(
    ("rule", "called", "asks"),
    [
        (None, "ver", True),
        ("always", "ver", True),
        ("never", "pagar", False),
        ({"never": {"tool_names": ["ver"]}}, "ver", False),
        ({"never": {"tool_names": ["ver"]}}, "pagar", True),
        ({"never": {"read_only": True}}, "ver", False),
        ({"never": {"read_only": True}}, "pagar", True),
        ({"always": {"tool_names": ["ver"]}, "never": {"read_only": True}}, "ver", True),
    ],
)
async def test_which_calls_ask_first(rule: Rule, called: str, asks: bool) -> None:
    server = a_server()
    async with talking(server) as client:
        await client.listed(require_approval=rule)
        client.worker.calls = called
        client.send("response.create")
        if not asks:
            await client.until("response.mcp_call.completed")
        types = [event["item"]["type"] for event in client.told if "item" in event]
        assert ("mcp_approval_request" in types) == asks


@pytest.mark.parametrize(
    ("allowed", "offered"),
    [(["pagar"], ["pagar"]), ({"read_only": True}, ["ver"]), ({"tool_names": []}, [])],
)
async def test_only_allowed_tools_are_offered(allowed: Any, offered: list[str]) -> None:
    async with talking(a_server()) as client:
        await client.listed(allowed_tools=allowed)
        assert client.worker.tools == offered


async def test_a_tool_with_a_clients_own_name_has_its_servers_before_it_and_is_chosen_by_it() -> (
    None
):
    async with talking(a_server()) as client:
        own = {"type": "function", "name": "ver", "parameters": {}}
        mcp = {"type": "mcp", "server_label": "fa", "server_url": client.url}
        wanted = {"type": "realtime", "tools": [mcp, own]}
        client.send("session.update", session=wanted)
        await client.until("mcp_list_tools.completed")
        assert client.worker.tools == ["ver", "fa__ver", "pagar", "borrar"]
        choice = {"type": "mcp", "server_label": "fa", "name": "ver"}
        (updated,) = client.send(
            "session.update", session={"type": "realtime", "tool_choice": choice}
        )
        below = client.worker.talk.core.session["tool_choice"]
        assert below == {"type": "function", "name": "fa__ver"}
        assert updated["session"]["tool_choice"] == choice
        assert [each["type"] for each in updated["session"]["tools"]] == ["function", "mcp"]
        client.worker.calls = "ver"
        client.send("response.create")
        assert "response.function_call_arguments.done" in client.kinds, "the client's own to run"


def spoil(name: str, value: Any) -> Callable[[Json], Json]:
    return lambda server: {**server, name: value}


@pytest.mark.parametrize(
    ("spoiled", "param"),
    [
        (spoil("server_url", "http://127.0.0.1:1/mcp"), "server_url"),
        (spoil("server_url", ["http://127.0.0.1:1/mcp"]), "server_url"),
        (spoil("server_url", None), "server_url"),
        (spoil("server_label", None), "server_label"),
        (spoil("headers", {"X": 5}), "headers"),
        (spoil("headers", {"X": "a\r\nHost: b"}), "headers"),
        (spoil("headers", {"X: y": "a"}), "headers"),
        (spoil("headers", {"": "a"}), "headers"),
        (spoil("headers", {"HOST": "other.internal"}), "headers"),
        (spoil("headers", {"Content-Length": "3"}), "headers"),
        (spoil("headers", {"Transfer-Encoding": "chunked"}), "headers"),
        (spoil("headers", {"Cookie": "sid=1"}), "headers"),
        (spoil("headers", {"mcp-session-id": "of-another"}), "headers"),
        (spoil("allowed_tools", "ver"), "allowed_tools"),
        (spoil("require_approval", "perhaps"), "require_approval"),
        (spoil("require_approval", {"never": {"tool_names": [5]}}), "require_approval.never"),
    ],
)
async def test_a_wrong_server_is_refused_by_field_and_the_session_stays_as_it_was(
    spoiled: Callable[[Json], Json], param: str
) -> None:
    server = a_server()
    async with talking(server) as client:
        wrong = spoiled({"type": "mcp", "server_label": "x", "server_url": client.url})
        session = {"type": "realtime", "instructions": "x", "tools": [wrong]}
        (error,) = client.send("session.update", session=session, event_id="u1")
        assert error["error"]["param"] == f"session.tools[0].{param}"
        assert error["error"]["event_id"] == "u1"
        assert client.worker.talk.core.session["instructions"] != "x"
        (updated,) = client.send("session.update", session={"type": "realtime"})
        assert updated["session"]["tools"] == []
        assert server.headers == {}, "nothing was asked of it"


async def test_an_update_that_the_worker_refuses_leaves_the_servers_as_they_were() -> None:
    async with talking(a_server()) as client:
        await client.listed()
        speed = {"output": {"speed": 9}}
        refused = {"type": "realtime", "tools": [], "audio": speed}
        (error,) = client.send("session.update", session=refused)
        assert error["error"]["event_id"] is None
        (updated,) = client.send("session.update", session={"type": "realtime"})
        assert [each["type"] for each in updated["session"]["tools"]] == ["mcp"]
        assert client.worker.tools == ["ver", "pagar", "borrar"]


async def test_a_server_that_is_not_there_is_told_as_failed_and_a_redirect_is_not_followed() -> (
    None
):
    server = a_server()
    server.status = 307
    async with talking(server) as client:
        client.update()
        failed = await client.until("mcp_list_tools.failed")
        (added,) = [each for each in client.told if each["type"] == "conversation.item.added"]
        assert failed["item_id"] == added["item"]["id"]
        assert client.worker.tools == []


@pytest.mark.parametrize(
    ("status", "fails", "kind"), [(500, False, "http_error"), (200, True, "tool_execution_error")]
)
async def test_a_call_that_fails_says_how_and_the_model_gets_to_know_it(
    status: int, fails: bool, kind: str
) -> None:
    server = a_server()
    async with talking(server) as client:
        await client.listed(require_approval="never")
        server.status, server.fails = status, fails
        client.worker.calls = "pagar"
        client.send("response.create")
        await client.until("response.mcp_call.failed")
        assert client.told[-1]["item"]["error"]["type"] == kind
        client.send("response.create")
        assert "error" in client.worker.request.items[-1]["output"]


async def test_items_that_the_client_alone_sees_are_shown_and_deleted_here() -> None:
    server = a_server()
    async with talking(server) as client:
        await client.listed(require_approval="never")
        listed = client.told[-1]["item"]["id"]
        (shown,) = client.send("conversation.item.retrieve", item_id=listed)
        assert len(shown["item"]["tools"]) == 3
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]}
        created = {"previous_item_id": listed, "item": item}
        added, _ = client.send("conversation.item.create", **created)
        assert added["previous_item_id"] == listed
        (gone,) = client.send("conversation.item.delete", item_id=listed)
        assert gone["item_id"] == listed
        client.worker.calls = "ver"
        client.send("response.create")
        call = (await client.until("response.mcp_call.completed"))["item_id"]
        (shown,) = client.send("conversation.item.retrieve", item_id=call)
        assert shown["item"]["output"] == "pendiente de pago"
        (gone,) = client.send("conversation.item.delete", item_id=call)
        assert gone["item_id"] == call
        client.send("response.create")
        assert [each["type"] for each in client.worker.request.items] == ["message"]


async def test_what_a_server_lists_while_an_update_is_on_its_way_is_offered_after_it() -> None:
    async with talking(a_server()) as client:
        client.update()
        worker, kept = client.worker, list[Json]()
        worker.send, send = kept.append, worker.send  # type: ignore[method-assign]
        own = {"type": "function", "name": "f", "parameters": {}}
        mcp = {"type": "mcp", "server_label": "facturas", "server_url": client.url}
        client.send("session.update", session={"type": "realtime", "tools": [own, mcp]})
        await client.until("mcp_list_tools.completed")
        worker.send = send  # type: ignore[method-assign]
        for event in kept:
            send(event)
        assert worker.tools == ["f", "ver", "pagar", "borrar"]
        assert client.kinds.count("session.updated") == 2


async def test_a_session_begins_with_servers_that_its_secret_names() -> None:
    named = {"type": "mcp", "server_label": "facturas", "authorization": "k"}
    async with talking(a_server(), named=named) as client:
        (shown,) = client.speaker.info["session"]["tools"]
        assert shown == {"type": "mcp", "server_label": "facturas", "server_url": client.url}
        await client.until("mcp_list_tools.completed")
        assert client.worker.tools == ["ver", "pagar", "borrar"]


async def test_a_session_does_not_begin_with_a_server_that_is_not_named() -> None:
    house = McpHouse(("http://127.0.0.1:1/mcp",))
    tools = [{"type": "mcp", "server_label": "x", "server_url": "https://example.com/mcp"}]

    async def open_below(spec: SessionSpec) -> Speaker:
        raise AssertionError("opened")

    with pytest.raises(ClientError, match="privacy.mcp_servers"):
        await house.open(SessionSpec("s", "es", session={"tools": tools}), open_below)


async def test_a_response_names_servers_that_the_session_has_listed_and_no_others() -> None:
    async with talking(a_server()) as client:
        mcp = {"type": "mcp", "server_label": "facturas", "server_url": client.url}
        (error,) = client.send("response.create", response={"tools": [mcp]})
        assert error["error"]["param"] == "response.tools"
        await client.listed()
        client.send("response.create", response={"tools": [mcp], "tool_choice": "none"})
        assert [each["name"] for each in client.worker.request.tools] == ["ver", "pagar", "borrar"]
