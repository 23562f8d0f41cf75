"""What goes between the Realtime core and the engine behind it: pure data, no behaviour.

The core (``core.py``) is the only place that knows the OpenAI Realtime GA protocol. It answers
every client message and every engine report with a list of :data:`Output`; the shell around it
(a socket and a pipeline) carries them out in order.

Audio is mono PCM16 little-endian at 24 000 Hz in both directions, whatever format the client
agreed: the core converts G.711 at its edge. Times (``*_ms``) are positions on the input audio
clock: milliseconds of audio appended since the session began.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


Json = dict[str, Any]


# --- core -> shell -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    """Send this server event to the client."""

    event: Json


@dataclass(frozen=True, slots=True)
class BufferAudio:
    """The client appended audio to the input buffer."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class ClearBuffer:
    """Forget the uncommitted input audio and any speech in progress."""


@dataclass(frozen=True, slots=True)
class CommitBuffer:
    """The buffer became user item ``item_id``: transcribe it and answer TranscriptDone/Failed.

    ``start_ms``..``end_ms`` is the span on the input audio clock. ``transcribe`` is False when
    the client wants no transcript events; an engine that needs the text to answer transcribes
    all the same and still reports it (the core keeps it for the context and emits nothing).
    """

    item_id: str
    start_ms: int
    end_ms: int
    transcribe: bool


@dataclass(frozen=True, slots=True)
class ItemAudio:
    """The client created a user item that holds audio: transcribe it as in ``CommitBuffer``."""

    item_id: str
    pcm: bytes
    transcribe: bool


@dataclass(frozen=True, slots=True)
class Configure:
    """The session's settings changed; ``session`` is the whole effective GA session object."""

    session: Json


@dataclass(frozen=True, slots=True)
class Generate:
    """Start a response. Wait for the transcripts of ``needs``, then ask ``core.request(id)``."""

    response_id: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CancelGeneration:
    """Stop this response's LLM and TTS at once; the core already closed it on the wire."""

    response_id: str


@dataclass(frozen=True, slots=True)
class Hangup:
    """Close the socket with this WebSocket code after everything before it was sent."""

    code: int
    reason: str


Output = (
    Send
    | BufferAudio
    | ClearBuffer
    | CommitBuffer
    | ItemAudio
    | Configure
    | Generate
    | CancelGeneration
    | Hangup
)


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """What an engine needs to answer: snapshot of the context when its turn comes.

    ``items`` are GA conversation items (message / function_call / function_call_output) in order,
    user audio parts carrying their transcript, assistant audio cut to what was heard.
    """

    response_id: str
    instructions: str
    items: tuple[Json, ...]
    tools: tuple[Json, ...]
    tool_choice: str | Json
    modality: Literal["audio", "text"]
    voice: str
    speed: float
    max_output_tokens: int | None
    metadata: Json = field(default_factory=dict)
    language: str | None = None
    truncation: str | Json = "auto"


# --- shell -> core -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech began at ``audio_start_ms`` (prefix padding already taken off)."""

    audio_start_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The caller's turn is over; the core commits and, if configured, creates the response.

    ``wants_answer``: False for speech that was not meant for the agent.
    """

    audio_end_ms: int
    wants_answer: bool = True


@dataclass(frozen=True, slots=True)
class IdleTimeout:
    """Nothing was said for ``idle_timeout_ms`` after the last response was heard."""

    audio_start_ms: int
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class TranscriptDelta:
    """An increment of a user item's transcript."""

    item_id: str
    delta: str


@dataclass(frozen=True, slots=True)
class TranscriptDone:
    """Final text of a user item; ``text_tokens`` by the engine's own tokenizer."""

    item_id: str
    text: str
    audio_ms: int
    text_tokens: int = 0
    language: str | None = None


@dataclass(frozen=True, slots=True)
class TranscriptFailed:
    """A user item could not be transcribed; ``code`` is the stage's, ``message`` for a person."""

    item_id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Text of the answer: output_text.delta for a text response, nothing on the wire for audio."""

    response_id: str
    text: str


@dataclass(frozen=True, slots=True)
class PhraseDelta:
    """The next words about to be spoken (their audio follows): output_audio_transcript.delta."""

    response_id: str
    text: str


@dataclass(frozen=True, slots=True)
class AudioDelta:
    """Audio of the phrase announced last."""

    response_id: str
    pcm: bytes


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a function call's JSON arguments; ``name`` is given with the first piece."""

    response_id: str
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolCallDone:
    """A function call is complete; ``arguments`` is the whole JSON text, not checked."""

    response_id: str
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class GenerationUsage:
    """Token counts of a response so far, so that a cancelled one has usage too."""

    response_id: str
    input_text_tokens: int = 0
    cached_text_tokens: int = 0
    output_text_tokens: int = 0


@dataclass(frozen=True, slots=True)
class GenerationDone:
    """The answer is complete. Token counts are the engine's own, text only.

    Audio tokens are the core's business: 10 per second in, 20 per second out.
    """

    response_id: str
    input_text_tokens: int = 0
    cached_text_tokens: int = 0
    output_text_tokens: int = 0
    incomplete_reason: Literal["max_output_tokens", "content_filter"] | None = None


@dataclass(frozen=True, slots=True)
class GenerationFailed:
    """The answer ended with an error; what was generated before it stays in the conversation.

    ``is_speech_whole``: the last phrase reported has all its audio (an apology).
    """

    response_id: str
    code: str
    message: str
    is_speech_whole: bool = False


EngineReport = (
    SpeechStarted
    | SpeechStopped
    | IdleTimeout
    | TranscriptDelta
    | TranscriptDone
    | TranscriptFailed
    | TextDelta
    | PhraseDelta
    | AudioDelta
    | ToolCallDelta
    | ToolCallDone
    | GenerationUsage
    | GenerationDone
    | GenerationFailed
)
