"""Transcription that starts at a pause, before the turn is known to be over."""

from __future__ import annotations

import asyncio

import pytest

from penny.errors import EngineError
from runpod_worker.engines.whole_utterance import WholeUtterance
from runpod_worker.stages import SttOptions, Transcript


pytestmark = pytest.mark.pure


SECOND = bytes(32_000)


class Scribe:
    """Each transcription waits for ``release`` and tells the seconds it was given."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.heard: list[int] = []
        self.cancelled = 0
        self.failures: list[EngineError] = []

    async def transcribe(self, pcm: bytes, options: SttOptions) -> Transcript:
        self.heard.append(len(pcm) // 32_000)
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failures:
            raise self.failures.pop()
        return Transcript(f"{len(pcm) // 32_000} s", options.language or "es", understood=True)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_turn_that_ends_at_its_pause_has_its_text_already() -> None:
    scribe = Scribe()
    utterance = WholeUtterance(scribe, SttOptions(language="es"))
    utterance.feed(SECOND)
    utterance.pause()
    utterance.feed(SECOND)  # the silence that ends the turn
    scribe.release.set()
    await settle()

    assert utterance.partial() == "1 s"
    assert (await utterance.finish()).text == "1 s"
    assert scribe.heard == [1]


async def test_a_caller_who_goes_on_is_heard_whole() -> None:
    scribe = Scribe()
    utterance = WholeUtterance(scribe, SttOptions())
    utterance.feed(SECOND)
    utterance.pause()
    await settle()
    utterance.resume()
    await settle()
    utterance.feed(SECOND)
    scribe.release.set()

    assert (await utterance.finish()).text == "2 s"
    assert (scribe.heard, scribe.cancelled) == ([1, 2], 1)


async def test_a_trial_that_fails_is_followed_by_the_whole() -> None:
    scribe = Scribe()
    scribe.failures = [EngineError("x", stage="stt")]
    scribe.release.set()
    utterance = WholeUtterance(scribe, SttOptions())
    utterance.feed(SECOND)
    utterance.pause()
    await settle()

    assert utterance.partial() == ""
    assert (await utterance.finish()).text == "1 s"


async def test_the_engines_failure_reaches_the_turn() -> None:
    scribe = Scribe()
    scribe.failures = [EngineError("x", stage="stt", code="stt_gone")]
    scribe.release.set()
    utterance = WholeUtterance(scribe, SttOptions())
    utterance.feed(SECOND)

    with pytest.raises(EngineError, match="x"):
        await utterance.finish()


async def test_a_click_is_not_tried_and_cancelling_ends_the_trial_once() -> None:
    scribe = Scribe()
    ends: list[int] = []
    utterance = WholeUtterance(scribe, SttOptions(), on_end=lambda: ends.append(1))
    utterance.feed(bytes(320))
    utterance.pause()
    await settle()
    assert scribe.heard == []
    utterance.feed(SECOND)
    utterance.pause()
    await settle()
    utterance.cancel()
    utterance.cancel()
    await settle()

    assert (scribe.cancelled, ends) == (1, [1])


async def test_a_turn_given_up_while_it_is_finished_ends_its_trial() -> None:
    scribe = Scribe()
    ends: list[int] = []
    utterance = WholeUtterance(scribe, SttOptions(), on_end=lambda: ends.append(1))
    utterance.feed(SECOND)
    utterance.pause()
    finishing = asyncio.create_task(utterance.finish())
    await settle()
    finishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await finishing

    assert (scribe.cancelled, ends) == (1, [1])
