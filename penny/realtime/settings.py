"""Everything about the Realtime server core that an operator may choose."""

from __future__ import annotations

from dataclasses import dataclass


MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class CoreSettings:
    """Defaults and limits of one session; the numbers without a note are Penny's own choice."""

    model: str = "penny"
    instructions: str = ""
    voice: str = ""
    """The voice that a session begins with; empty: the engine's first, else OpenAI's ``alloy``."""
    voices: tuple[str, ...] = ()
    """The engine's voices. Other names are accepted: the engine maps them to its default."""
    silence_duration_ms: int = 500
    """OpenAI documents 500; its servers have announced 200 and 500."""
    session_max_s: int = 3600
    """OpenAI ends a session after 60 minutes."""

    penny_events: bool = False
    """Whether the client asked for events that are not OpenAI's (``penny.*``)."""
    accept_images: bool = False
    """Keep ``input_image`` parts for an engine that sees; otherwise they are refused."""
    accept_image_addresses: bool = False
    """Images elsewhere than in a data: URL; an engine that may call no other host refuses them."""

    tells_logprobs: bool = False
    """Whether transcripts may come with log probabilities; ``include`` of them is refused else."""
    tells_speakers: bool = False
    """Whether a transcription model may tell speakers apart; a diarizing one is refused else."""

    max_message_bytes: int = 21 * MIB
    """An append of ``max_append_bytes`` is 20 MiB as base64, and there is JSON around it."""
    max_append_bytes: int = 15 * MIB
    """Decoded audio of one append; 15 MiB is OpenAI's."""
    max_buffer_ms: int = 15 * 60 * 1000
    min_commit_ms: int = 100
    """OpenAI refuses to commit less."""
    kept_audio_ms: int = 0
    """Of the newest items' audio, kept for ``conversation.item.retrieve``; 0 keeps none."""
    max_items: int = 2000
    max_item_chars: int = 200_000
    max_conversation_chars: int = 8_000_000
    """Of all the client's items together, images included."""
    max_instructions_chars: int = 200_000
    max_session_chars: int = 1_000_000
    """Of the whole session object as JSON, which is echoed on every update."""
    max_session_depth: int = 64
    """Nesting of the session object; JSON writers give up not far beyond 200."""
    max_tools: int = 128
    max_id_chars: int = 128
    max_side_responses: int = 8
    """Out-of-band responses that may run at once."""
    rate_limit_tokens: int = 15_000_000
    """What ``rate_limits.updated`` shows; informational, nothing is limited by it."""
