"""The four stages of the pipeline as Protocols. An engine is one file that offers one of them.

Audio into VAD and STT is mono PCM16 little-endian at 16 000 Hz; audio out of TTS is mono PCM16
little-endian at 24 000 Hz (an engine resamples its own rate). Everything is cancellable: closing
an async iterator, or ``cancel``, frees the engine at once. Engines raise ``EngineError``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable


STT_RATE_HZ = 16_000
TTS_RATE_HZ = 24_000


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine tells about itself in ``check``, on the page and in ``session_started``.

    ``notice`` is one honest sentence on what it cannot do, per language ("es", "en"), or empty.
    ``closed_set``: of an STT, the languages of which it knows the documents' questions alone.
    ``first_phrase_chars``: a voice that takes long for a phrase wants the first one of an answer
    no longer than this; 0 is no such wish. ``reads``: of an LLM, whether it takes passages and
    tools of the house; ``acts``: its actions alone, for it searches by itself. ``sees``: whether
    it takes images.
    """

    name: str
    languages: tuple[str, ...]
    notice: dict[str, str] = field(default_factory=dict)
    closed_set: tuple[str, ...] = ()
    first_phrase_chars: int = 0
    reads: bool = False
    acts: bool = False
    sees: bool = False


# --- VAD -----------------------------------------------------------------------------------


class Window(NamedTuple):
    """A piece of a caller's audio judged by a VAD. The windows of a stream, joined, are the
    stream."""

    probability: float
    """Of speech, 0..1."""
    ms: int


class VadStream(Protocol):
    """Speech probability of one caller's audio."""

    async def feed(self, pcm: bytes) -> list[Window]:
        """Take any amount of audio; return the windows that are complete."""
        ...

    def reset(self) -> None: ...


class Vad(Protocol):
    """Voice activity detection: makes a stream for each caller."""

    info: EngineInfo

    def open(self) -> VadStream: ...

    async def aclose(self) -> None: ...


# --- end of turn ---------------------------------------------------------------------------


class TurnDetector(Protocol):
    """Whether a caller who paused has finished, by how the speech sounded."""

    info: EngineInfo
    time_limit_ms: int
    """An opinion that takes longer is not waited for."""

    async def judge(self, pcm: bytes) -> float:
        """The probability 0..1 that the turn is complete, of speech up to a pause just begun.

        Only the last seconds count (the engine cuts). Raises EngineError.
        """
        ...

    async def aclose(self) -> None: ...


# --- STT -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A recognised word, where in the utterance it was spoken, and how sure the engine is (0..1;
    None where it does not say)."""

    text: str
    start_ms: int
    end_ms: int
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """The words of an utterance.

    ``understood`` is False when speech was heard but the engine does not trust its words.
    ``words`` is empty where the engine gives no times.
    """

    text: str
    language: str
    understood: bool
    confidence: float | None = None
    language_probability: float | None = None
    """Of a language that the engine found; None where it was told, or does not say."""
    words: tuple[TimedWord, ...] = ()

    def told(self) -> dict[str, object]:
        """The fields of ``penny.transcript``."""
        fields = asdict(self)
        del fields["language_probability"]
        return fields


def has_words(text: str) -> bool:
    """Whether a text has a letter or a digit: "¿¡…" is nothing heard, and nothing to say."""
    return any(character.isalnum() for character in text)


@dataclass(frozen=True, slots=True)
class SttOptions:
    """How an utterance is to be transcribed.

    ``language`` None means detect; ``prompt`` and ``hot_words`` serve engines that use them.
    ``words``: whether each word's place and confidence are wanted, where an engine has to work
    for them.
    """

    language: str | None = None
    prompt: str = ""
    hot_words: tuple[str, ...] = ()
    words: bool = False


class Utterance(Protocol):
    """One turn of the caller being heard."""

    def feed(self, pcm: bytes) -> None:
        """Take more audio; never blocks (engines decode in threads of their own)."""
        ...

    def pause(self) -> None:
        """The caller paused: a good moment to transcribe speculatively."""
        ...

    def resume(self) -> None:
        """The caller went on: throw speculation away."""
        ...

    def partial(self) -> str:
        """The words so far, or ''. Cheap; may be called every 100 ms."""
        ...

    async def finish(self) -> Transcript: ...

    def cancel(self) -> None: ...


class Stt(Protocol):
    """Speech recognition: begins an utterance for each turn."""

    info: EngineInfo

    def begin(self, options: SttOptions) -> Utterance: ...

    def count_tokens(self, text: str) -> int: ...

    async def aclose(self) -> None: ...


@runtime_checkable
class BehindServer(Protocol):
    """STT on a server, with a local engine behind it."""

    url: str

    def is_well(self) -> bool:
        """Whether the next utterance is asked of the server, and not of the local engine."""
        ...


# --- LLM -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LlmRequest:
    """A prompt: instructions, conversation, tools.

    ``items`` are Realtime GA items in order; user audio parts carry their transcript. ``notes`` and
    ``passages`` (best first) hold for the newest turn alone. ``truncation`` is the session's.
    """

    instructions: str
    items: tuple[dict[str, Any], ...]
    tools: tuple[dict[str, Any], ...] = ()
    tool_choice: str | dict[str, Any] = "auto"
    max_output_tokens: int | None = None
    language: str = "es"
    notes: str = ""
    passages: tuple[str, ...] = ()
    truncation: str | dict[str, Any] = "auto"


@dataclass(frozen=True, slots=True)
class LlmText:
    """A piece of the answer; '' is a sign of life of a model that reasons before it answers."""

    text: str


@dataclass(frozen=True, slots=True)
class LlmToolCall:
    """A piece of a function call; ``done`` with the last one, ``arguments`` then whole."""

    call_id: str
    name: str
    arguments: str
    done: bool


@dataclass(frozen=True, slots=True)
class LlmUsage:
    """The end of an answer and its token counts.

    Sent last. ``stop`` is 'end', 'length', 'filter' or 'tool'.
    """

    input_tokens: int
    cached_tokens: int
    output_tokens: int
    stop: str = "end"


LlmDelta = LlmText | LlmToolCall | LlmUsage


class Llm(Protocol):
    """A language model that streams answers."""

    info: EngineInfo

    def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        """Stream the answer; closing the iterator aborts the generation where it runs."""
        ...

    def count_tokens(self, text: str) -> int: ...

    async def prime(self, request: LlmRequest) -> None:
        """Warm the prompt cache with the stable head of this session's prompt."""
        ...

    async def aclose(self) -> None: ...


# --- TTS -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Voice:
    """How to speak: ``name`` as the session asked (unknown names map to the default voice)."""

    language: str = "es"
    name: str = ""
    speed: float = 1.0


class Tts(Protocol):
    """Speech synthesis, phrase by phrase."""

    info: EngineInfo

    def voices(self) -> Sequence[str]: ...

    def synthesize(self, phrase: str, voice: Voice) -> AsyncIterator[bytes]:
        """Stream PCM16 at 24 000 Hz as it is made; closing the iterator stops the synthesis."""
        ...

    async def aclose(self) -> None: ...
