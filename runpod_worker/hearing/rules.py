"""A session's ``turn_detection`` as rules; what it leaves out is the worker's own. Pure."""

from __future__ import annotations

from typing import Any

from penny.turns.endpointing import Endpointing
from penny.turns.segmenter import SegmenterSettings
from runpod_worker.settings import TurnSettings


Json = dict[str, Any]


def read_segmenting(detection: Json, turns: TurnSettings) -> SegmenterSettings:
    """What counts as speech and as a pause."""
    return SegmenterSettings(
        threshold=detection.get("threshold") or turns.threshold,
        min_speech_ms=turns.min_speech_ms,
        prefix_padding_ms=_given(detection, "prefix_padding_ms", turns.prefix_padding_ms),
        silence_duration_ms=_silence_ms(detection, turns),
        max_turn_ms=turns.max_turn_ms,
    )


def read_endpointing(detection: Json, turns: TurnSettings) -> Endpointing:
    """How much silence ends a turn."""
    return Endpointing(
        "semantic_vad" if detection.get("type") == "semantic_vad" else "server_vad",
        _silence_ms(detection, turns),
        detection.get("eagerness") or "auto",
    )


def _silence_ms(detection: Json, turns: TurnSettings) -> int:
    # A client may say 0; even so it takes a window without speech to know of the silence.
    return max(1, _given(detection, "silence_duration_ms", turns.silence_duration_ms))


def _given(values: Json, key: str, default: int) -> int:
    value = values.get(key)
    return default if value is None else int(value)
