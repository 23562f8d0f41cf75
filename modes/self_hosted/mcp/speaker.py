"""MCP tools of a private session, run here: the model below knows them as functions.

What the client sends and sees is GA's: ``mcp`` tools, ``mcp_list_tools``, ``mcp_call``, approvals.
As with OpenAI a call is run when its response has ended, and what the model makes of its output is
the client's to ask for, by ``response.create``.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Final

import structlog

from modes.self_hosted.mcp.calls import Calls, log_failed
from modes.self_hosted.mcp.channel import Channel
from modes.self_hosted.mcp.client import McpFailed
from modes.self_hosted.mcp.items import Call, Shown
from modes.self_hosted.mcp.responses import Responses, unmark
from modes.self_hosted.mcp.toolbox import Listed, Offered, Toolbox, Tools
from penny.aio.tasks import TaskOwner
from penny.errors import SpeakerLost
from penny.ids import new_id
from penny.realtime.errors import ClientError, describe_error
from penny.session.mode import Speaker, SpeakerSink, TakesHints


log = structlog.get_logger()

Json = dict[str, Any]

OWN: Final = "pennymcp"
"""Prefix of the ids given to session updates that came without one; no client sees them."""


@dataclass(frozen=True, slots=True)
class Update:
    """A session.update on its way, and what the session's tools are if it is taken: None leaves
    them. ``is_ours``: the client did not send it."""

    event_id: str
    tools: Tools | None = None
    offered: Offered | None = None
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
        self._tasks = TaskOwner("mcp")
        self._updates: deque[Update] = deque()
        self._shown = Shown()
        self._channel = Channel(speaker, self._shown)
        self._responses = Responses()
        self._calls = Calls(self._channel, self._tasks)

    @property
    def is_full(self) -> bool:
        return self._speaker.is_full

    def hint(self, text: str) -> None:
        if isinstance(self._speaker, TakesHints):
            self._speaker.hint(text)

    async def drain(self) -> None:
        await self._speaker.drain()

    def start(self, sink: SpeakerSink) -> None:
        self._channel.sink = sink
        self._speaker.start(self)
        self._list_new()

    async def aclose(self) -> None:
        await self._tasks.aclose()
        await self._speaker.aclose()
        await self._toolbox.aclose()

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
            self._channel.tell("error", error=fault)
            return
        for one in events:
            self._speaker.send(one)

    def _translate(self, event: Json) -> list[Json]:
        """What the speaker is sent of a client's event. Raises ClientError."""
        kind, item_id = event["type"], event.get("item_id")
        if kind == "session.update":
            return [self._update(event)]
        if kind == "response.create" and event.get("response"):
            wishes, tools, offered = self._with_functions(event["response"], "response")
            if tools is not None:
                wishes = self._responses.mark(wishes, offered)
            return [{**event, "response": wishes}]
        if kind == "conversation.item.create":
            if event["item"]["type"] == "mcp_approval_response":
                self._calls.decide(event["item"])
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
            self._channel.tell("conversation.item.retrieved", item=dict(self._shown.items[item_id]))
            return []
        if event["type"] != "conversation.item.delete":
            return [event]
        self._shown.forget(item_id)
        if self._shown.is_alone(item_id):
            self._channel.tell("conversation.item.deleted", item_id=item_id)
            return []
        result = {"type": event["type"], "item_id": self._shown.result_of(item_id)}
        return [event, result] if not self._calls.waits(item_id) else [event]

    def _update(self, event: Json) -> Json:
        session, tools, offered = self._with_functions(event["session"], "session")
        update = Update(
            event.get("event_id") or new_id(OWN), tools, None if tools is None else offered
        )
        self._updates.append(update)
        return {**event, "event_id": update.event_id, "session": session}

    def _with_functions(self, wishes: Json, at: str) -> tuple[Json, Tools | None, Offered]:
        """Fields of a session or a response with functions for tools, and which of these are
        servers' tools. Raises ClientError."""
        wishes, tools = dict(wishes), None
        coming = (each.offered for each in reversed(self._updates) if each.offered is not None)
        offered = next(coming, self._toolbox.offered)
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
            wishes["tools"], offered = self._toolbox.offer(tools)
        if (choice := wishes.get("tool_choice")) is not None:
            wishes["tool_choice"] = self._toolbox.choice(choice, f"{at}.tool_choice", offered)
        return wishes, tools, offered

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
        self._channel.show(item)
        self._channel.tell("mcp_list_tools.in_progress", item_id=item["id"])
        try:
            listed.tools = listed.server.offered(await listed.client.list_tools())
        except McpFailed as failure:
            log_failed("mcp_not_listed", listed, failure.error)
            self._channel.tell("mcp_list_tools.failed", item_id=item["id"])
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
        self._channel.tell("mcp_list_tools.completed", item_id=item["id"])
        self._channel.tell_done(item)
        self._offer()

    def _offer(self) -> None:
        """Tell the speaker what servers have listed; with an update of the client's on its way,
        when that is answered."""
        if any(update.tools is not None for update in self._updates):
            return
        functions, offered = self._toolbox.offer(self._toolbox.tools)
        update = Update(new_id(OWN), offered=offered, is_ours=True)
        self._updates.append(update)
        session = {"type": "realtime", "tools": functions}
        event = {"type": "session.update", "event_id": update.event_id, "session": session}
        self._channel.send(event)

    # -- what the speaker says ----------------------------------------------------------------

    def on_event(self, event: Json) -> None:
        kind = event["type"]
        if kind == "session.updated":
            self._take_updated(event)
        elif kind == "error":
            self._take_error(event)
        else:
            self._take(kind, event)

    def on_closed(self, error: SpeakerLost | None) -> None:
        if self._channel.sink is not None:
            self._channel.sink.on_closed(error)

    def _take_updated(self, event: Json) -> None:
        update = self._updates.popleft() if self._updates else Update("")
        if update.tools is not None:
            self._toolbox.tools = update.tools
        if update.offered is not None:
            self._toolbox.offered = update.offered
        if not update.is_ours:
            self._channel.pass_on({**event, "session": self._toolbox.view(event["session"])})
        if update.tools is not None:
            self._list_new()
            if len(self._toolbox.offer(update.tools)[0]) > len(event["session"]["tools"]):
                self._offer()  # listed while the update was on its way

    def _take_error(self, event: Json) -> None:
        event_id = event["error"].get("event_id")
        update = next((each for each in self._updates if each.event_id == event_id), None)
        if update is not None:
            self._updates.remove(update)
            if update.is_ours:
                about = {key: event["error"].get(key) for key in ("code", "param")}
                log.warning("mcp_tools_refused", **about)
                return
            if update.event_id.startswith(OWN):
                event = {**event, "error": {**event["error"], "event_id": None}}
        self._channel.pass_on(event)

    def _take(self, kind: str, event: Json) -> None:
        """An event that may tell of a tool's call, or of an item that stands beside one of ours."""
        item = event.get("item") or {}
        item_id = item.get("id") or event.get("item_id")
        if self._shown.is_result(item_id):
            return
        if item.get("type") == "function_call" and (call := self._find_call(event, item)):
            self._calls.take(call, event)
            return
        if (called := self._calls.get(item_id)) is not None:
            event = called.renamed(event)
        elif kind == "response.created":
            self._responses.begin(event["response"], self._toolbox.offered)
            event = {**event, "response": unmark(event["response"])}
        elif kind == "response.done":
            response = unmark(event["response"])
            self._responses.end(response)
            output = [self._shown.items.get(each["id"], each) for each in response["output"]]
            self._channel.place({**event, "response": {**response, "output": output}})
            self._calls.end(response)
            return
        self._channel.place(event)

    def _find_call(self, event: Json, item: Json) -> Call | None:
        """The call of a tool that a function's call is; None is the client's to run, or told of
        by the client itself."""
        known = self._calls.get(item["id"])
        found = self._responses.find(event.get("response_id"), item["name"])
        return known or (None if found is None else self._calls.open(found, event, item))
