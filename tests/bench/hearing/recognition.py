"""Word error of Whisper base, raw and cleaned."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

import numpy as np
from faster_whisper import WhisperModel

from runpod_worker.cleaning.deepfilter import DeepFilterStream
from runpod_worker.cleaning.stages import FRAME_BYTES, Cleaner
from runpod_worker.engines.whisper_decoder import Decoding, Passage, WhisperDecoder
from runpod_worker.stages import STT_RATE_HZ, SttOptions
from tests.bench.hearing.score import count_errors, words_of
from tests.bench.hearing.sounds import Clip


BEFORE_S, CUT_BEFORE_S, AFTER_S = 2.0, 0.3, 0.5
"""Of noise before a clip, and what a turn holds around it."""


@dataclass
class Heard:
    """Word errors of one way of hearing, over some clips."""

    errors: int = 0
    words: int = 0
    cpu_s: float = 0.0
    """Of the cleaner."""
    sound_s: float = 0.0

    @property
    def share(self) -> float:
        return self.errors / self.words

    def told(self) -> dict[str, float]:
        return {**asdict(self), "wer": round(self.share, 4)}


def open_whisper(folder: str) -> WhisperDecoder:
    """As profile natural runs it."""
    model = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=1)
    return WhisperDecoder(model, Decoding(temperatures=(0.0,), window_s=15))


def clean(cleaner: Cleaner, line: bytes) -> tuple[bytes, float]:
    """A line through a new stream, and the processor time of it in s."""
    stream = cleaner.open()
    if isinstance(stream, DeepFilterStream):
        stream.wait()  # a call's first second is raw; a bench is faster than a call
    began_s = time.thread_time()
    frames = range(0, len(line) - FRAME_BYTES + 1, FRAME_BYTES)
    cleaned = b"".join(stream.process(line[at : at + FRAME_BYTES]) for at in frames)
    return cleaned, time.thread_time() - began_s


def hear(whisper: WhisperDecoder, clip: Clip, line: bytes, delay_ms: int = 0) -> list[str]:
    """What a turn around the clip gives; [] where the words are not trusted."""
    begin = round((BEFORE_S - CUT_BEFORE_S + delay_ms / 1000) * STT_RATE_HZ)
    end = round((BEFORE_S + AFTER_S + delay_ms / 1000) * STT_RATE_HZ) + len(clip.samples)
    audio = np.frombuffer(line, "<i2")[begin:end].astype(np.float32) / np.float32(32768)
    heard = whisper.decode([Passage(audio, SttOptions(language=clip.language))])[0]
    return words_of(heard.text) if heard.understood else []


def measure(
    whisper: WhisperDecoder, lines: list[tuple[Clip, bytes]], cleaners: dict[str, Cleaner | None]
) -> dict[str, Heard]:
    """Word errors by way of hearing; None is raw."""
    told = {name: Heard() for name in cleaners}
    for clip, line in lines:
        said = words_of(clip.text)
        for name, cleaner in cleaners.items():
            cleaned, cpu_s = clean(cleaner, line) if cleaner else (line, 0.0)
            heard = hear(whisper, clip, cleaned, cleaner.info.delay_ms if cleaner else 0)
            one = told[name]
            one.errors += count_errors(said, heard)
            one.words += len(said)
            one.cpu_s += cpu_s
            one.sound_s += len(line) / 2 / STT_RATE_HZ
    return told
