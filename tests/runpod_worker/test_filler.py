"""The filler of a slow answer: late enough, once, in time, and out of the answer's way."""

from __future__ import annotations

import asyncio

import pytest

from penny.realtime.commands import AudioDelta, PhraseDelta
from runpod_worker.filler import BYTES_PER_S, Fillers, Filling, ThinkingAloud
from runpod_worker.stages import Voice
from tests.doubles.engines import FixedTts


pytestmark = pytest.mark.socket


SENTENCES = {"es": ("Déjeme pensar…", "Un momento…")}
VOICE = Voice("es", "tone")
SECOND = b"\x01\x00" * (BYTES_PER_S // 2)


def test_pieces_are_sent_a_little_ahead_of_their_time() -> None:
    filling = Filling(10.0)
    filling.begin(SECOND)
    sent = []
    while not filling.over:
        sent.append((round(filling.due_s(), 3), len(filling.take())))

    assert [at for at, _ in sent] == [10, 10, 10, 10.1, 10.2, 10.3, 10.4, 10.5, 10.6, 10.7]
    assert sum(size for _, size in sent) == BYTES_PER_S


@pytest.mark.parametrize(("pieces", "rest_s"), [(0, 0.0), (3, 0.0), (6, 0.0), (7, 0.3), (9, 0.1)])
def test_an_answer_cuts_it_short_but_for_a_last_syllable(pieces: int, rest_s: float) -> None:
    filling = Filling(0.0)
    filling.begin(SECOND)
    for _ in range(pieces):
        filling.take()

    assert len(filling.stop()) == round(rest_s * BYTES_PER_S)
    assert filling.over


def test_no_sound_is_no_filler() -> None:
    filling = Filling(0.0)
    filling.begin(b"")

    assert filling.over
    assert filling.stop() == b""


class Caller:
    """What a caller hears of one connection, with the time of each."""

    def __init__(self, after_ms: int = 1500) -> None:
        self.heard: list[tuple[float, str | int]] = []
        self.fillers = Fillers(FixedTts(), SENTENCES)
        self.thinking = ThinkingAloud(self.fillers, after_ms, self._take)
        self._clock = asyncio.get_running_loop().time
        self._zero_s = self._clock()

    def _take(self, report: PhraseDelta | AudioDelta) -> None:
        what = report.text if isinstance(report, PhraseDelta) else len(report.pcm)
        self.heard.append((round(self._clock() - self._zero_s, 3), what))

    def ask(self, silent_ms: int = 500) -> asyncio.Task[None]:
        return asyncio.create_task(self.thinking.run("resp_1", lambda: VOICE, silent_ms))


@pytest.mark.virtual_time
async def test_it_begins_that_long_after_the_last_word() -> None:
    caller = Caller()
    await caller.thinking.prepare(VOICE)

    await caller.ask(silent_ms=600)

    assert caller.heard[0] == (0.9, "Déjeme pensar… ")
    assert caller.heard[1] == (0.9, BYTES_PER_S // 10)
    assert sum(size for _, size in caller.heard[1:] if isinstance(size, int)) == 48 * 900


@pytest.mark.virtual_time
async def test_an_answer_in_time_leaves_no_room_for_it() -> None:
    caller = Caller()
    await caller.thinking.prepare(VOICE)
    asking = caller.ask()
    await asyncio.sleep(0.9)

    caller.thinking.stop("resp_1")
    await asking

    assert caller.heard == []


@pytest.mark.virtual_time
async def test_the_answer_cuts_it() -> None:
    caller = Caller()
    await caller.thinking.prepare(VOICE)
    asking = caller.ask(silent_ms=1500)
    await asyncio.sleep(0.05)
    sent = len(caller.heard)

    caller.thinking.stop("resp_1")
    await asking

    assert sent == 4  # its words, and three pieces: one now and two ahead
    assert len(caller.heard) == sent


@pytest.mark.virtual_time
async def test_they_take_turns_and_are_made_once() -> None:
    caller = Caller()
    await caller.thinking.prepare(VOICE)
    await caller.thinking.prepare(VOICE)
    await caller.ask()
    await caller.ask()

    assert [what for _, what in caller.heard if isinstance(what, str)] == [
        "Déjeme pensar… ",
        "Un momento… ",
    ]


@pytest.mark.virtual_time
@pytest.mark.parametrize("after_ms", [0, 1500])
async def test_without_a_recording_or_a_time_it_is_silence(after_ms: int) -> None:
    caller = Caller(after_ms)

    await caller.ask()

    assert caller.heard == []
