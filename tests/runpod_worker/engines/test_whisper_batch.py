"""Passages of several callers in one run of one model."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager

import pytest

from penny.errors import EngineError
from runpod_worker.engines.whisper_batch import WhisperBatch
from runpod_worker.engines.whisper_decoder import Passage
from runpod_worker.stages import SttOptions, Transcript


pytestmark = pytest.mark.pure


class Decoder:
    """Tells each caller its prompt back; holds a run until ``go`` is set."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Semaphore(0)
        self.runs: list[list[str]] = []
        self.failure: Exception | None = None

    def group(self, passage: Passage) -> Hashable:
        return passage.options.language

    def decode(self, passages: Sequence[Passage]) -> list[Transcript]:
        self.runs.append([passage.options.prompt for passage in passages])
        self.begun.release()
        assert self.go.wait(5)
        if self.failure is not None:
            raise self.failure
        return [Transcript(passage.options.prompt, "es", understood=True) for passage in passages]


@asynccontextmanager
async def running(decoder: Decoder, **limits: float) -> AsyncIterator[WhisperBatch]:
    batch = WhisperBatch(decoder, **limits)  # type: ignore[arg-type]
    try:
        yield batch
    finally:
        decoder.go.set()
        await batch.aclose()


def ask(batch: WhisperBatch, prompt: str, language: str = "es") -> asyncio.Task[Transcript]:
    options = SttOptions(language=language, prompt=prompt)
    return asyncio.create_task(batch.transcribe(bytes(3200), options))


async def until_begun(decoder: Decoder) -> None:
    assert await asyncio.to_thread(decoder.begun.acquire, timeout=60)


async def test_callers_of_the_same_moment_share_a_run_and_get_their_own_text() -> None:
    decoder = Decoder()
    async with running(decoder, window_s=5) as batch:
        for _ in range(3):
            batch.enter()
        texts = await asyncio.gather(*(ask(batch, prompt) for prompt in "abc"))

    assert [transcript.text for transcript in texts] == ["a", "b", "c"]
    assert decoder.runs == [["a", "b", "c"]]
    assert batch.batches == {3: 1}


async def test_a_caller_alone_waits_for_nobody() -> None:
    decoder = Decoder()
    async with running(decoder, window_s=60) as batch:
        batch.enter()
        assert (await ask(batch, "a")).text == "a"


async def test_a_caller_who_leaves_closes_the_batch_of_the_others() -> None:
    decoder = Decoder()
    async with running(decoder, window_s=60) as batch:
        batch.enter()
        batch.enter()
        waiting = ask(batch, "a")
        await asyncio.sleep(0)
        batch.leave()
        assert (await waiting).text == "a"


async def test_the_window_ends_the_wait_for_callers_who_go_on_speaking() -> None:
    decoder = Decoder()
    async with running(decoder, window_s=0.01) as batch:
        batch.enter()
        batch.enter()
        assert (await ask(batch, "a")).text == "a"


async def test_passages_that_come_during_a_run_form_the_next_one_of_a_kind() -> None:
    decoder = Decoder()
    decoder.go.clear()
    async with running(decoder, max_batch=2) as batch:
        first = ask(batch, "a")
        await until_begun(decoder)
        later = [ask(batch, "b"), ask(batch, "c", "en"), ask(batch, "d"), ask(batch, "e")]
        await asyncio.sleep(0)
        decoder.go.set()
        await asyncio.gather(first, *later)

    assert decoder.runs == [["a"], ["b", "d"], ["c"], ["e"]]


async def test_a_place_given_up_is_not_decoded() -> None:
    decoder = Decoder()
    decoder.go.clear()
    async with running(decoder) as batch:
        first = ask(batch, "a")
        await until_begun(decoder)
        gone, kept = ask(batch, "b"), ask(batch, "c")
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        decoder.go.set()
        await asyncio.gather(first, kept)

    assert decoder.runs == [["a"], ["c"]]


async def test_one_too_many_is_refused_and_a_failure_reaches_every_caller_of_its_run() -> None:
    decoder = Decoder()
    decoder.go.clear()
    decoder.failure = RuntimeError("CUDA out of memory")
    async with running(decoder, max_waiting=1) as batch:
        first = ask(batch, "a")
        await until_begun(decoder)
        second = ask(batch, "b")
        await asyncio.sleep(0)
        with pytest.raises(EngineError) as refused:
            await ask(batch, "c")
        decoder.go.set()
        outcomes = await asyncio.gather(first, second, return_exceptions=True)

    assert refused.value.code == "stt_overloaded"
    assert [str(outcome) for outcome in outcomes] == ["Whisper failed: CUDA out of memory"] * 2


async def test_closing_answers_those_who_still_wait() -> None:
    decoder = Decoder()
    decoder.go.clear()
    batch = WhisperBatch(decoder)
    first = ask(batch, "a")
    await until_begun(decoder)
    second = ask(batch, "b")
    await asyncio.sleep(0)
    closing = asyncio.create_task(batch.aclose())
    with pytest.raises(EngineError, match="closed"):
        await second
    decoder.go.set()
    await closing
    assert (await first).text == "a"
    with pytest.raises(EngineError, match="closed"):
        await batch.transcribe(b"", SttOptions())
