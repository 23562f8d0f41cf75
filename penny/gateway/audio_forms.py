"""OpenAI's forms of ``/v1/audio/…``: what is asked, and a transcript as it is told. Pure."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


Json = dict[str, Any]

MAX_FILE_BYTES = 25 * 1024 * 1024
"""OpenAI's limit of an uploaded file."""
MAX_SPOKEN_CHARS = 4096
"""OpenAI's limit of ``input``."""
LISTS = {"timestamp_granularities[]": "timestamp_granularities", "include[]": "include"}
"""Fields of a form that come once for each value."""


class TranscriptionWish(BaseModel):
    """The fields beside ``file``. Any ``model`` means the ears that this house has."""

    model_config = ConfigDict(extra="forbid")

    model: str = ""
    language: str = ""
    prompt: str = ""
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] = "json"
    temperature: float = Field(0.0, ge=0, le=0)
    timestamp_granularities: list[Literal["word", "segment"]] = Field(default_factory=list)
    stream: bool = False
    chunking_strategy: Literal["", "auto"] = ""


class SpeechWish(BaseModel):
    """The body of ``/v1/audio/speech``. Any ``model`` means the voice that this house has."""

    model_config = ConfigDict(extra="forbid")

    model: str = ""
    input: str = Field(min_length=1, max_length=MAX_SPOKEN_CHARS)
    voice: str = ""
    instructions: str = ""
    response_format: Literal["mp3", "opus", "flac", "wav", "pcm"] = "mp3"
    speed: float = Field(1.0, ge=0.25, le=1.5)
    stream_format: Literal["audio", "sse"] = "audio"

    @field_validator("voice", mode="before")
    @classmethod
    def _name_of(cls, voice: object) -> object:
        """A voice made by a client is an object with its id."""
        return voice.get("id") if isinstance(voice, dict) else voice


@dataclass(frozen=True, slots=True)
class Heard:
    """One window of the file as recognised.

    ``words``: dicts with ``text``, ``start_ms``, ``end_ms`` from the window's start; empty where
    the ears give no times. ``confidence``: 0..1, or None.
    """

    text: str
    start_ms: float
    end_ms: float
    language: str = ""
    confidence: float | None = None
    words: Sequence[Mapping[str, Any]] = ()


def whole_text(heard: Sequence[Heard]) -> str:
    return " ".join(each.text for each in heard if each.text)


def tell(heard: Sequence[Heard], wish: TranscriptionWish) -> Json | str:
    """The answer in the format asked for."""
    text = whole_text(heard)
    seconds = heard[-1].end_ms / 1000 if heard else 0.0
    usage = {"type": "duration", "seconds": math.ceil(seconds)}
    match wish.response_format:
        case "text":
            return text + "\n"
        case "srt" | "vtt":
            return _subtitles(heard, wish.response_format)
        case "json":
            return {"text": text, "usage": usage}
        case _:
            told: Json = {
                "task": "transcribe",
                "language": next((each.language for each in heard if each.language), wish.language),
                "duration": seconds,
                "text": text,
                "usage": usage,
            }
            wanted = wish.timestamp_granularities or ["segment"]
            if "segment" in wanted:
                told["segments"] = [_segment(at, each) for at, each in enumerate(heard)]
            if "word" in wanted:
                told["words"] = [word for each in heard for word in _words(each)]
            return told


def _segment(at: int, each: Heard) -> Json:
    """OpenAI's fields; those that these ears do not tell are 0 or empty."""
    raw = each.text.encode()
    return {
        "id": at,
        "seek": 0,
        "start": each.start_ms / 1000,
        "end": each.end_ms / 1000,
        "text": each.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": math.log(max(each.confidence, 1e-9)) if each.confidence is not None else 0.0,
        "compression_ratio": len(raw) / len(zlib.compress(raw)) if raw else 0.0,
        "no_speech_prob": 0.0,
    }


def _words(each: Heard) -> list[Json]:
    return [
        {
            "word": word["text"],
            "start": (each.start_ms + word["start_ms"]) / 1000,
            "end": (each.start_ms + word["end_ms"]) / 1000,
        }
        for word in each.words
    ]


def _subtitles(heard: Sequence[Heard], kind: str) -> str:
    comma = "," if kind == "srt" else "."
    lines = ["WEBVTT\n"] if kind == "vtt" else []
    for number, each in enumerate((each for each in heard if each.text), 1):
        start, end = _clock(each.start_ms, comma), _clock(each.end_ms, comma)
        lines.append(f"{number}\n" * (kind == "srt") + f"{start} --> {end}\n{each.text}\n")
    return "\n".join(lines)


def _clock(at_ms: float, comma: str) -> str:
    ms = round(at_ms)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{comma}{ms % 1000:03}"


def cut_text(text: str, longest: int) -> list[str]:
    """Cut a text into pieces of at most ``longest`` characters: behind sentences, else words."""
    pieces: list[str] = []
    while len(text) > longest:
        head = text[:longest]
        ends = max(head.rfind(mark) for mark in (". ", "? ", "! ", "…", "\n")) + 1
        at = ends or head.rfind(" ") + 1 or longest
        pieces.append(text[:at].strip())
        text = text[at:]
    pieces.append(text.strip())
    return [piece for piece in pieces if piece]
