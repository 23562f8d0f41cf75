"""Every message type of ``/ws`` by name."""

from __future__ import annotations

from .brain import ContextUpdate, Correction, Handoff, Sources, ToolCall
from .conversation import (
    AudioDone,
    AudioStarted,
    Interrupt,
    Interruption,
    Playback,
    ResponseDone,
    SpeechStarted,
    SpeechStopped,
    TextInput,
    TranscriptDelta,
    TranscriptFinal,
    TranscriptHeard,
)
from .error import SessionError, SessionWarning
from .message import ClientMessage, Part, ServerEvent
from .metering import Cost, TurnMetrics
from .session import (
    MediaAnswer,
    MediaOffer,
    ModeChanged,
    Ping,
    Pong,
    SessionEnd,
    SessionEnded,
    SessionProgress,
    SessionResume,
    SessionResumed,
    SessionStart,
    SessionStarted,
)


def _name(model: type[Part]) -> str:
    return str(model.model_fields["type"].default)


CLIENT_MESSAGES: dict[str, type[ClientMessage]] = {
    _name(model): model
    for model in (
        SessionStart,
        SessionResume,
        TextInput,
        Playback,
        Interrupt,
        Ping,
        MediaOffer,
        SessionEnd,
    )
}
SERVER_EVENTS: dict[str, type[ServerEvent]] = {
    _name(model): model
    for model in (
        SessionProgress,
        SessionStarted,
        ModeChanged,
        SessionResumed,
        MediaAnswer,
        SpeechStarted,
        SpeechStopped,
        TranscriptDelta,
        TranscriptFinal,
        TranscriptHeard,
        AudioStarted,
        AudioDone,
        Interruption,
        ResponseDone,
        ContextUpdate,
        Correction,
        Sources,
        ToolCall,
        Handoff,
        Cost,
        TurnMetrics,
        SessionWarning,
        SessionError,
        Pong,
        SessionEnded,
    )
}
