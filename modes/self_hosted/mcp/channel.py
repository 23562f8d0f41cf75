"""Both sides of a session with MCP servers: the client, and the speaker below."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from modes.self_hosted.mcp.items import Shown
from penny.errors import SpeakerLost
from penny.ids import new_id
from penny.session.mode import Speaker, SpeakerSink


Json = dict[str, Any]

PLACED: Final = (
    "conversation.item.added",
    "conversation.item.done",
    "input_audio_buffer.committed",
)
"""Events that tell which item stands before."""


class Channel:
    """Tells the client, and sends to the speaker; ``sink`` is None until the session starts."""

    def __init__(self, speaker: Speaker, shown: Shown) -> None:
        self._speaker = speaker
        self._shown = shown
        self.sink: SpeakerSink | None = None

    def send(self, event: Json) -> None:
        with suppress(SpeakerLost):  # its end is told by itself
            self._speaker.send(event)

    def pass_on(self, event: Json) -> None:
        if self.sink is not None:
            self.sink.on_event(event)

    def place(self, event: Json) -> None:
        """Tell the client, with the item that stands before as it knows it."""
        if event["type"] in PLACED:
            item_id = event["item_id"] if "item_id" in event else event["item"]["id"]
            before = self._shown.above(event.get("previous_item_id"), item_id)
            event = {**event, "previous_item_id": before}
        self.pass_on(event)

    def tell(self, kind: str, **fields: Any) -> None:
        self.pass_on({"type": kind, "event_id": new_id("event"), **fields})

    def show(self, item: Json) -> None:
        """Put an item that the client alone sees at the end."""
        before = self._shown.append(item)
        self.tell("conversation.item.added", item=dict(item), previous_item_id=before)

    def tell_done(self, item: Json) -> None:
        """An item that the client alone sees is as it will be."""
        before = self._shown.before[item["id"]]
        self.tell("conversation.item.done", item=dict(item), previous_item_id=before)

    def tell_ran(self, item: Json, before: str | None) -> None:
        """As ``tell_done``, for a call, which the speaker knows after ``before``."""
        before = self._shown.above(before, item["id"])
        self.tell("conversation.item.done", item=dict(item), previous_item_id=before)

    def send_result(self, item_id: str, call_id: str, said: str | None) -> None:
        """Let the speaker know what came of a call, unless the client deleted it."""
        result = {"type": "function_call_output", "call_id": call_id, "output": said}
        result["id"] = self._shown.result_of(item_id)
        if item_id in self._shown.items:
            create = {"type": "conversation.item.create", "previous_item_id": item_id}
            self.send({**create, "item": result})

    def own(self, item: Json) -> None:
        """An item that the client sees otherwise than the speaker."""
        self._shown.items[item["id"]] = item
