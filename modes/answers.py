"""An answer that will never end by itself: the events that close it for a client. Pure.

A client waits for the end of each part of a response; one whose server is gone gets them all, with
the items incomplete and a usage of what was sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from penny.realtime.usage import Usage, count_output_audio


Json = dict[str, Any]
Told = tuple[str, Json]
"""An event's type and fields, without an id."""


@dataclass(slots=True)
class OpenItem:
    """An item of a running response that is not done. ``parts``: content index -> ``audio`` or
    ``text``."""

    output_index: int
    raw: Json
    parts: dict[int, str] = field(default_factory=dict)
    text: str = ""


def close_item(
    response_id: str, item: OpenItem, previous_id: str | None
) -> tuple[Json, list[Told]]:
    """The item as it ends, and its last events."""
    within: Json = {"response_id": response_id, "output_index": item.output_index}
    told: list[Told] = []
    content = []
    for index, kind in item.parts.items():
        at = {**within, "item_id": item.raw["id"], "content_index": index}
        word = "transcript" if kind == "audio" else "text"
        done = "output_audio_transcript" if kind == "audio" else "output_text"
        if kind == "audio":
            told.append(("response.output_audio.done", at))
        told.append((f"response.{done}.done", {**at, word: item.text}))
        part = {"type": kind, word: item.text}
        told.append(("response.content_part.done", {**at, "part": part}))
        content.append({**part, "type": f"output_{kind}"})
    raw = {**item.raw, "status": "incomplete"}
    if raw["type"] == "message":
        raw["content"] = content
    told.append(("conversation.item.done", {"item": raw, "previous_item_id": previous_id}))
    told.append(("response.output_item.done", {**within, "item": raw}))
    return raw, told


class OpenAnswer:
    """A response that runs, as far as its events tell. ``cause``: what asked for it, if it is owed
    to be given again."""

    def __init__(self, response: Json, cause: Json | None) -> None:
        self.cause = cause
        self._response = response
        self._items: dict[str, OpenItem] = {}
        self._done: list[Json] = []
        self.audio_ms = 0.0

    def take(self, event: Json) -> None:
        """One event of this response, but its audio."""
        kind, item = event["type"], self._items.get(event.get("item_id", ""))
        if kind == "response.output_item.added":
            self._items[event["item"]["id"]] = OpenItem(event["output_index"], event["item"])
        elif kind == "response.output_item.done":
            self._items.pop(event["item"]["id"], None)
            self._done.append(event["item"])
        elif item is None:
            return
        elif kind == "response.content_part.added":
            item.parts[event["content_index"]] = event["part"]["type"]
        elif kind in ("response.output_audio_transcript.delta", "response.output_text.delta"):
            item.text += event["delta"]

    def close(self, error: Json) -> list[Told]:
        """The events that end it as failed."""
        output, told = list(self._done), list[Told]()
        for item in self._items.values():
            raw, last = close_item(self._response["id"], item, None)
            output.append(raw)
            told += last
        usage = Usage(output_audio=count_output_audio(round(self.audio_ms)))
        response = {
            **self._response,
            "status": "failed",
            "status_details": {"type": "failed", "error": error},
            "output": output,
            "usage": usage.to_json(),
        }
        if response.get("conversation_id") is None:
            told = [each for each in told if not each[0].startswith("conversation.")]
        return [*told, ("response.done", {"response": response})]
