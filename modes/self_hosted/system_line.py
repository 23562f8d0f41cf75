"""A line of the system's in a worker's conversation, which the caller's side is not shown. Pure."""

from __future__ import annotations

from typing import Any

from penny.ids import new_id


Json = dict[str, Any]


class SystemLine:
    """What one worker was told beside the conversation: one line, the newest."""

    def __init__(self) -> None:
        self._item_id = ""
        self.ids: set[str] = set()
        """Of its items, whose echo is kept from the caller's side."""

    def replace(self, text: str) -> list[Json]:
        """The events that put ``text`` in place of the last line."""
        before, self._item_id = self._item_id, new_id("item")
        self.ids.add(self._item_id)
        content = [{"type": "input_text", "text": text}]
        item = {"id": self._item_id, "type": "message", "role": "system", "content": content}
        events: list[Json] = [{"type": "conversation.item.create", "item": item}]
        if before:
            events.insert(0, {"type": "conversation.item.delete", "item_id": before})
        return events
