"""A full-duplex stream as Realtime turns and responses. Pure.

OpenAI Live streams audio without end, silence included, and transcripts in fragments; it names
neither turns nor responses. A fragment of the caller's words begins a turn, a pause ends it; sound
or words of the speaker begin a response, silence ends it.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from penny.audio.format import AudioFormat
from penny.audio.level import rms_dbfs


Json = dict[str, Any]

PAUSE_S = 0.8
"""Without a further word the caller's turn is over; without a sound the speaker's response is."""
SILENT_DBFS = -50.0
NO_TOKENS: Json = {
    "total_tokens": 0,
    "input_tokens": 0,
    "output_tokens": 0,
    "input_token_details": {
        "text_tokens": 0,
        "audio_tokens": 0,
        "image_tokens": 0,
        "cached_tokens": 0,
        "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 0, "audio_tokens": 0},
}
"""It is billed by the second."""
DELEGATED = "search_knowledge"
"""The tool that a delegation of the speaker's becomes."""


class LiveStream:
    """One session's stream, as the Realtime events that it would have been.

    Args:
        audio: the format of both directions.
        new_id: makes ids with a prefix.
    """

    def __init__(self, audio: AudioFormat, new_id: Callable[[str], str]) -> None:
        self._audio = audio
        self._new_id = new_id
        self._turn_id = self._words = ""
        self._end_ms = 0
        self._response_id = self._item_id = self._text = ""
        self._output: list[Json] = []
        self._silent_ms = 0.0

    # -- the caller ---------------------------------------------------------------------------

    def heard(self, delta: str, start_ms: int, end_ms: int) -> Iterator[Json]:
        """A fragment of the caller's words, and where it lies in the session's audio."""
        self._end_ms = end_ms
        if not self._turn_id:
            self._turn_id, self._words = self._new_id("item"), ""
            kind = "input_audio_buffer.speech_started"
            yield self._event(kind, item_id=self._turn_id, audio_start_ms=start_ms)
        self._words += delta
        kind = "conversation.item.input_audio_transcription.delta"
        yield self._event(kind, item_id=self._turn_id, content_index=0, delta=delta)

    def pause(self) -> Iterator[Json]:
        """The caller has paused: the turn is over."""
        item_id, self._turn_id = self._turn_id, ""
        if not item_id:
            return
        kind = "input_audio_buffer.speech_stopped"
        yield self._event(kind, item_id=item_id, audio_end_ms=self._end_ms)
        yield self._event("input_audio_buffer.committed", item_id=item_id, previous_item_id=None)
        content = [{"type": "input_audio", "transcript": None}]
        yield from self.item(_message(item_id, "user", "completed", content))
        yield self._event(
            "conversation.item.input_audio_transcription.completed",
            item_id=item_id,
            content_index=0,
            transcript=self._words.strip(),
            usage={"type": "duration", "seconds": 0},
        )

    def item(self, raw: Json) -> Iterator[Json]:
        """An item that is in the conversation now."""
        item = {"object": "realtime.item", "status": "completed", **raw}
        for kind in ("conversation.item.added", "conversation.item.done"):
            yield self._event(kind, item=item, previous_item_id=None)

    # -- the speaker --------------------------------------------------------------------------

    def sounded(self, delta: str) -> Iterator[Json]:
        """A piece of the speaker's audio, or of its silence."""
        audio = b64decode(delta)
        if rms_dbfs(self._audio.to_pcm16(audio)) > SILENT_DBFS:
            self._silent_ms = 0.0
            yield from self._open()
        else:
            self._silent_ms += self._audio.ms_of(len(audio))
        if not self._item_id:
            return
        yield self._event("response.output_audio.delta", **self._place(), delta=delta)
        if self._silent_ms >= PAUSE_S * 1000:
            yield from self.end()

    def spoke(self, delta: str) -> Iterator[Json]:
        """A fragment of the speaker's words."""
        self._silent_ms = 0.0
        yield from self._open()
        self._text += delta
        yield self._event("response.output_audio_transcript.delta", **self._place(), delta=delta)

    def delegated(self, delegation_id: str) -> Iterator[Json]:
        """The speaker leaves a task to the house: a call of the tool that looks things up."""
        opened = not self._response_id
        yield from self._begin()
        item = {
            "id": self._new_id("item"),
            "object": "realtime.item",
            "type": "function_call",
            "status": "completed",
            "name": DELEGATED,
            "call_id": delegation_id,
            "arguments": orjson.dumps({"query": self._words.strip()}).decode(),
        }
        where = {"response_id": self._response_id, "output_index": len(self._output) + 1}
        yield self._event("response.output_item.added", **where, item=item)
        yield from self.item(item)
        yield self._event("response.output_item.done", **where, item=item)
        self._output.append(item)
        if opened:
            yield from self.end()

    def _begin(self) -> Iterator[Json]:
        if self._response_id:
            return
        yield from self.pause()  # who is answered has finished
        self._response_id, self._output = self._new_id("resp"), []
        yield self._event("response.created", response=self._response("in_progress"))

    def _open(self) -> Iterator[Json]:
        if self._item_id:
            return
        yield from self._begin()
        self._item_id, self._text = self._new_id("item"), ""
        item = _message(self._item_id, "assistant", "in_progress", [])
        yield self._event(
            "response.output_item.added", response_id=self._response_id, output_index=0, item=item
        )
        yield self._event("conversation.item.added", item=item, previous_item_id=None)
        part = {"type": "audio", "transcript": ""}
        yield self._event("response.content_part.added", **self._place(), part=part)

    def end(self) -> Iterator[Json]:
        """The speaker is silent: its response is over."""
        if not self._response_id:
            return
        if self._item_id:
            text, place = self._text, self._place()
            yield self._event("response.output_audio.done", **place)
            yield self._event("response.output_audio_transcript.done", **place, transcript=text)
            part = {"type": "audio", "transcript": text}
            yield self._event("response.content_part.done", **place, part=part)
            content = [{"type": "output_audio", "transcript": text}]
            item = _message(self._item_id, "assistant", "completed", content)
            yield self._event("conversation.item.done", item=item, previous_item_id=None)
            where = {"response_id": self._response_id, "output_index": 0}
            yield self._event("response.output_item.done", **where, item=item)
            self._output.insert(0, item)
        yield self._event("response.done", response=self._response("completed"))
        self._response_id = self._item_id = ""

    # -- shapes -------------------------------------------------------------------------------

    def _event(self, kind: str, **fields: Any) -> Json:
        return {"type": kind, "event_id": self._new_id("event"), **fields}

    def _place(self) -> Json:
        where = {"response_id": self._response_id, "item_id": self._item_id}
        return {**where, "output_index": 0, "content_index": 0}

    def _response(self, status: str) -> Json:
        return {
            "id": self._response_id,
            "object": "realtime.response",
            "conversation_id": "conv_live",
            "status": status,
            "status_details": None,
            "metadata": None,
            "output": self._output,
            "usage": NO_TOKENS if status == "completed" else None,
        }


def _message(item_id: str, role: str, status: str, content: list[Json]) -> Json:
    item = {"id": item_id, "object": "realtime.item", "type": "message"}
    return {**item, "role": role, "status": status, "content": content}
