"""Which branch of a line is cleaned when: the VAD's where it is loud, the recogniser's by wish."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from runpod_worker.cleaning.budget import Budget
from runpod_worker.cleaning.ears import EarsCleaning, When
from runpod_worker.cleaning.vad import CleanedVad
from runpod_worker.stages import EngineInfo, Window
from tests.doubles.loudness_vad import LoudnessVad
from tests.runpod_worker.cleaning.doubles import CLEAN, RAW, Clock, TimedCleaner


pytestmark = pytest.mark.pure

LOUD_DB, QUIET_DB = 3.0, 20.0


def sound(amplitude: int, ms: int) -> bytes:
    return (np.random.default_rng(1).normal(0, amplitude, 16 * ms)).astype("<i2").tobytes()


async def test_a_loud_line_is_cleaned_for_the_vad_and_a_quiet_one_is_not() -> None:
    budget = Budget(400)
    vad = CleanedVad(LoudnessVad(), TimedCleaner(Clock()), budget)
    assert vad.info.name == "loudness behind timed"
    quiet, loud = vad.open(), vad.open()
    heard = {}
    for name, stream, amplitude in (("quiet", quiet, 8), ("loud", loud, 1000)):
        pcm = sound(amplitude, 3000)
        pieces = [pcm[at : at + 640] for at in range(0, len(pcm), 640)]
        heard[name] = [one.probability for piece in pieces for one in await stream.feed(piece)]
    assert budget.active == 1
    assert set(heard["quiet"]) == {0.0}
    assert heard["loud"][0] == 1.0  # the level is not known yet
    assert heard["loud"][-1] == 0.0  # what the cleaner gives is faint
    loud.reset()
    del stream, loud
    gc.collect()
    assert budget.active == 0
    await vad.aclose()


@pytest.mark.parametrize(
    ("when", "is_asked", "snr_db", "cleaned"),
    [
        ("never", True, LOUD_DB, False),
        ("asked", False, LOUD_DB, False),
        ("asked", True, QUIET_DB, True),
        ("noisy", False, LOUD_DB, True),
        ("noisy", False, QUIET_DB, False),
        ("noisy", True, QUIET_DB, True),
        ("always", False, QUIET_DB, True),
    ],
)
def test_the_recogniser_hears_a_cleaned_line_when_that_is_chosen(
    when: When, is_asked: bool, snr_db: float, cleaned: bool
) -> None:
    ears = EarsCleaning(TimedCleaner(Clock()), Budget(400), when=when).open()
    ears.is_asked = is_asked
    assert ears.process(RAW, snr_db, in_turn=False) == (CLEAN if cleaned else RAW)
    ears.close()


def test_nothing_changes_within_a_turn() -> None:
    budget = Budget(400)
    ears = EarsCleaning(TimedCleaner(Clock()), budget, when="noisy").open()
    assert ears.process(RAW, QUIET_DB, in_turn=False) == RAW
    assert ears.process(RAW, LOUD_DB, in_turn=True) == RAW
    assert ears.process(RAW, LOUD_DB, in_turn=False) == CLEAN
    assert ears.process(RAW, QUIET_DB, in_turn=True) == CLEAN
    ears.close()
    assert budget.active == 0


def test_without_a_cleaner_every_call_is_raw() -> None:
    ears = EarsCleaning().open()
    ears.is_asked = True
    assert ears.process(RAW, LOUD_DB, in_turn=False) == RAW
    ears.close()


class Unsure:
    """A VAD that finds every window as likely as it is told."""

    def __init__(self, probability: float) -> None:
        self.info = EngineInfo("unsure", ())
        self._probability = probability

    def open(self) -> Unsure:
        return self

    async def feed(self, pcm: bytes) -> list[Window]:
        return [Window(self._probability, len(pcm) // 32)]

    def reset(self) -> None:
        """Nothing is remembered."""

    async def aclose(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize(("found", "told"), [(0.9, 0.9), (0.75, 0.75), (0.7, 0.315), (0.0, 0.0)])
async def test_on_a_cleaned_line_speech_must_be_sure(found: float, told: float) -> None:
    stream = CleanedVad(Unsure(found), TimedCleaner(Clock()), Budget(400)).open()
    first = await stream.feed(sound(1000, 20))
    assert first == [Window(found, 20)]  # raw: how loud it is, is not known yet
    windows = [one for _ in range(150) for one in await stream.feed(sound(1000, 20))]
    assert windows[-1].probability == pytest.approx(told)


async def test_a_soft_bar_does_not_end_the_cleaning_and_a_quiet_line_does() -> None:
    budget = Budget(400)
    stream = CleanedVad(Unsure(1.0), TimedCleaner(Clock()), budget).open()
    cleaned = []
    for amplitude, seconds in ((1000, 3), (8, 12), (8, 12)):
        for _ in range(50 * seconds):
            await stream.feed(sound(amplitude, 20))
        cleaned.append(budget.active)
    assert cleaned == [1, 1, 0]
