"""The Realtime GA server core: client messages and engine reports in, outputs out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penny.realtime import commands as c
from penny.realtime.commands import EngineReport, GenerationRequest, Json, Output
from penny.realtime.conversation import Conversation
from penny.realtime.dialogue import Dialogue
from penny.realtime.errors import ClientError, describe_error
from penny.realtime.fields import check_id, need
from penny.realtime.generation import Generation
from penny.realtime.kept_audio import KeptAudio
from penny.realtime.listening import Listening
from penny.realtime.outbox import Outbox
from penny.realtime.parse import load_message, read_event_id, read_type
from penny.realtime.session_config import (
    TRANSCRIPTION,
    describe_session,
    describe_transcription,
    update_session,
)
from penny.realtime.settings import CoreSettings
from penny.realtime.state import SessionState
from penny.realtime.table import SESSION


GOING_AWAY = 1001
"""WebSocket close code of an expired session, as OpenAI's."""


class RealtimeCore:
    """One session of a Realtime GA server, without a socket, a clock or a loop.

    Every call answers with the outputs to carry out, in order. No client message raises: what is
    wrong with it is told by an ``error`` event and nothing changes. A report on something that
    has ended meanwhile is dropped.

    Args:
        settings: defaults and limits.
        new_id: makes a unique id from a prefix, ``new_id("item") -> "item_…"``.
    """

    def __init__(self, settings: CoreSettings, new_id: Callable[[str], str]) -> None:
        self._settings = settings
        self._phase = "new"
        self._is_untouched = True
        self._expires_at_s = 0.0
        outbox = Outbox(new_id)
        self._outbox = outbox
        session = describe_session(settings, new_id("sess"), 0)
        conversation = Conversation(
            new_id("conv"), settings.max_items, settings.max_conversation_chars
        )
        audio = KeptAudio(settings.kept_audio_ms)
        self._state = SessionState(settings, new_id, outbox, session, conversation, audio)
        self._generation = Generation(self._state)
        self._dialogue = Dialogue(self._state)
        self._listening = Listening(self._state, self._generation)
        self._client_events: dict[str, Callable[[Json], None]] = {
            "session.update": self._update_session,
            "input_audio_buffer.append": self._listening.append,
            "input_audio_buffer.commit": lambda _: self._listening.commit(),
            "input_audio_buffer.clear": lambda _: self._listening.clear(),
            "conversation.item.create": self._dialogue.create,
            "conversation.item.retrieve": self._dialogue.retrieve,
            "conversation.item.truncate": self._dialogue.truncate,
            "conversation.item.delete": self._dialogue.delete,
            "response.create": self._respond,
            "response.cancel": self._cancel,
            "output_audio_buffer.clear": self._refuse_output_clear,
        }
        self._reports: dict[type[Any], Callable[[Any], None]] = {
            c.SpeechStarted: self._listening.take_speech_started,
            c.SpeechStopped: self._listening.take_speech_stopped,
            c.IdleTimeout: self._listening.take_idle_timeout,
            c.TranscriptDelta: self._listening.take_transcript_delta,
            c.TranscriptDone: self._listening.take_transcript,
            c.TranscriptFailed: self._listening.take_transcript_failure,
            c.TextDelta: self._generation.take_content,
            c.PhraseDelta: self._generation.take_content,
            c.AudioDelta: self._generation.take_content,
            c.ToolCallDelta: self._generation.take_content,
            c.ToolCallDone: self._generation.take_content,
            c.GenerationUsage: self._generation.take_usage,
            c.GenerationDone: self._generation.take_done,
            c.GenerationFailed: self._generation.take_failure,
        }

    @property
    def session(self) -> Json:
        """The effective GA session object; not to be changed."""
        return self._state.session

    @property
    def active_response_id(self) -> str | None:
        """The response that writes to the default conversation now."""
        return self._generation.active_id

    def open(self, now_s: float) -> list[Output]:
        """Begin the session; ``now_s`` is Unix time in seconds."""
        if not self._advance("open"):
            return []
        self._expires_at_s = now_s + self._settings.session_max_s
        self._state.session["expires_at"] = int(self._expires_at_s)
        self._outbox.send("session.created", session=self._state.session)
        self._outbox.command(c.Configure(self._state.session))
        return self._outbox.drain()

    def receive(self, message: str | bytes | Json) -> list[Output]:
        """Carry out one client message."""
        if not self._advance("receive"):
            return []
        event_id: str | None = None
        try:
            parsed = load_message(message, self._settings)
            event_id = read_event_id(parsed)
            self._client_events[read_type(parsed)](parsed)
            self._is_untouched = False
        except ClientError as error:
            detail = describe_error(
                error.code, error.message, error.param, event_id, "invalid_request_error"
            )
            self._outbox.send("error", error=detail)
        return self._outbox.drain()

    def report(self, report: EngineReport) -> list[Output]:
        """Take one report of the engine behind."""
        if self._advance("report"):
            self._reports[type(report)](report)
        return self._outbox.drain()

    def request(self, response_id: str) -> GenerationRequest | None:
        """Return what to answer to, as the context is now; None when the response has ended."""
        return self._generation.request(response_id)

    def preview(self, transcript: str) -> GenerationRequest | None:
        """Return what the turn in progress would be answered from if it ended with these words.

        None when it would not be answered at once. Nothing changes: an engine may work ahead.
        """
        detection = self._state.turn_detection
        if self._phase != "open" or not detection or not detection["create_response"]:
            return None
        return self._generation.preview(transcript)

    def tick(self, now_s: float) -> list[Output]:
        """Let time pass: past ``expires_at`` the session ends with an error and close 1001."""
        if self._phase != "open" or now_s < self._expires_at_s:
            return []
        self._generation.expire()
        self._advance("expire")
        minutes = self._settings.session_max_s / 60
        message = f"Your session hit the maximum duration of {minutes:g} minutes."
        detail = describe_error("session_expired", message, None, None, "invalid_request_error")
        self._outbox.send("error", error=detail)
        self._outbox.command(c.Hangup(GOING_AWAY, "session_expired"))
        return self._outbox.drain()

    def _advance(self, event: str) -> bool:
        following = SESSION.advance(self._phase, event)
        if following is not None:
            self._phase = following
        return following is not None

    def _update_session(self, message: Json) -> None:
        patch = need(message, "session", "session")
        state = self._state
        session = state.session
        if self._is_untouched and isinstance(patch, dict) and patch.get("type") == TRANSCRIPTION:
            session = describe_transcription(
                self._settings, session["id"], session["expires_at"]
            )  # the first update says what the session is for
        state.session = update_session(session, patch, self._settings, spoke=state.spoke)
        self._listening.reconfigure()
        self._outbox.send("session.updated", session=state.session)
        self._outbox.command(c.Configure(state.session))

    def _respond(self, message: Json) -> None:
        if self._state.session["type"] == TRANSCRIPTION:
            raise ClientError(
                "unsupported_event", "A transcription session has no responses.", "type"
            )
        self._generation.create(message.get("response"))

    def _cancel(self, message: Json) -> None:
        response_id = message.get("response_id")
        if response_id is not None:
            response_id = check_id(response_id, "response_id", 512)
        self._generation.cancel(response_id)

    def _refuse_output_clear(self, message: Json) -> None:
        raise ClientError(
            "unsupported_event",
            "'output_audio_buffer.clear' is for WebRTC and SIP; on a WebSocket the client owns "
            "playback: stop it and send conversation.item.truncate.",
            "type",
        )
