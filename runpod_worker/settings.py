"""Everything a worker may be told: which engine serves each stage, and how they run.

Pure data. ``penny.yaml`` holds these sections under ``profiles:`` and ``worker:``
(``config.worker``); the RunPod image reads the same from its environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from kb.settings import KbSection
from penny.section import Section
from penny.tracing.settings import TracingSettings
from runpod_worker.asking_back import AskingSettings
from runpod_worker.spoken_settings import SpokenSettings


class EngineChoice(Section):
    """One engine for each stage of the pipeline."""

    vad: Literal["silero"] = Field("silero", description="finds speech")
    stt: Literal["embedded", "faster-whisper", "triton", "openai-compatible"] = Field(
        "embedded", description="speech to text"
    )
    llm: Literal["reader", "openai-compatible", "transformers"] = Field(
        "reader", description="text to answer"
    )
    tts: Literal["espeak", "kokoro", "xtts", "openai-compatible"] = Field(
        "espeak", description="answer to speech"
    )
    turn: Literal["none", "auto", "smart-turn"] = Field(
        "auto",
        description="judges whether a caller who paused has finished; auto where its model is",
    )


class TurnSettings(Section):
    """When speech counts, when a turn is over, when the caller interrupts."""

    detection: Literal["semantic_vad", "server_vad"] = Field(
        "semantic_vad",
        description="what ends a turn on /ws: the words heard too, or silence alone",
    )
    threshold: float = Field(0.5, gt=0, lt=1, description="speech probability that counts")
    min_speech_ms: int = Field(96, ge=32, le=2000, description="shorter bursts are no speech")
    min_interruption_ms: int = Field(
        900,
        ge=32,
        le=5000,
        description="speech over Penny that interrupts before its words are known; it is held",
    )
    prefix_padding_ms: int = Field(300, ge=0, le=2000, description="audio kept from before speech")
    silence_duration_ms: int = Field(500, ge=100, le=5000, description="silence that ends a turn")
    max_turn_ms: int = Field(30_000, ge=1000, le=300_000, description="longest turn of a caller")

    @property
    def pre_roll_ms(self) -> int:
        """Audio to keep so that an onset confirmed late still has its padded beginning."""
        return self.prefix_padding_ms + self.min_speech_ms + 500


class HearingSettings(Section):
    """``worker.hearing``: noise and other talkers taken out of a caller's line."""

    gate: Literal["none", "auto", "hush"] = Field(
        "auto", description="what the VAD hears of a loud line: raw, or by Hush; auto where it is"
    )
    denoise: Literal["never", "asked", "noisy", "always"] = Field(
        "asked",
        description="DeepFilterNet 3 before speech to text: asked by a session's noise_reduction, "
        "noisy by measure",
    )
    noisy_below_db: float = Field(
        5.0, ge=-10, le=40, description="a caller's voice beside what is around, for noisy"
    )
    cpu_ms_per_s: float = Field(
        400.0, ge=0, le=1000, description="of one core, for all calls; those beyond stay raw"
    )


class DeadlineSettings(Section):
    """How long a stage may keep a caller waiting before its turn is given up."""

    stt_ms: int = Field(15_000, ge=500, description="final transcript of a turn")
    llm_first_token_ms: int = Field(15_000, ge=500, description="first word of an answer")
    llm_gap_ms: int = Field(10_000, ge=500, description="between two pieces of an answer")
    tts_first_audio_ms: int = Field(10_000, ge=200, description="first audio of a phrase")
    tts_gap_ms: int = Field(10_000, ge=200, description="between two pieces of audio")


class SileroSettings(Section):
    """``worker.engines.silero``: voice activity detection."""

    batch_window_ms: float = Field(
        2.0, ge=0, le=16, description="time windows of several calls wait to share a run"
    )


class EmbeddedSttSettings(Section):
    """``worker.engines.embedded``: speech recognition without weights."""

    threads: int = Field(2, ge=1, le=64, description="decoder threads, shared by all calls")


