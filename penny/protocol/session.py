"""A session's life: start, progress while a mode wakes up, end."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from .message import ClientMessage, Json, Language, Milliseconds, Part, ServerEvent, Usd


PROTOCOL_VERSION = "1.0"

Encoding = Literal["pcm16", "pcmu", "pcma"]
RateHz = Literal[8000, 16000, 24000, 48000]
DEFAULT_RATE_HZ: RateHz = 24000
EndReason = Literal[
    "client_ended",
    "client_gone",
    "client_does_not_read",
    "handoff",
    "idle",
    "time_limit",
    "cost_limit",
    "speaker_lost",
    "drain",
    "operator",
    "error",
]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class StreamFormat(Part):
    """One direction's audio as agreed. Mono; PCM16 is signed little-endian."""

    encoding: Encoding
    """pcm16, pcmu (G.711 mu-law) or pcma (G.711 A-law)."""
    rate_hz: RateHz
    """Samples per second; 8000 for G.711."""


class AudioFormats(Part):
    """The audio of both directions as agreed."""

    input: StreamFormat
    """What the client sends."""
    output: StreamFormat
    """What Penny sends."""


class StreamRequest(Part):
    """One direction's audio as the client wants it."""

    encoding: Encoding = "pcm16"
    """pcm16 (signed little-endian), pcmu (G.711 mu-law) or pcma (G.711 A-law). Mono always."""
    rate_hz: RateHz | None = None
    """Samples per second. Absent: 24000 for pcm16, 8000 for G.711, which has no other rate."""

    @model_validator(mode="after")
    def _check_g711_rate(self) -> StreamRequest:
        if self.encoding != "pcm16" and self.rate_hz not in (None, 8000):
            raise ValueError(f"{self.encoding} runs at rate_hz 8000 only; got {self.rate_hz}")
        return self

    def agree(self) -> StreamFormat:
        """Return the format with its rate filled in."""
        rate_hz = self.rate_hz or (DEFAULT_RATE_HZ if self.encoding == "pcm16" else 8000)
        return StreamFormat(encoding=self.encoding, rate_hz=rate_hz)


class AudioRequest(Part):
    """The audio the client wants."""

    input: StreamRequest = StreamRequest()
    """What the client will send. Absent: pcm16 at 24000 Hz."""
    output: StreamRequest | None = None
    """What Penny shall send. Absent: the same as input."""

    def agree(self) -> AudioFormats:
        """Return both directions with every default filled in."""
        return AudioFormats(input=self.input.agree(), output=(self.output or self.input).agree())


class Portavoz(Part):
    """EXTERNAL: the speaker that holds the conversation. Absent fields take penny.yaml's."""

    provider: Name | None = None
    """Who runs the speaker, e.g. ``openai``."""
    model: Name | None = None
    """Model name; a retired one is mapped to its successor with a ``warning``."""
    voice: Name | None = None
    """Voice name of that provider, e.g. ``alloy``."""
    language: Language | None = None
    """BCP-47 language the speaker talks, e.g. ``es``."""
    initial_system_prompt: Annotated[str, Field(max_length=16_000)] | None = None
    """System prompt before the brain's first folio; at most 16000 characters."""


class Cerebro(Part):
    """EXTERNAL: the brain that analyses in the background. Absent fields take penny.yaml's."""

    provider: Name | None = None
    """Who runs the brain, e.g. ``anthropic``."""
    model: Name | None = None
    """Model name; a retired one is mapped to its successor with a ``warning``."""
    analysis_depth: Literal["quick", "standard", "deep"] | None = None
    """How much the brain thinks per analysis."""
    knowledge_base_ref: Annotated[str, Field(pattern=r"^kb://\S+$", max_length=300)] | None = None
    """Which collection it looks things up in: ``kb://company/collection``."""
    update_frequency: Literal["every_turn", "every_n_turns", "on_demand"] | None = None
    """When it analyses."""
    every_n: Annotated[int, Field(ge=1, le=100)] | None = None
    """With ``every_n_turns``: analyse each n-th turn."""


