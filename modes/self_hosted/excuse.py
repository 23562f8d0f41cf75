"""The excuse in the worker's own voice, kept for the moment when there is no worker to say it.

The first session in a language and voice has its worker say the sentence once, outside the
conversation; the audio is kept here. The gateway holds no engine and needs none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from penny.ids import new_id


Json = dict[str, Any]

MARK = "penny_excuse"
MAX_KEPT = 32
"""Recordings kept, of about 200 kB each; past that new voices excuse themselves afterwards."""
MAX_DELTAS = 1_000
Key = tuple[str, str]
"""Language and voice."""


@dataclass(slots=True)
class Excuse:
    """A spoken sentence. ``deltas`` are base64 of PCM16 at 24 kHz, as they came."""

    text: str
    deltas: list[str] = field(default_factory=list)

    def request(self) -> Json:
        """What makes a worker say it, unheard by the caller."""
        return {
            "type": "response.create",
            "response": {
                "conversation": "none",
                "instructions": f"Di exactamente: «{self.text}»",
                "metadata": {"penny_say": self.text, MARK: "1"},
            },
        }

    def events(self) -> list[Json]:
        """The sentence as an answer of the speaker's, whole, in the order of the protocol."""
        response_id, item_id = new_id("resp"), new_id("item")
        at = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0}
        part = {"type": "output_audio", "transcript": self.text}
        item = {"id": item_id, "object": "realtime.item", "type": "message", "role": "assistant"}
        begun = {**item, "status": "in_progress", "content": []}
        ended = {**item, "status": "completed", "content": [part]}
        response = {"id": response_id, "object": "realtime.response"}
        in_response = {"response_id": response_id, "output_index": 0}
        empty = {"type": "output_audio", "transcript": ""}
        events: list[Json] = [
            {
                "type": "response.created",
                "response": {**response, "status": "in_progress", "output": []},
            },
            {"type": "response.output_item.added", **in_response, "item": begun},
            {"type": "conversation.item.added", "item": begun},
            {"type": "response.content_part.added", **at, "part": empty},
            {"type": "response.output_audio_transcript.delta", **at, "delta": self.text},
            *({"type": "response.output_audio.delta", **at, "delta": d} for d in self.deltas),
            {"type": "response.output_audio.done", **at},
            {"type": "response.output_audio_transcript.done", **at, "transcript": self.text},
            {"type": "response.content_part.done", **at, "part": part},
            {"type": "conversation.item.done", "item": ended},
            {"type": "response.output_item.done", **in_response, "item": ended},
            {
                "type": "response.done",
                "response": {**response, "status": "completed", "output": [ended]},
            },
        ]
        return [{"event_id": new_id("event"), **event} for event in events]


class ExcuseRecorder:
    """Takes the recording out of one session's events."""

    def __init__(self, kept: dict[Key, Excuse], key: Key, text: str) -> None:
        self._kept = kept
        self._key = key
        self._excuse = Excuse(text)
        self._response_id = ""
        self._limits_due = False

    @property
    def recorded(self) -> Excuse | None:
        return self._kept.get(self._key)

    def request(self) -> Json | None:
        """What to send to have it recorded; None when it is, or there is no room."""
        if self.recorded is not None or len(self._kept) >= MAX_KEPT:
            return None
        return self._excuse.request()

    def spoken_afterwards(self) -> Json:
        """What makes the next worker say it, where nothing was recorded in time."""
        request = self._excuse.request()
        response = request["response"]
        del response["conversation"], response["metadata"][MARK]
        return request

    def takes(self, event: Json) -> bool:
        """Whether ``event`` is the recording's own, which the caller must not see."""
        kind = event["type"]
        if not self._response_id and kind != "response.created":
            return False
        response: Json = event.get("response") or {}
        if kind == "response.created" and MARK in (response.get("metadata") or {}):
            self._response_id = response["id"]
            return True
        if kind == "rate_limits.updated" and self._limits_due:
            self._limits_due = False  # it follows every response
            return True
        if kind == "response.done" and response.get("id") == self._response_id:
            self._limits_due = True
            if response.get("status") == "completed" and self._excuse.deltas:
                self._kept.setdefault(self._key, self._excuse)
            return True
        if event.get("response_id") != self._response_id:
            return False
        if kind == "response.output_audio.delta" and len(self._excuse.deltas) < MAX_DELTAS:
            self._excuse.deltas.append(event["delta"])
        return True
