"""The worker's part of ``penny.yaml``: profiles (which engines) and ``worker:`` (how they run)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from config.section import Section


class Profile(Section):
    """One engine for each stage of the pipeline."""

    vad: Literal["silero"] = Field(default="silero", description="finds speech")
    stt: Literal["embedded", "faster-whisper"] = Field(
        default="embedded", description="speech to text"
    )
    llm: Literal["reader", "openai-compatible"] = Field(
        default="reader", description="text to answer"
    )
    tts: Literal["espeak", "xtts"] = Field(default="espeak", description="answer to speech")


def default_profiles() -> dict[str, Profile]:
    return {
        "embedded": Profile(),
        "gpu": Profile(stt="faster-whisper", llm="openai-compatible", tts="xtts"),
    }


class TurnsSection(Section):
    """When speech counts, when a turn is over, when the caller interrupts."""

    threshold: float = Field(default=0.5, gt=0, lt=1, description="speech probability that counts")
    min_speech_ms: int = Field(
        default=96, ge=32, le=2000, description="shorter bursts are no speech"
    )
    min_interruption_ms: int = Field(
        default=300,
        ge=32,
        le=5000,
        description="shorter speech over Penny (a cough, 'ajá') is ignored",
    )
    prefix_padding_ms: int = Field(
        default=300, ge=0, le=2000, description="audio kept from before speech"
    )
    silence_duration_ms: int = Field(
        default=500, ge=100, le=5000, description="silence that ends a turn"
    )
    max_turn_ms: int = Field(
        default=30_000, ge=1000, le=300_000, description="longest turn of a caller"
    )


class SileroSection(Section):
    batch_window_ms: float = Field(
        default=2.0, ge=0, le=16, description="time windows of several calls wait to share a run"
    )


class EmbeddedSttSection(Section):
    threads: int = Field(default=2, ge=1, le=64, description="decoder threads, shared by all calls")


class FasterWhisperSection(Section):
    model: str = Field(
        default="large-v3", description="name of the weights, or a folder that holds them"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="where it computes")
    compute_type: str = Field(
        default="default", description="CTranslate2 type: default, int8, float16 …"
    )
    beam_size: int = Field(default=5, ge=1, le=10, description="beams of the search")


class OpenAiCompatibleSection(Section):
    base_url: str = Field(
        default="http://127.0.0.1:8000/v1", description="server of the language model"
    )
    model: str = Field(
        default="Qwen/Qwen2.5-7B-Instruct", description="model name the server knows"
    )
    temperature: float = Field(default=0.7, ge=0, le=2, description="0 repeats itself, 2 wanders")
    max_tokens: int = Field(default=400, ge=1, le=8192, description="longest answer")


class EspeakSection(Section):
    voice_es: str = Field(default="es-419", description="voice of Spanish answers")
    voice_en: str = Field(default="en-us", description="voice of English answers")
    words_per_minute: int = Field(
        default=165, ge=80, le=450, description="speaking rate at speed 1"
    )


class XttsSection(Section):
    accept_license: bool = Field(
        default=False,
        description="true accepts XTTS's non-commercial licence (CPML); it will not load without",
    )
    model: Path = Field(default=Path("var/models/xtts-v2"), description="folder of the weights")


class EnginesSection(Section):
    silero: SileroSection = Field(default_factory=SileroSection, description="VAD")
    embedded: EmbeddedSttSection = Field(
        default_factory=EmbeddedSttSection, description="STT without weights"
    )
    faster_whisper: FasterWhisperSection = Field(
        default_factory=FasterWhisperSection, description="STT with Whisper's weights"
    )
    openai_compatible: OpenAiCompatibleSection = Field(
        default_factory=OpenAiCompatibleSection, description="LLM behind an HTTP server"
    )
    espeak: EspeakSection = Field(default_factory=EspeakSection, description="TTS without weights")
    xtts: XttsSection = Field(default_factory=XttsSection, description="TTS with XTTS's weights")


class WorkerSection(Section):
    host: str = Field(
        default="127.0.0.1", description="address `python -m penny worker` listens on"
    )
    port: int = Field(default=8090, ge=0, le=65535, description="its port; 0 takes a free one")
    max_sessions: int = Field(default=20, ge=1, description="sessions at once in one worker")
    start_timeout_s: float = Field(default=30.0, gt=0, description="time its engines have to load")
    turns: TurnsSection = Field(default_factory=TurnsSection, description="turn taking")
    engines: EnginesSection = Field(default_factory=EnginesSection, description="one per engine")
