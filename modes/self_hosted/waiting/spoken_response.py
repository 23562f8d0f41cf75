"""A response of our own making: what a speaker would send if it said this sentence. Pure data."""

from __future__ import annotations

from typing import Any

from penny.ids import new_id
from penny.realtime.usage import Usage


Json = dict[str, Any]


class SpokenResponse:
    """One sentence as a response with one item.

    Args:
        aside: out of band, as the protocol has it: said and heard, but no part of the
            conversation.
        spoken: with sound; else it is written.
    """

    def __init__(self, text: str, *, aside: bool, spoken: bool = True) -> None:
        self.text = text
        self.item_id = new_id("item")
        self._aside = aside
        self._spoken = spoken
        self._response: Json = {
            "id": new_id("resp"),
            "object": "realtime.response",
            "conversation_id": None if aside else new_id("conv"),
            "metadata": None,
            "status_details": None,
        }
        self._within: Json = {"response_id": self._response["id"], "output_index": 0}
        self._at: Json = {**self._within, "item_id": self.item_id, "content_index": 0}
        self._item: Json = {
            "id": self.item_id,
            "object": "realtime.item",
            "type": "message",
            "role": "assistant",
        }

    def begin(self) -> list[Json]:
        """Everything before the first sound, the words included."""
        response = {**self._response, "status": "in_progress", "output": []}
        item = {**self._item, "status": "in_progress", "content": []}
        events: list[Json] = [
            {"type": "response.created", "response": response},
            {"type": "response.output_item.added", **self._within, "item": item},
        ]
        if not self._aside:
            events.append({"type": "conversation.item.added", "item": item})
        events.append({"type": "response.content_part.added", **self._at, "part": self._shown("")})
        kind = "output_audio_transcript" if self._spoken else "output_text"
        events.append({"type": f"response.{kind}.delta", **self._at, "delta": self.text})
        return _stamp(events)

    def sound(self, delta: str) -> Json:
        """``delta`` is base64 of audio in the session's format."""
        return _stamp([{"type": "response.output_audio.delta", **self._at, "delta": delta}])[0]

    def end(self, *, cut: bool = False) -> list[Json]:
        """The rest; ``cut``: it was stopped in the middle, because the caller speaks."""
        part = self._part(self.text)
        item = {**self._item, "status": "incomplete" if cut else "completed", "content": [part]}
        response: Json = {
            **self._response,
            "status": "cancelled" if cut else "completed",
            "output": [item],
            "usage": Usage().to_json(),
        }
        if cut:
            response["status_details"] = {"type": "cancelled", "reason": "turn_detected"}
        if self._spoken:
            events: list[Json] = [
                {"type": "response.output_audio.done", **self._at},
                {
                    "type": "response.output_audio_transcript.done",
                    **self._at,
                    "transcript": self.text,
                },
            ]
        else:
            events = [{"type": "response.output_text.done", **self._at, "text": self.text}]
        events.append(
            {"type": "response.content_part.done", **self._at, "part": self._shown(self.text)}
        )
        if not self._aside:
            events.append({"type": "conversation.item.done", "item": item})
        events.append({"type": "response.output_item.done", **self._within, "item": item})
        events.append({"type": "response.done", "response": response})
        return _stamp(events)

    def _part(self, words: str) -> Json:
        if self._spoken:
            return {"type": "output_audio", "transcript": words}
        return {"type": "output_text", "text": words}

    def _shown(self, words: str) -> Json:
        """The part as ``response.content_part.*`` names it."""
        if self._spoken:
            return {"type": "audio", "transcript": words}
        return {"type": "text", "text": words}


def _stamp(events: list[Json]) -> list[Json]:
    return [{"event_id": new_id("event"), **event} for event in events]