class Context(Part):
    """What the application knows about this session. Further fields reach the brain as they are."""

    model_config = ConfigDict(extra="allow")

    user_id: Name | None = None
    """The application's own name for the caller."""
    session_purpose: Name | None = None
    """Why the session exists, e.g. ``atencion_cliente``."""
    available_actions: Annotated[list[Name], Field(max_length=128)] = []
    """Names of the actions the session may take."""


class SessionStart(ClientMessage):
    """The first message of a connection: who shall answer, and how the audio travels."""

    type: Literal["session_start"] = "session_start"
    protocol_version: Annotated[str, Field(max_length=20)] | None = None
    """Version the client was written for; another major version earns a ``warning``."""
    mode: Annotated[str, Field(max_length=64)] | None = None
    """Mode name from GET /v1/modes. Absent: the default mode."""
    language: Language | None = None
    """BCP-47 language of the conversation. Absent: portavoz.language, else Spanish."""
    audio: AudioRequest = AudioRequest()
    """Audio of both directions. Absent: pcm16 at 24000 Hz."""
    greeting: Annotated[str, Field(max_length=1_000)] | None = None
    """What Penny says first. Empty: nothing. Absent: the mode's own."""
    portavoz: Portavoz | None = None
    """The speaker of EXTERNAL."""
    cerebro: Cerebro | None = None
    """The brain of EXTERNAL."""
    context: Context = Context()
    """What the application knows about the session."""

    @model_validator(mode="before")
    @classmethod
    def _take_null_as_absent(cls, fields: Any) -> Any:
        """Clients in many languages write an unset field as null."""
        if not isinstance(fields, dict):
            return fields
        return {name: value for name, value in fields.items() if value is not None}

    @property
    def wanted_language(self) -> str | None:
        """The language asked for, wherever it stands."""
        return self.language or (self.portavoz.language if self.portavoz else None)


class SessionResume(ClientMessage):
    """The first message of a connection that takes a cut session up again."""

    type: Literal["session_resume"] = "session_resume"
    resume_token: Name
    """The token that ``session_started`` gave."""
    received: Annotated[int, Field(ge=1)]
    """Messages received in this session, text and binary alike; ``session_started`` is number 1,
    and ``session_resumed`` does not count."""


class SessionEnd(ClientMessage):
    """The client hangs up; Penny answers ``session_ended`` and closes."""

    type: Literal["session_end"] = "session_end"


class Ping(ClientMessage):
    """Asks for a ``pong``; measures the round trip and keeps proxies awake."""

    type: Literal["ping"] = "ping"
    nonce: Annotated[str, Field(max_length=128)] | None = None
    """Comes back in the ``pong``."""


class MediaOffer(ClientMessage):
    """Asks to carry the audio by WebRTC from now on, where ``session_started.webrtc`` is true.

    Once the connection stands, audio goes on its tracks, both ways, and no binary messages come;
    when it is lost, they come again. Everything else stays on the socket.
    """

    type: Literal["media_offer"] = "media_offer"
    sdp: Annotated[str, Field(min_length=1, max_length=32_768)]
    """An offer with one audio track, to send and to receive."""


class MediaAnswer(ServerEvent):
    """The answer to a ``media_offer``. One that cannot be taken gets an ``error`` instead."""

    type: Literal["media_answer"] = "media_answer"
    sdp: str
    """With every candidate in it."""


class Pong(ServerEvent):
    """The answer to a ``ping``."""

    type: Literal["pong"] = "pong"
    nonce: str | None = None
    """The ping's own."""


class SpeakerInfo(Part):
    """What talks back in this session."""

    model: str
    """Model or engine, e.g. ``gpt-realtime`` or ``embedded``."""
    voice: str | None = None
    """Voice it speaks with."""
    provider: str | None = None
    """Who runs it; null for Penny's own worker."""


class Notice(Part):
    """A sentence for the person who calls, in both languages."""

    es: str
    """In Spanish."""
    en: str
    """In English."""


