"""The caller's audio: the input buffer, detected speech, commits and transcripts."""

from __future__ import annotations

from penny.realtime.commands import (
    BufferAudio,
    ClearBuffer,
    CommitBuffer,
    IdleTimeout,
    Json,
    SpeechStarted,
    SpeechStopped,
    TranscriptDelta,
    TranscriptDone,
    TranscriptFailed,
)
from penny.realtime.errors import ClientError
from penny.realtime.formats import InputDecoder
from penny.realtime.generation import Generation
from penny.realtime.items import Item
from penny.realtime.parse import decode_audio
from penny.realtime.state import SessionState
from penny.realtime.usage import describe_transcription


class Listening:
    """Turns audio and the engine's reports on it into user items."""

    def __init__(self, state: SessionState, generation: Generation) -> None:
        self._state = state
        self._generation = generation
        self._format: Json = state.session["audio"]["input"]["format"]
        self._decoder = InputDecoder(self._format)

    # --- client events ---------------------------------------------------------------------

    def append(self, message: Json) -> None:
        """Pass audio on to the engine, in the core's format.

        Raises:
            ClientError: not base64, too much at once, or the buffer is full (manual turns only).
        """
        state, settings = self._state, self._state.settings
        if "audio" not in message:
            raise ClientError(
                "missing_required_parameter", "Missing required parameter: 'audio'.", "audio"
            )
        data = decode_audio(message["audio"], "audio", settings.max_append_bytes)
        is_manual = state.turn_detection is None
        if is_manual and state.buffer.uncommitted_ms > settings.max_buffer_ms:
            raise ClientError(
                "input_audio_buffer_full",
                f"The input audio buffer holds {settings.max_buffer_ms} ms; "
                "commit or clear it before appending more.",
                "audio",
            )
        pcm = self._decoder.feed(data)
        if pcm:
            # A manual buffer is refused above when full, never thinned.
            state.buffer.append(len(pcm), None if is_manual else settings.max_buffer_ms)
            state.audio.hear(pcm)
            state.outbox.command(BufferAudio(pcm))

    def clear(self) -> None:
        self._decoder.reset()
        self._state.buffer.clear()
        self._state.buffer.apply("clear")
        self._state.outbox.send("input_audio_buffer.cleared")
        self._state.outbox.command(ClearBuffer())

    def commit(self) -> None:
        """Make the buffer a user's item.

        Raises:
            ClientError: less than ``min_commit_ms`` is in the buffer. The silence after a turn
                that was detected and committed is nothing: a client commits as it lets go of the
                microphone, and an item without words would look like the turn's own.
        """
        buffer, least = self._state.buffer, self._state.settings.min_commit_ms
        held = 0.0 if buffer.is_quiet else buffer.uncommitted_ms
        if held < least:
            raise ClientError(
                "input_audio_buffer_commit_empty",
                f"Error committing input audio buffer: buffer too small. Expected at least "
                f"{least}ms of audio, but buffer only has {held:.2f}ms of audio.",
            )
        item_id = buffer.item_id or self._state.new_id("item")
        buffer.apply("commit")
        self._commit(item_id, *buffer.take())

    def reconfigure(self) -> None:
        """Follow a changed session: another format, or no turn detection any more."""
        wanted = self._state.session["audio"]["input"]["format"]
        if wanted != self._format:
            self._format = wanted
            self._decoder = InputDecoder(wanted)
        if self._state.turn_detection is None:
            self._state.buffer.apply("vad_disabled")
            self._state.buffer.item_id = None
            self._state.buffer.is_quiet = False

    # --- reports ---------------------------------------------------------------------------

    def take_speech_started(self, report: SpeechStarted) -> None:
        state = self._state
        detection = state.turn_detection
        if detection is None or not state.buffer.apply("speech_started"):
            return
        item_id = state.new_id("item")
        state.buffer.start_speech(report.audio_start_ms, item_id)
        state.outbox.send(
            "input_audio_buffer.speech_started",
            audio_start_ms=state.buffer.speech_start_ms,
            item_id=item_id,
        )
        if detection["interrupt_response"]:
            self._generation.interrupt()

    def take_speech_stopped(self, report: SpeechStopped) -> None:
        state = self._state
        detection = state.turn_detection
        item_id = state.buffer.item_id
        if detection is None or item_id is None or not state.buffer.apply("speech_stopped"):
            return
        start_ms, end_ms = state.buffer.take(report.audio_end_ms)
        state.outbox.send("input_audio_buffer.speech_stopped", audio_end_ms=end_ms, item_id=item_id)
        self._commit(item_id, start_ms, end_ms)
        if detection["create_response"] and report.wants_answer:
            self._generation.create_automatic()

    def take_idle_timeout(self, report: IdleTimeout) -> None:
        state = self._state
        detection = state.turn_detection or {}
        if detection.get("idle_timeout_ms") is None or self._generation.active_id is not None:
            return
        if not state.buffer.apply("idle_timeout"):
            return
        item_id = state.new_id("item")
        start_ms, end_ms = report.audio_start_ms, report.audio_end_ms
        state.buffer.take(end_ms)
        state.outbox.send(
            "input_audio_buffer.timeout_triggered",
            item_id=item_id,
            audio_start_ms=start_ms,
            audio_end_ms=end_ms,
        )
        self._commit(item_id, start_ms, end_ms)
        self._generation.create_automatic()

    def _commit(self, item_id: str, start_ms: int, end_ms: int) -> None:
        state = self._state
        part: Json = {"type": "input_audio", "transcript": None}
        item = Item(
            item_id,
            {"type": "message", "role": "user", "content": [part]},
            audio_ms=end_ms - start_ms,
            pending=True,
            transcribe=state.transcribes,
        )
        state.audio.commit(item_id, start_ms, end_ms)
        previous = state.conversation.append(item)
        state.outbox.send(
            "input_audio_buffer.committed", previous_item_id=previous, item_id=item_id
        )
        state.announce_item(item, previous)
        state.outbox.command(CommitBuffer(item_id, start_ms, end_ms, item.transcribe))

    def take_transcript_delta(self, report: TranscriptDelta) -> None:
        item = self._state.conversation.find(report.item_id)
        # Words may come while the caller still speaks, before the item exists.
        is_speaking = report.item_id == self._state.buffer.item_id and self._state.transcribes
        if is_speaking or (item is not None and item.pending and item.transcribe):
            self._state.outbox.send(
                "conversation.item.input_audio_transcription.delta",
                item_id=report.item_id,
                content_index=0,
                delta=report.delta,
            )

    def take_transcript(self, report: TranscriptDone) -> None:
        item = self._state.conversation.find(report.item_id)
        if item is None or not item.pending or not item.apply("transcript"):
            return
        item.pending = False
        item.set_transcript(report.text)
        if report.text and report.language:
            self._state.language = report.language
        if item.transcribe:
            self._state.outbox.send(
                "conversation.item.input_audio_transcription.completed",
                item_id=item.id,
                content_index=item.find_audio_part(),
                transcript=report.text,
                usage=describe_transcription(report.audio_ms, report.text_tokens),
            )

    def take_transcript_failure(self, report: TranscriptFailed) -> None:
        item = self._state.conversation.find(report.item_id)
        if item is None or not item.pending or not item.apply("transcript"):
            return
        item.pending = False
        item.set_transcript("")
        if item.transcribe:
            self._state.outbox.send(
                "conversation.item.input_audio_transcription.failed",
                item_id=item.id,
                content_index=item.find_audio_part(),
                error={
                    "type": "transcription_error",
                    "code": report.code,
                    "message": report.message,
                    "param": None,
                },
            )
