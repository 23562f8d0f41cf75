"""MCP tools of a private session, run here: the model below knows them as functions.

What the client sends and sees is GA's: ``mcp`` tools, ``mcp_list_tools``, ``mcp_call``, approvals.
As with OpenAI a call is run when its response has ended, and what the model makes of its output is
the client's to ask for, by ``response.create``.
"""

from __future__ import annotations

import json
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import structlog

from modes.self_hosted.mcp.client import McpFailed
from modes.self_hosted.mcp.items import Call, Shown
from modes.self_hosted.mcp.toolbox import Listed, Toolbox, Tools
from penny.aio.tasks import TaskOwner
from penny.errors import SpeakerLost
from penny.ids import new_id
from penny.realtime.errors import ClientError, describe_error
from penny.session.mode import Speaker, SpeakerSink
from penny.writable import dump_json


log = structlog.get_logger()

Json = dict[str, Any]

OWN: Final = "pennymcp"
"""Prefix of the ids given to session updates that came without one; no client sees them."""
PLACED = ("conversation.item.added", "conversation.item.done", "input_audio_buffer.committed")
"""Events that tell which item stands before."""


@dataclass(frozen=True, slots=True)
class Update:
    """A session.update on its way, and what the session's tools are if it is taken: None leaves
    them. ``is_ours``: the client did not send it."""

    event_id: str
    tools: Tools | None = None
    is_ours: bool = False