class Capabilities(Part):
    """What this session can do, so that a page shows only what works."""

    text_input: bool = True
    """Typed turns are answered."""
    interruption: bool = True
    """Speaking over Penny stops her."""
    context_updates: bool = False
    """A brain works behind the speaker: ``context_update`` and ``correction`` may come."""
    tools: bool = False
    """``tool_call`` may come."""
    cost: bool = False
    """``cost`` comes after each turn."""
    resume: bool = False
    """``resume_token`` takes the session up again after a lost connection."""


class SessionStarted(ServerEvent):
    """The session is open; audio may flow both ways."""

    type: Literal["session_started"] = "session_started"
    session_id: str
    """Names the session in logs, records and the operator's page."""
    mode: str
    """The mode that answers."""
    protocol_version: str = PROTOCOL_VERSION
    """Version that Penny speaks."""
    audio: AudioFormats
    """The audio of both directions, every default filled in."""
    language: str
    """BCP-47 language of the conversation."""
    speaker: SpeakerInfo
    """What talks back."""
    notice: Notice | None = None
    """What the caller should know about this mode's ears or voice; null when nothing."""
    capabilities: Capabilities = Capabilities()
    """What this session can do."""
    webrtc: bool = False
    """``media_offer`` may be sent."""
    max_duration_ms: Milliseconds | None = None
    """The session ends by itself after this long; null when unlimited."""
    resume_token: str | None = None
    """Takes the session up again when the connection is lost; null when resuming is off."""
    resume_within_ms: Milliseconds | None = None
    """How long a lost session waits for ``session_resume``; null when resuming is off."""


class ModeChanged(ServerEvent):
    """Another mode answers from now on: a private session whose worker stayed cold was moved. What
    the caller said before stays behind; what they say now goes where ``privacy`` says."""

    type: Literal["mode_changed"] = "mode_changed"
    mode: str
    """The mode that answers from now on."""
    privacy: str
    """Where voice and text go in that mode, for the person who calls."""
    speaker: SpeakerInfo
    """What talks back from now on."""
    capabilities: Capabilities = Capabilities()
    """What this session can do from now on; ``resume`` stays as it was."""


class SessionResumed(ServerEvent):
    """The session goes on; every message that was missed follows, in order."""

    type: Literal["session_resumed"] = "session_resumed"
    session_id: str
    """The session taken up again."""
    replayed: Annotated[int, Field(ge=0)]
    """How many missed messages follow, text and binary."""
    received: Annotated[int, Field(ge=0)]
    """The client's own text messages that arrived in this session, ``session_start`` and
    ``session_resume`` not counted: a line that broke may have taken more, to be sent again."""
    lost_audio_ms: Milliseconds = 0
    """Missed audio that is no longer kept: the oldest goes first. Events are never lost."""


class SessionProgress(ServerEvent):
    """A mode is waking up (cold start): before ``session_started``, or after it while Penny keeps
    the caller company. The stage ``ready`` ends it."""

    type: Literal["session_progress"] = "session_progress"
    stage: str
    """Machine name, e.g. ``leasing_worker``, ``loading_models``, ``connecting``, ``ready``."""
    message: str
    """For the person who waits."""
    eta_ms: Milliseconds | None = None
    """Expected time until Penny can answer; null when unknown."""


class Totals(Part):
    """What a session came to."""

    duration_ms: Milliseconds
    """From ``session_started`` to the end."""
    turns: Annotated[int, Field(ge=0)] = 0
    """Caller turns, spoken and typed."""
    interruptions: Annotated[int, Field(ge=0)] = 0
    """Times the caller stopped Penny."""
    audio_in_ms: Milliseconds | None = None
    """Audio received from the client."""
    audio_out_ms: Milliseconds | None = None
    """Audio sent to the client."""
    usd: Usd | None = None
    """Cost in US dollars; null when not metered."""
    usd_by: dict[str, Usd] = {}
    """Cost by component (``portavoz``, ``cerebro``, ``worker``)."""


class SessionEnded(ServerEvent):
    """The last event of a session; the connection closes after it."""

    type: Literal["session_ended"] = "session_ended"
    reason: EndReason
    """Why it ended."""
    message: str | None = None
    """A sentence for a person when there is more to say; null otherwise."""
    totals: Totals
    """What the session came to."""
    details: Json = {}
    """Further facts by name, for the record; may be empty."""
