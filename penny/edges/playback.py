"""Answers as a line plays them: queued as they come, held, and cut when the caller speaks.

Shared by the edges on which the server owns the playback (WebRTC, telephone). Pure: the time is an
argument.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import structlog

from penny.audio.format import AudioFormat
from penny.edges.player import Cut, Player


log = structlog.get_logger()

Json = dict[str, Any]

LIMIT_MS = 600_000
"""Most of an answer that waits to be heard: ten minutes, as on ``/ws``."""


class Playback:
    """The Realtime server events of one call, as far as they are about its sound.

    Args:
        output: the format of the frames.
        lead_ms: how far ahead of being heard a frame leaves.
    """

    def __init__(self, output: AudioFormat, *, lead_ms: int) -> None:
        self.player = Player(output, lead_ms=lead_ms, limit_ms=LIMIT_MS)
        self.may_interrupt = True
        """Whether the caller's speech stops an answer."""
        self._active: set[str] = set()
        self._cut: set[str] = set()

    @property
    def unfinished(self) -> set[str]:
        """Responses of which more may come and of which nothing was cut."""
        return self._active - self._cut

    def is_active(self, response_id: str) -> bool:
        """Whether more of this response may come."""
        return response_id in self._active

    def take(self, event: Json, now_s: float) -> list[Cut] | None:
        """Take an event; what it cut of the answers where it interrupted them, else None."""
        match event["type"]:
            case "response.output_audio.delta":
                self._queue(event)
            case "response.created":
                self._active.add(event["response"]["id"])
            case "response.output_audio_transcript.delta":
                self.player.queue_text(
                    event["item_id"], event["response_id"], event["content_index"], event["delta"]
                )
            case "response.output_audio.done":
                self.player.finish(event["item_id"])
            case "response.done":
                self._end_response(event["response"])
            case "penny.playback.held":
                self.player.hold(now_s)
            case "penny.playback.resumed":
                self.player.resume()
            case "input_audio_buffer.speech_started" if self.may_interrupt:
                return self.interrupt(now_s)
        return None

    def interrupt(self, now_s: float) -> list[Cut]:
        """Drop what was not heard, and what is still to come of the answers under way."""
        self._cut |= self._active
        return self.player.interrupt(now_s)

    def _queue(self, event: Json) -> None:
        if event["response_id"] in self._cut:
            return
        audio = b64decode(event["delta"])
        item_id, response_id = event["item_id"], event["response_id"]
        if not self.player.queue_audio(item_id, response_id, event["content_index"], audio):
            log.warning("answer_too_long", limit_ms=LIMIT_MS)
            self._cut.add(response_id)
            self.player.finish(item_id)

    def _end_response(self, response: Json) -> None:
        response_id = response["id"]
        self._active.discard(response_id)
        self._cut.discard(response_id)
        for item in response.get("output") or ():
            self.player.finish(item["id"])
            self.player.forget(item["id"])