class McpSpeaker:
    """A private speaker whose model may call tools of MCP servers.

    Args:
        toolbox: this session's, with what it begins with.
    """

    def __init__(self, speaker: Speaker, toolbox: Toolbox) -> None:
        session = toolbox.view(speaker.info.get("session") or {})
        self.info = {**speaker.info, "session": session}
        self._speaker = speaker
        self._toolbox = toolbox
        self._sink: SpeakerSink | None = None
        self._tasks = TaskOwner("mcp")
        self._updates: deque[Update] = deque()
        self._shown = Shown()
        self._calls: dict[str, Call] = {}
        self._to_run: list[Call] = []
        self._approvals: dict[str, Call] = {}

    @property
    def is_full(self) -> bool:
        return self._speaker.is_full

    async def drain(self) -> None:
        await self._speaker.drain()

    def start(self, sink: SpeakerSink) -> None:
        self._sink = sink
        self._speaker.start(self)
        self._list_new()

    async def aclose(self) -> None:
        await self._tasks.aclose()
        await self._speaker.aclose()

    # -- what the client sends ----------------------------------------------------------------

    def send(self, event: Json) -> None:
        try:
            events = self._translate(event)
        except ClientError as error:
            fault = describe_error(
                error.code,
                error.message,
                error.param,
                event.get("event_id"),
                "invalid_request_error",
            )
            self._tell("error", error=fault)
            return
        for one in events:
            self._speaker.send(one)

    def _translate(self, event: Json) -> list[Json]:
        """What the speaker is sent of a client's event. Raises ClientError."""
        kind, item_id = event["type"], event.get("item_id")
        if kind == "session.update":
            return [self._update(event)]
        if kind == "response.create" and event.get("response"):
            return [{**event, "response": self._with_functions(event["response"], "response")[0]}]
        if kind == "conversation.item.create":
            if event["item"]["type"] == "mcp_approval_response":
                self._decide(event["item"])
                return []
            before = event.get("previous_item_id")
            if before and self._shown.is_alone(before):
                return [{**event, "previous_item_id": self._shown.below(before) or "root"}]
        elif item_id in self._shown.items:
            return self._translate_ours(event, str(item_id))
        return [event]

    def _translate_ours(self, event: Json, item_id: str) -> list[Json]:
        """An event about an item that the client sees otherwise than the speaker, or alone."""
        if event["type"] == "conversation.item.retrieve":
            self._tell("conversation.item.retrieved", item=dict(self._shown.items[item_id]))
            return []
        if event["type"] != "conversation.item.delete":
            return [event]
        self._shown.forget(item_id)
        if self._shown.is_alone(item_id):
            self._tell("conversation.item.deleted", item_id=item_id)
            return []
        result = {"type": event["type"], "item_id": self._shown.result_of(item_id)}
        return [event, result] if item_id not in self._calls else [event]

    def _update(self, event: Json) -> Json:
        session, tools = self._with_functions(event["session"], "session")
        update = Update(event.get("event_id") or new_id(OWN), tools)
        self._updates.append(update)
        return {**event, "event_id": update.event_id, "session": session}

    def _with_functions(self, wishes: Json, at: str) -> tuple[Json, Tools | None]:
        """Fields of a session or a response with functions for tools. Raises ClientError."""
        wishes, tools = dict(wishes), None
        if wishes.get("tool_choice") is not None:
            wishes["tool_choice"] = self._toolbox.choice(wishes["tool_choice"], f"{at}.tool_choice")
        if "tools" in wishes:
            tools = self._toolbox.read(wishes["tools"] or [], f"{at}.tools")
            unknown = [label for label, listed in tools.servers.items() if listed.tools is None]
            if at == "response" and unknown:
                raise ClientError(
                    "invalid_value",
                    f"'response.tools': '{unknown[0]}' has not listed its tools in this session; "
                    "name it in 'session.tools', and wait for mcp_list_tools.completed.",
                    "response.tools",
                )
            wishes["tools"] = self._toolbox.offer(tools)
        return wishes, tools

    # -- lists --------------------------------------------------------------------------------

    def _list_new(self) -> None:
        for listed in self._toolbox.tools.servers.values():
            if not listed.is_asked:
                listed.is_asked = True
                self._tasks.spawn(self._list(listed), name="mcp list")

    async def _list(self, listed: Listed) -> None:
        """Ask a server for its tools, show them as an item, and offer them."""
        item: Json = {"id": new_id("mcpl"), "type": "mcp_list_tools"}
        item |= {"server_label": listed.server.label, "tools": []}
        self._show(item)
        self._tell("mcp_list_tools.in_progress", item_id=item["id"])
        try:
            listed.tools = listed.server.offered(await listed.client.list_tools())
        except McpFailed as failure:
            log.warning("mcp_not_listed", server=listed.server.label, **failure.error)
            self._tell("mcp_list_tools.failed", item_id=item["id"])
            return
        item["tools"] = [
            {
                "name": tool["name"],
                "description": tool["description"],
                "input_schema": tool["inputSchema"],
                "annotations": tool.get("annotations"),
            }
            for tool in listed.tools
        ]
        self._tell("mcp_list_tools.completed", item_id=item["id"])
        self._tell_done(item)
        self._offer()

    def _offer(self) -> None:
        """Tell the speaker what servers have listed; with an update of the client's on its way,
        when that is answered."""
        if any(update.tools is not None for update in self._updates):
            return
        update = Update(new_id(OWN), is_ours=True)
        self._updates.append(update)
        session = {"type": "realtime", "tools": self._toolbox.offer(self._toolbox.tools)}
        event = {"type": "session.update", "event_id": update.event_id, "session": session}
        self._send(event)

    # -- what the speaker says ----------------------------------------------------------------

    def on_event(self, event: Json) -> None:
        kind = event["type"]
        if kind == "session.updated":
            self._take_updated(event)
        elif kind == "error":
            self._take_error(event)
        elif self._shown.items or self._toolbox.tools.servers:
            self._take(kind, event)
        elif self._sink is not None:
            self._sink.on_event(event)

    def on_closed(self, error: SpeakerLost | None) -> None:
        if self._sink is not None:
            self._sink.on_closed(error)

    def _take_updated(self, event: Json) -> None:
        update = self._updates.popleft() if self._updates else Update("")
        if update.tools is not None:
            self._toolbox.tools = update.tools
        if not update.is_ours and self._sink is not None:
            self._sink.on_event({**event, "session": self._toolbox.view(event["session"])})
        if update.tools is not None:
            self._list_new()
            if len(self._toolbox.offer(update.tools)) > len(event["session"]["tools"]):
                self._offer()  # listed while the update was on its way

    def _take_error(self, event: Json) -> None:
        event_id = event["error"].get("event_id")
        update = next((each for each in self._updates if each.event_id == event_id), None)
        if update is not None:
            self._updates.remove(update)
            if update.is_ours:
                log.warning("mcp_tools_refused", reason=event["error"].get("message"))
                return
            if update.event_id.startswith(OWN):
                event = {**event, "error": {**event["error"], "event_id": None}}
        if self._sink is not None:
            self._sink.on_event(event)

    def _take(self, kind: str, event: Json) -> None:
        """An event of a session that has servers."""
        item = event.get("item") or {}
        item_id = item.get("id") or event.get("item_id")
        if self._shown.is_result(item_id):
            return
        if item.get("type") == "function_call" and item.get("name") in self._toolbox.offered:
            self._take_call(kind, event, item)
            return
        if item_id in self._calls:
            event = self._calls[item_id].renamed(event)
        elif kind == "response.done":
            output = [
                self._shown.items.get(each["id"], each) for each in event["response"]["output"]
            ]
            event = {**event, "response": {**event["response"], "output": output}}
        self._pass(event)
        if kind == "response.done":
            to_run, self._to_run = self._to_run, []
            for call in to_run:
                self._begin(call)

    def _pass(self, event: Json) -> None:
        """Tell the client, with the item that stands before as it knows it."""
        if event["type"] in PLACED:
            item_id = event["item_id"] if "item_id" in event else event["item"]["id"]
            before = self._shown.above(event.get("previous_item_id"), item_id)
            event = {**event, "previous_item_id": before}
        if self._sink is not None:
            self._sink.on_event(event)

    # -- calls --------------------------------------------------------------------------------

    def _take_call(self, kind: str, event: Json, item: Json) -> None:
        """One of the events that tell of a call as an item."""
        call = self._calls.get(item["id"]) or self._open_call(event, item)
        call.item["arguments"] = item["arguments"]
        if kind == "conversation.item.done" and item["status"] == "completed":
            call.before = event["previous_item_id"]
            self._to_run.append(call)  # it is done when it has run
        else:
            self._pass({**event, "item": dict(call.item)})

    def _open_call(self, event: Json, item: Json) -> Call:
        listed, tool = self._toolbox.offered[item["name"]]
        shown = {"id": item["id"], "type": "mcp_call", "server_label": listed.server.label}
        shown |= {"name": tool["name"], "arguments": "", "output": None, "error": None}
        call = Call(listed, tool, item["call_id"], event.get("output_index") or 0, shown)
        self._shown.items[item["id"]] = shown
        self._calls[item["id"]] = call
        return call

    def _begin(self, call: Call) -> None:
        """Its response has ended: run it, or ask first."""
        if not call.listed.server.asks_first(call.tool):
            self._tasks.spawn(self._run(call), name="mcp call")
            return
        asked: Json = {"id": new_id("mcpr"), "type": "mcp_approval_request"}
        asked |= {key: call.item[key] for key in ("server_label", "name", "arguments")}
        call.item["approval_request_id"] = asked["id"]
        self._approvals[asked["id"]] = call
        self._show(asked)
        self._tell_done(asked)

    def _decide(self, item: Json) -> None:
        """The client approves of a call, or does not. Raises ClientError."""
        call = self._approvals.pop(item["approval_request_id"], None)
        if call is None:
            raise ClientError(
                "invalid_value",
                "Invalid 'item.approval_request_id': no request with this id waits for an answer.",
                "item.approval_request_id",
            )
        answer: Json = {"id": item.get("id") or new_id("mcpa"), "type": item["type"]}
        answer |= {key: item.get(key) for key in ("approval_request_id", "approve", "reason")}
        self._show(answer)
        self._tell_done(answer)
        if item["approve"]:
            self._tasks.spawn(self._run(call), name="mcp call")
        else:
            refusal = f"it was not allowed: {item.get('reason') or 'no reason given'}"
            self._finish(call, None, McpFailed("tool_execution_error", refusal).error)

    async def _run(self, call: Call) -> None:
        where = {"item_id": call.item["id"], "output_index": call.output_index}
        self._tell("response.mcp_call.in_progress", **where)
        output, error = None, None
        try:
            arguments = json.loads(call.item["arguments"] or "{}")
            output = await call.listed.client.call(call.tool["name"], arguments)
        except McpFailed as failure:
            error = failure.error
        except ValueError:
            error = McpFailed("protocol_error", "the arguments are no JSON", -32602).error
        if error is not None:
            log.warning("mcp_call_failed", server=call.listed.server.label, kind=error["type"])
        self._finish(call, output, error)

    def _finish(self, call: Call, output: str | None, error: Json | None) -> None:
        """Tell the speaker what came of a call, then the client."""
        item_id = call.item["id"]
        call.item |= {"output": output, "error": error}
        del self._calls[item_id]
        said = output if error is None else dump_json({"error": error["message"]}).decode()
        result = {"type": "function_call_output", "call_id": call.call_id, "output": said}
        result["id"] = self._shown.result_of(item_id)
        create = {"type": "conversation.item.create", "previous_item_id": item_id, "item": result}
        if item_id in self._shown.items:
            self._send(create)
        end = "completed" if error is None else "failed"
        self._tell(f"response.mcp_call.{end}", item_id=item_id, output_index=call.output_index)
        before = self._shown.above(call.before, item_id)
        self._tell("conversation.item.done", item=dict(call.item), previous_item_id=before)

    # -- both sides ---------------------------------------------------------------------------

    def _send(self, event: Json) -> None:
        with suppress(SpeakerLost):  # its end is told by itself
            self._speaker.send(event)

    def _tell(self, kind: str, **fields: Any) -> None:
        if self._sink is not None:
            self._sink.on_event({"type": kind, "event_id": new_id("event"), **fields})

    def _show(self, item: Json) -> None:
        """Put an item that the client alone sees at the end."""
        before = self._shown.append(item)
        self._tell("conversation.item.added", item=dict(item), previous_item_id=before)

    def _tell_done(self, item: Json) -> None:
        before = self._shown.before[item["id"]]
        self._tell("conversation.item.done", item=dict(item), previous_item_id=before)
