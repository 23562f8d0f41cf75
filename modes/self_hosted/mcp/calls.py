"""Runs the calls of servers' tools that a session's responses ask for, each once at most."""

from __future__ import annotations

import json
from typing import Any

import structlog

from modes.self_hosted.mcp.channel import Channel
from modes.self_hosted.mcp.client import McpFailed
from modes.self_hosted.mcp.items import Call
from modes.self_hosted.mcp.toolbox import Listed
from penny.aio.tasks import TaskOwner
from penny.ids import new_id
from penny.realtime.errors import ClientError
from penny.writable import dump_json


log = structlog.get_logger()

Json = dict[str, Any]


class Calls:
    """The calls of a session that have no result yet."""

    def __init__(self, channel: Channel, tasks: TaskOwner) -> None:
        self._channel = channel
        self._tasks = tasks
        self._calls: dict[str, Call] = {}
        self._approvals: dict[str, Call] = {}

    def get(self, item_id: object) -> Call | None:
        return self._calls.get(str(item_id))

    def waits(self, item_id: str) -> bool:
        """Whether the speaker does not know yet what came of it."""
        return item_id in self._calls

    def open(self, found: tuple[Listed, Json], event: Json, item: Json) -> Call:
        """A response begins to call a tool."""
        listed, tool = found
        shown = {"id": item["id"], "type": "mcp_call", "server_label": listed.server.label}
        shown |= {"name": tool["name"], "arguments": "", "output": None, "error": None}
        at = event.get("output_index") or 0
        call = Call(listed, tool, item["call_id"], event["response_id"], at, shown)
        self._calls[item["id"]] = call
        self._channel.own(shown)
        return call

    def take(self, call: Call, event: Json) -> None:
        """One of the events that tell of a call as an item."""
        item = event["item"]
        call.item["arguments"] = item["arguments"]
        if event["type"] == "conversation.item.done" and item["status"] == "completed":
            call.before = event["previous_item_id"]
            call.is_said = True  # it is done when it has run
        else:
            self._channel.place({**event, "item": dict(call.item)})

    def end(self, response: Json) -> None:
        """A response has ended: its calls, and no others, are run if it ended as it should.

        One that was cut is answered anew, and would have them run twice.
        """
        for call in list(self._calls.values()):
            if call.response_id != response["id"] or not call.is_said:
                continue
            if response["status"] == "completed":
                self._begin(call)
            else:
                self._tasks.spawn(self._leave(call), name="mcp call left")

    def _begin(self, call: Call) -> None:
        """Run it, or ask first."""
        if not call.listed.server.asks_first(call.tool):
            self._tasks.spawn(self._run(call), name="mcp call")
            return
        asked: Json = {"id": new_id("mcpr"), "type": "mcp_approval_request"}
        asked |= {key: call.item[key] for key in ("server_label", "name", "arguments")}
        call.item["approval_request_id"] = asked["id"]
        self._approvals[asked["id"]] = call
        self._channel.show(asked)
        self._channel.tell_done(asked)

    def decide(self, item: Json) -> None:
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
        self._channel.show(answer)
        self._channel.tell_done(answer)
        if item["approve"]:
            self._tasks.spawn(self._run(call), name="mcp call")
            return
        refusal = f"it was not allowed: {item.get('reason') or 'no reason given'}"
        self._note(call, "refused", "not allowed")
        self._finish(call, None, McpFailed("tool_execution_error", refusal).error)

    async def _run(self, call: Call) -> None:
        where = {"item_id": call.item["id"], "output_index": call.output_index}
        self._channel.tell("response.mcp_call.in_progress", **where)
        self._note(call, "started")
        output, error = None, None
        try:
            arguments = json.loads(call.item["arguments"] or "{}")
            output = await call.listed.client.call(call.tool["name"], arguments)
        except McpFailed as failure:
            error = failure.error
        except (ValueError, RecursionError):
            error = McpFailed("protocol_error", "the arguments are no JSON", -32602).error
        if error is None:
            self._note(call, "completed")
        else:
            log_failed("mcp_call_failed", call.listed, error)
            self._note(call, "failed", error["type"])
        self._finish(call, output, error)

    async def _leave(self, call: Call) -> None:
        self._note(call, "refused", "its response was cut or failed")
        failed = McpFailed("tool_execution_error", "not run: its response was cut or failed")
        self._finish(call, None, failed.error)

    def _finish(self, call: Call, output: str | None, error: Json | None) -> None:
        """Tell the speaker what came of a call, then the client."""
        item_id = call.item["id"]
        call.item |= {"output": output, "error": error}
        del self._calls[item_id]
        said = output if error is None else dump_json({"error": error["message"]}).decode()
        self._channel.send_result(item_id, call.call_id, said)
        end = "completed" if error is None else "failed"
        where = {"item_id": item_id, "output_index": call.output_index}
        self._channel.tell(f"response.mcp_call.{end}", **where)
        self._channel.tell_ran(call.item, call.before)

    def _note(self, call: Call, status: str, message: str | None = None) -> None:
        """For who keeps or watches the call, as of the house's own actions; without the result,
        which is the server's."""
        try:
            arguments = json.loads(call.item["arguments"] or "{}")
        except (ValueError, RecursionError):
            arguments = None
        about = {"call_id": call.call_id, "name": call.item["name"], "status": status}
        about |= {"arguments": arguments if isinstance(arguments, dict) else {}}
        self._channel.tell("penny.tool_call", **about, result=None, message=message)


def log_failed(event: str, listed: Listed, error: Json) -> None:
    """Log without the server's own sentence, which may hold what the caller sent it."""
    about = {"kind": error["type"], "code": error.get("code")}
    log.warning(event, server=listed.server.label, **about)
