"""Turns that a worker's ears find on a loud line: false starts, and speech that is missed."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from penny.realtime.commands import SpeechStarted
from runpod_worker.hearing import AgentVoice, TurnListener
from runpod_worker.settings import TurnSettings
from runpod_worker.stages import Vad
from tests.bench.hearing.sounds import GAP_S, RATE_HZ, TICK, Clip, loud_ticks, to_pcm
from tests.doubles.engines import FixedStt


TICK_MS = 20
AROUND_MS = 300
"""A start so near to speech is that speech's."""
TAKEN = (2, 3)
"""The line's 16 kHz become the connection's 24 kHz."""


@dataclass
class Found:
    """What was found of a line: starts where there was no speech, and the share of speech that
    lay within a turn."""

    false_starts: int = 0
    pause_s: float = 0.0
    """Of the line without speech, in which they could be."""
    recall: float = 0.0
    cpu_ms_per_s: float = 0.0
    """All of hearing, without a recogniser."""

    def told(self) -> dict[str, Any]:
        return asdict(self)


def build_line(clips: list[Clip]) -> tuple[np.ndarray, np.ndarray]:
    """Clips with pauses of ``GAP_S`` around each: samples, and which of its 20 ms are speech."""
    gap = np.zeros(round(GAP_S * RATE_HZ))
    parts, speech = [gap], [np.zeros(len(gap) // TICK, bool)]
    for clip in clips:
        whole = clip.samples[: len(clip.samples) // TICK * TICK]
        parts += [whole, gap]
        speech += [loud_ticks(whole), np.zeros(len(gap) // TICK, bool)]
    return np.concatenate(parts), np.concatenate(speech)


async def listen(vad: Vad, line: np.ndarray, speech: np.ndarray) -> Found:
    """A whole line through a listener, in pieces of 20 ms as a call brings them."""
    starts: list[int] = []
    ends: list[int] = []

    def report(told: object) -> None:
        if isinstance(told, SpeechStarted):
            starts.append(told.audio_start_ms)
        elif type(told).__name__ == "SpeechStopped":
            listener.commit(lambda utterance, _ms: utterance.cancel())

    listener = TurnListener(
        vad=vad,
        stt=FixedStt(),
        turns=TurnSettings(),
        agent=AgentVoice(),
        report=report,
        on_partial=lambda _words: None,
        on_turn_decided=lambda end_ms, *_: ends.append(end_ms),
        on_words_at_pause=lambda _words: None,
        on_hold=lambda _held: None,
    )
    listener.configure({"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}})
    at = np.arange(0, len(line), TAKEN[0] / TAKEN[1])
    pcm = to_pcm(np.interp(at, np.arange(len(line)), line))
    began_s = time.process_time()
    for start in range(0, len(pcm), 48 * TICK_MS):
        listener.feed(pcm[start : start + 48 * TICK_MS])
    listener.commit(lambda _utterance, _ms: listener.close())
    await listener.run()
    seconds = len(line) / RATE_HZ
    cost = (time.process_time() - began_s) * 1000 / seconds
    return _judge(starts, ends, speech, cost)


def _judge(starts: list[int], ends: list[int], speech: np.ndarray, cost: float) -> Found:
    padding = TurnSettings().prefix_padding_ms
    around = AROUND_MS // TICK_MS
    near = np.convolve(speech, np.ones(2 * around + 1), "same") > 0
    false = 0
    within = np.zeros(len(speech), bool)
    bounds = [*ends, len(speech) * TICK_MS][: len(starts)]
    for start_ms, end_ms in zip(starts, bounds, strict=False):
        first = min((start_ms + padding) // TICK_MS, len(speech) - 1)
        false += not near[first : first + around].any()
        within[start_ms // TICK_MS : end_ms // TICK_MS] = True
    recall = float((within & speech).sum() / speech.sum())
    pause_s = float((~near).sum()) * TICK_MS / 1000
    return Found(false, round(pause_s, 1), round(recall, 4), round(cost, 1))