class FasterWhisperSettings(Section):
    """``worker.engines.faster_whisper``: Whisper's weights on CTranslate2."""

    model: str = Field("large-v3", description="name of the weights, or a folder that holds them")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where it computes")
    compute_type: str = Field("default", description="CTranslate2 type: default, int8, float16 …")
    cpu_threads: int = Field(
        1, ge=0, le=64, description="cores of a run on a CPU; 0 is all, up to four"
    )
    window_s: int = Field(
        30,
        ge=5,
        le=30,
        description="audio the encoder is given at least; less is quicker, 30 is as trained",
    )
    languages: tuple[str, ...] = Field(
        (),
        description="languages that are told apart; empty is all that Whisper knows",
    )
    beam_size: int = Field(5, ge=1, le=10, description="beams of the search")
    temperatures: tuple[float, ...] = Field(
        (0.0, 0.4, 0.8),
        min_length=1,
        description="the others where the first gives a text that is not trusted",
    )
    log_prob_threshold: float = Field(
        -1.0, le=0, description="a text less likely than this is not trusted"
    )
    no_speech_threshold: float = Field(
        0.6, ge=0, le=1, description="above it an unlikely text counts as silence"
    )
    compression_ratio_threshold: float = Field(
        2.4, gt=0, description="a text that repeats itself more is not trusted"
    )
    hot_words: int = Field(
        0, ge=0, le=100, description="terms of the knowledge base it is told to expect"
    )
    batch_window_ms: float = Field(
        15.0, ge=0, le=100, description="time callers wait to be decoded together"
    )
    max_batch: int = Field(8, ge=1, le=64, description="callers decoded together at most")


class OpenAiCompatibleSettings(Section):
    """``worker.engines.openai_compatible``: a chat server by URL."""

    base_url: str = Field("http://127.0.0.1:8000/v1", description="server of the language model")
    model: str = Field("Qwen/Qwen2.5-7B-Instruct", description="model name the server knows")
    api_key_variable: str = Field(
        "", description="environment variable of the server's key; empty sends none"
    )
    sees: bool = Field(False, description="the model takes images of the caller's")
    temperature: float = Field(0.7, ge=0, le=2, description="0 repeats itself, 2 wanders")
    max_tokens: int = Field(400, ge=1, le=8192, description="longest answer")
    connect_timeout_s: float = Field(3.0, gt=0, description="time to open a connection")
    context_tokens: int | None = Field(
        None, ge=512, description="the model's window; null asks the server, else 4096"
    )
    tokenizer: Path | None = Field(
        None, description="tokenizer.json that counts exactly; null estimates"
    )
    extra_body: dict[str, Any] = Field(
        {}, description="more fields of a request, as the server names them"
    )


class TransformersSettings(Section):
    """``worker.engines.transformers``: a language model in process, with torch."""

    model: Path = Field(Path("var/models/qwen2.5-7b-instruct"), description="folder of the weights")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where it computes")
    dtype: Literal["float32", "float16", "bfloat16"] = Field(
        "float32", description="number type of the weights"
    )
    temperature: float = Field(0.7, ge=0, le=2, description="0 repeats itself, 2 wanders")
    max_tokens: int = Field(400, ge=1, le=8192, description="longest answer")


class SmartTurnSettings(Section):
    """``worker.engines.smart_turn``: end of turn by how speech sounds."""

    model: Path = Field(Path("var/models/smart-turn-v3.onnx"), description="ONNX file of the model")
    time_limit_ms: int = Field(
        300, ge=20, le=2000, description="an opinion that comes later is not used"
    )
    threads: int = Field(1, ge=1, le=16, description="opinions computed at once")


class TritonSettings(Section):
    """``worker.engines.triton``: speech recognition on a Triton server."""

    url: str = Field("http://127.0.0.1:8000", description="Triton's HTTP address")
    model: str = Field("whisper", description="model of its repository")
    connect_timeout_s: float = Field(1.0, gt=0, description="time to open a connection")
    max_failures: int = Field(2, ge=1, description="failed calls that turn to local")
    failure_window: int = Field(5, ge=1, description="of so many last calls")
    recovery_s: float = Field(10.0, gt=0, description="rest before it is tried again")


class OpenAiSttSettings(Section):
    """``worker.engines.openai_stt``: a transcription server by URL."""

    base_url: str = Field(
        "http://127.0.0.1:8001/v1", description="server of the transcription endpoint"
    )
    model: str = Field("whisper-1", description="model name the server knows")
    api_key_variable: str = Field(
        "", description="environment variable of the server's key; empty sends none"
    )
    connect_timeout_s: float = Field(3.0, gt=0, description="time to open a connection")
    response_format: Literal["verbose_json", "json"] = Field(
        "verbose_json", description="verbose_json tells confidences; json where it fails"
    )
    hot_words: int = Field(
        0, ge=0, le=100, description="terms of the knowledge base it is told to expect"
    )


