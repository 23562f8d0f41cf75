"""Token counts. Text tokens are the engine's own or estimated, audio tokens follow from durations.

OpenAI's rates: one token per 100 ms of the user's audio, one per 50 ms of the assistant's; a
fraction counts as a whole token, per item. In the context, an item counts with the audio that it
holds there (a truncated answer with what was heard).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from penny.realtime.commands import Json


INPUT_MS_PER_TOKEN = 100
OUTPUT_MS_PER_TOKEN = 50
CHARACTERS_PER_TOKEN = 3.2
"""Spanish prose under Qwen2.5's and Llama 3's byte-level tokenizers; English lies near 4.2."""


def estimate_tokens(text: str, characters_per_token: float = CHARACTERS_PER_TOKEN) -> int:
    """How many text tokens ``text`` has, rounded up, where no tokenizer is at hand."""
    return ceil(len(text) / characters_per_token)


def count_input_audio(audio_ms: int) -> int:
    return -(-audio_ms // INPUT_MS_PER_TOKEN)


def count_output_audio(audio_ms: int) -> int:
    return -(-audio_ms // OUTPUT_MS_PER_TOKEN)


@dataclass(slots=True)
class Usage:
    """Tokens of one response."""

    input_text: int = 0
    input_audio: int = 0
    cached_text: int = 0
    output_text: int = 0
    output_audio: int = 0

    @property
    def total(self) -> int:
        return self.input_text + self.input_audio + self.output_text + self.output_audio

    def to_json(self) -> Json:
        """Return GA usage with every detail object, as clients need them."""
        return {
            "total_tokens": self.total,
            "input_tokens": self.input_text + self.input_audio,
            "output_tokens": self.output_text + self.output_audio,
            "input_token_details": {
                "text_tokens": self.input_text,
                "audio_tokens": self.input_audio,
                "image_tokens": 0,
                "cached_tokens": self.cached_text,
                "cached_tokens_details": {
                    "text_tokens": self.cached_text,
                    "audio_tokens": 0,
                    "image_tokens": 0,
                },
            },
            "output_token_details": {
                "text_tokens": self.output_text,
                "audio_tokens": self.output_audio,
            },
        }


def describe_transcription(audio_ms: int, text_tokens: int) -> Json:
    """Return the ``usage`` of a completed input transcription."""
    audio_tokens = count_input_audio(audio_ms)
    return {
        "type": "tokens",
        "total_tokens": audio_tokens + text_tokens,
        "input_tokens": audio_tokens,
        "input_token_details": {"text_tokens": 0, "audio_tokens": audio_tokens},
        "output_tokens": text_tokens,
    }
