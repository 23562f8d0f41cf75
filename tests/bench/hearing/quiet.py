"""What is heard where nobody speaks: words in minutes of silence, comfort noise and hold music."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from penny.audio.resample import Resampler
from penny.correction.phantoms import is_phantom
from penny.realtime.commands import SpeechStopped
from runpod_worker.engines.faster_whisper import FasterWhisper, WhisperSettings
from runpod_worker.hearing import AgentVoice, TurnListener
from runpod_worker.settings import TurnSettings
from runpod_worker.stages import Utterance, Vad
from tests.bench.hearing.score import words_of
from tests.bench.hearing.sounds import SPEECH_DBFS, noise, to_pcm


KINDS = ("silence", "comfort noise", "hold music")
COMFORT_DBFS = -60.0
PIECE_S = 60
TICK_BYTES = 48 * 20


@dataclass
class Heard:
    """Of one kind of sound: turns that were taken, those wanting an answer, and their words."""

    minutes: float
    turns: int = 0
    answered: int = 0
    words: int = 0
    phantoms: int = 0
    """Texts that the phrase list dropped."""

    def told(self) -> dict[str, Any]:
        return asdict(self)


def open_ears(folder: str) -> FasterWhisper:
    """As profile natural runs them."""
    return FasterWhisper(
        WhisperSettings(
            model=folder,
            device="cpu",
            compute_type="int8",
            window_s=15,
            languages=("es", "en"),
        )
    )


def sound(kind: str, minute: int, prompts: Path) -> bytes:
    """A minute of it, PCM16 at 16 kHz with nothing above 4 kHz."""
    if kind == "silence":
        return bytes(PIECE_S * 32_000)
    if kind == "hold music":
        return to_pcm(noise("music", PIECE_S, SPEECH_DBFS, prompts, seed=minute + 1))
    white = np.random.default_rng(minute).normal(size=PIECE_S * 8000)
    narrow = to_pcm(white * 32768 * 10 ** (COMFORT_DBFS / 20))
    return Resampler(8000, 16_000).process(narrow)


async def listen(vad: Vad, ears: FasterWhisper, kind: str, minutes: int, prompts: Path) -> Heard:
    """Minutes of one kind through one call."""
    heard = Heard(minutes)
    taken: list[Utterance] = []

    def report(told: object) -> None:
        if isinstance(told, SpeechStopped):
            heard.turns += 1
            heard.answered += told.wants_answer
            listener.commit(lambda utterance, _ms: taken.append(utterance))

    listener = TurnListener(
        vad=vad,
        stt=ears,
        turns=TurnSettings(),
        agent=AgentVoice(),
        report=report,
        on_partial=lambda _words: None,
        on_turn_decided=lambda *_: None,
        on_words_at_pause=lambda _words: None,
        on_hold=lambda _held: None,
    )
    listener.configure({"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}})
    up = Resampler(16_000, 24_000)
    for minute in range(minutes):
        pcm = up.process(sound(kind, minute, prompts))
        for at in range(0, len(pcm), TICK_BYTES):
            listener.feed(pcm[at : at + TICK_BYTES])

    def end(utterance: Utterance, _ms: int) -> None:
        utterance.cancel()
        listener.close()

    listener.commit(end)
    await listener.run()
    for utterance in taken:
        transcript = await utterance.finish()
        if transcript.understood:
            heard.phantoms += is_phantom(transcript.text)
            heard.words += 0 if is_phantom(transcript.text) else len(words_of(transcript.text))
    return heard
