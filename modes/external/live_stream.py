"""A full-duplex stream as Realtime turns and responses. Pure.

OpenAI Live streams audio without end, silence included, and transcripts in fragments; it names
neither turns nor responses. A fragment of the caller's words begins a turn, a pause ends it; sound
or words of the speaker begin a response, silence ends it.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from typing import Any

import orjson

from penny.audio.format import AudioFormat
from penny.audio.level import rms_dbfs
from penny.realtime.answer import Answer
from penny.realtime.commands import Send
from penny.realtime.conversation import Conversation
from penny.realtime.items import Item
from penny.realtime.outbox import Outbox
from penny.realtime.responses import Response, ResponseOptions
from penny.realtime.settings import CoreSettings
from penny.realtime.state import SessionState


Json = dict[str, Any]

PAUSE_S = 0.8
"""Without a further word the caller's turn is over; without a sound the speaker's response is."""
SILENT_DBFS = -50.0
CONVERSATION = "conv_live"
KEPT_ITEMS = 64
DELEGATED = "search_knowledge"
"""The tool that a delegation of the speaker's becomes."""


class LiveStream:
    """One session's stream, as the Realtime events that it would have been (``drain``); usage
    counts no tokens. ``audio``: the format of both directions, ``kind`` its GA name."""

    def __init__(
        self, audio: AudioFormat, kind: str, voice: str, new_id: Callable[[str], str]
    ) -> None:
        self._audio = audio
        self._options = ResponseOptions(
            instructions="",
            tools=[],
            tool_choice="auto",
            modalities=["audio"],
            voice=voice,
            speed=1.0,
            output_format={"type": kind},
            max_output_tokens="inf",
        )
        self._outbox = Outbox(new_id)
        kept = Conversation(CONVERSATION, KEPT_ITEMS, 0)
        self._state = SessionState(CoreSettings(), new_id, self._outbox, {}, kept)
        self._turn_id = self._words = ""
        self._end_ms = 0
        self._answer: Answer | None = None
        self._spoken: Item | None = None
        """The message of the response that runs."""
        self._silent_ms = 0.0

    def drain(self) -> list[Json]:
        """The events since the last time."""
        return [each.event for each in self._outbox.drain() if isinstance(each, Send)]

    def heard(self, delta: str, start_ms: int, end_ms: int) -> None:
        """A fragment of the caller's words, and where it lies in the session's audio."""
        self._end_ms = end_ms
        if not self._turn_id:
            self._turn_id, self._words = self._state.new_id("item"), ""
            kind = "input_audio_buffer.speech_started"
            self._outbox.send(kind, item_id=self._turn_id, audio_start_ms=start_ms)
        self._words += delta
        kind = "conversation.item.input_audio_transcription.delta"
        self._outbox.send(kind, item_id=self._turn_id, content_index=0, delta=delta)

    def pause(self) -> None:
        """The caller has paused: the turn is over."""
        item_id, self._turn_id = self._turn_id, ""
        if not item_id:
            return
        send = self._outbox.send
        send("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=self._end_ms)
        send("input_audio_buffer.committed", item_id=item_id, previous_item_id=None)
        content = [{"type": "input_audio", "transcript": None}]
        body = {"type": "message", "role": "user", "content": content}
        self._state.announce_item(Item(item_id, body), None)
        send(
            "conversation.item.input_audio_transcription.completed",
            item_id=item_id,
            content_index=0,
            transcript=self._words.strip(),
            usage={"type": "duration", "seconds": 0},
        )

    def item(self, raw: Json) -> None:
        """An item that is in the conversation now."""
        body = {name: value for name, value in raw.items() if name not in ("id", "status")}
        self._state.announce_item(Item(raw["id"], body), None)

    def sounded(self, delta: str) -> None:
        """A piece of the speaker's audio, or of its silence."""
        audio = b64decode(delta)
        if rms_dbfs(self._audio.to_pcm16(audio)) > SILENT_DBFS:
            self._silent_ms = 0.0
            if self._spoken is None:
                self.spoke("")
        else:
            self._silent_ms += self._audio.ms_of(len(audio))
        if self._spoken is None or self._answer is None:
            return
        self._outbox.send(
            "response.output_audio.delta",
            response_id=self._answer.response.id,
            item_id=self._spoken.id,
            output_index=self._answer.response.output.index(self._spoken),
            content_index=0,
            delta=delta,
        )
        if self._silent_ms >= PAUSE_S * 1000:
            self.end()

    def spoke(self, delta: str) -> None:
        """A fragment of the speaker's words."""
        self._silent_ms = 0.0
        answer = self._begun()
        answer.write_words(delta)
        self._spoken = self._spoken or answer.response.output[-1]

    def delegated(self, delegation_id: str) -> None:
        """The speaker leaves a task to the house: a call of the tool that looks things up."""
        opened = self._answer is None
        query = orjson.dumps({"query": self._words.strip()}).decode()
        self._begun().finish_call(delegation_id, DELEGATED, query)
        if opened:
            self.end()

    def _begun(self) -> Answer:
        if self._answer is None:
            self.pause()  # who is answered has finished
            response = Response(self._state.new_id("resp"), self._options, CONVERSATION)
            self._answer = Answer(self._state, response)
            self._outbox.send("response.created", response=response.to_json())
        return self._answer

    def end(self) -> None:
        """The speaker is silent: its response is over."""
        answer, self._answer, self._spoken = self._answer, None, None
        if answer is not None:
            answer.response.apply("finish")
            answer.close("finish")
            self._outbox.send("response.done", response=answer.response.to_json(ended=True))