class OpenAiTtsSettings(Section):
    """``worker.engines.openai_tts``: a speech server by URL."""

    base_url: str = Field("http://127.0.0.1:8880/v1", description="server of the speech endpoint")
    model: str = Field("kokoro", description="model name the server knows")
    voice: str = Field("ef_dora", description="voice of sessions that ask for no other")
    voices: tuple[str, ...] = Field(
        ("em_alex", "em_santa"), description="other voices the server has"
    )
    rate_hz: int = Field(24_000, ge=8000, le=48_000, description="rate of its raw PCM")
    api_key_variable: str = Field(
        "", description="environment variable of the server's key; empty sends none"
    )
    connect_timeout_s: float = Field(3.0, gt=0, description="time to open a connection")
    extra_body: dict[str, Any] = Field(
        {}, description="more fields of a request, as the server names them"
    )


class EspeakSettings(Section):
    """``worker.engines.espeak``: speech without weights."""

    pool_size: int = Field(2, ge=1, le=32, description="phrases synthesised at once")


class KokoroSettings(Section):
    """``worker.engines.kokoro``: Kokoro's voices."""

    model: Path = Field(
        Path("var/models/kokoro"),
        description="folder of the weights, or its name in worker.models",
    )
    voice: str = Field("ef_dora", description="voice of Spanish sessions that ask for no other")
    english_voice: str = Field("af_heart", description="the same for English")
    threads: int = Field(2, ge=1, le=16, description="phrases computed at once")
    cores: int = Field(
        2, ge=0, le=64, description="processor cores for each phrase; 0 is all, up to four"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where it computes")


class XttsSettings(Section):
    """``worker.engines.xtts``: XTTS's cloned voices."""

    accept_license: bool = Field(
        False,
        description="true accepts XTTS's non-commercial licence; needed to load it",
    )
    model: Path = Field(Path("var/models/xtts-v2"), description="folder of the weights")
    voices: Path = Field(Path("var/voices"), description="folder of the cloned voices")
    voice: str = Field(
        "", description="voice of sessions that ask for no other; empty is the first"
    )
    processes: int = Field(
        2, ge=1, le=16, description="phrases spoken at once; each takes about 2 GB"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where it computes")
    python: Path | None = Field(
        None, description="Python that has coqui-tts; null is the worker's own"
    )
    start_timeout_s: float = Field(180.0, gt=0, description="time its weights have to load")


class EngineSettings(Section):
    """``worker.engines``: one section for each engine, used when it is chosen."""

    silero: SileroSettings = Field(SileroSettings(), description="VAD")
    smart_turn: SmartTurnSettings = Field(
        SmartTurnSettings(), description="end of turn by a model of speech"
    )
    embedded: EmbeddedSttSettings = Field(EmbeddedSttSettings(), description="STT without weights")
    faster_whisper: FasterWhisperSettings = Field(
        FasterWhisperSettings(), description="STT with Whisper's weights"
    )
    triton: TritonSettings = Field(
        TritonSettings(), description="STT on Triton; faster_whisper stands behind it"
    )
    openai_stt: OpenAiSttSettings = Field(
        OpenAiSttSettings(), description="STT behind an HTTP server"
    )
    openai_compatible: OpenAiCompatibleSettings = Field(
        OpenAiCompatibleSettings(), description="LLM behind an HTTP server"
    )
    transformers: TransformersSettings = Field(
        TransformersSettings(), description="LLM in process, with torch"
    )
    espeak: EspeakSettings = Field(EspeakSettings(), description="TTS without weights")
    kokoro: KokoroSettings = Field(
        KokoroSettings(), description="TTS with Kokoro's weights, for business too"
    )
    xtts: XttsSettings = Field(XttsSettings(), description="TTS with XTTS's weights")
    openai_tts: OpenAiTtsSettings = Field(
        OpenAiTtsSettings(), description="TTS behind an HTTP server"
    )


class WorkerSettings(Section):
    """All settings of one worker."""

    choice: EngineChoice = EngineChoice()
    turns: TurnSettings = TurnSettings()
    hearing: HearingSettings = HearingSettings()
    deadlines: DeadlineSettings = DeadlineSettings()
    spoken: SpokenSettings = SpokenSettings()
    asking: AskingSettings = AskingSettings()
    engines: EngineSettings = EngineSettings()
    library: KbSection = KbSection(embedding="none")
    models: Path = Path("var/models")
    allowed_hosts: tuple[str, ...] = ()
    language: str = "es"
    phrases: tuple[str, ...] = ()
    """How callers ask for actions, for ears that know a closed set."""
    slots: int = Field(20, ge=1)
    session_max_s: int = Field(3600, ge=1)
    tracing: TracingSettings = TracingSettings()
    log_level: str = "info"
    log_format: str = "auto"
