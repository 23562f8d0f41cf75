"""XTTS by coqui-tts itself, in its pool of processes; the weights are small and random."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
import pytest_asyncio

from penny.audio.wav import write_wav
from penny.errors import EngineError
from runpod_worker.engines.xtts import XttsTts
from runpod_worker.settings import XttsSettings
from runpod_worker.stages import Voice
from runpod_worker.voice_samples import VoiceSamples
from tests.doubles.speech import speak


pytestmark = [pytest.mark.process, pytest.mark.asyncio(loop_scope="module")]

PHRASE = "Hola, buenos días. ¿En qué puedo ayudarle?"
SAMPLE = (
    "Buenos días, le atiende Penny, la asistente de la compañía. ¿En qué puedo ayudarle esta "
    "mañana? Dígame su nombre, por favor."
)


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("voices")
    sample = tmp_path_factory.mktemp("samples") / "ana.wav"
    write_wav(sample, speak(SAMPLE), 24_000)
    VoiceSamples(folder).add("ana", sample)
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool(xtts: Path, voices: Path, stand_ins: None) -> AsyncIterator[XttsTts]:
    """One for all tests, as starting it takes ten seconds."""
    tts = XttsTts(XttsSettings(accept_license=True, model=xtts, voices=voices, processes=2))
    await tts.start()
    yield tts
    await tts.aclose()


async def say(tts: XttsTts, voice: str = "") -> int:
    """Samples spoken."""
    pieces = [pcm async for pcm in tts.synthesize(PHRASE, Voice(name=voice))]
    return len(b"".join(pieces)) // 2


async def _exhaust(phrase: AsyncIterator[bytes]) -> None:
    async for _ in phrase:
        pass


async def test_it_speaks_with_its_own_voices_and_with_a_cloned_one(
    pool: XttsTts, voices: Path
) -> None:
    assert pool.voices() == ("ana", "Carlos", "Penny")
    assert "es" in pool.info.languages
    for voice in ("ana", "Carlos", "unknown"):
        assert await say(pool, voice) > 240
    kept = list(voices.glob("ana.*.latents"))
    assert len(kept) == 1  # both processes and the next start find it
    before = kept[0].stat().st_mtime_ns
    assert await asyncio.gather(say(pool, "ana"), say(pool, "ana"))
    assert kept[0].stat().st_mtime_ns == before


async def test_phrases_of_many_callers_share_the_processes(pool: XttsTts) -> None:
    heard = await asyncio.gather(*(say(pool) for _ in range(6)))

    assert all(samples > 240 for samples in heard)


async def test_an_interrupted_phrase_frees_its_process(pool: XttsTts) -> None:
    for _ in range(6):  # more than there are processes
        async with aclosing(pool.synthesize(PHRASE, Voice())) as pieces:  # type: ignore[type-var]
            await anext(pieces)
    async with asyncio.timeout(120):
        assert await say(pool) > 240
    assert pool.restarts == 0  # the test after this one kills a process


async def test_a_process_that_dies_fails_its_phrase_and_is_replaced(pool: XttsTts) -> None:
    for instance in pool._instances:  # held, so that none has said it all before it is killed
        assert await instance.until_idle(60)  # of what the test before interrupted
        assert instance._process is not None
        os.kill(instance._process.pid, signal.SIGSTOP)
    phrase = asyncio.create_task(_exhaust(pool.synthesize(PHRASE, Voice())))
    while all(at._idle.is_set() for at in pool._instances):
        await asyncio.sleep(0.01)
    for instance in pool._instances:
        assert instance._process is not None
        spared = instance._idle.is_set()
        os.kill(instance._process.pid, signal.SIGCONT if spared else signal.SIGKILL)
    with pytest.raises(EngineError, match="process ended"):
        await phrase
    assert await say(pool) > 240  # the other one speaks
    deadline_s = time.monotonic() + 60
    while pool.restarts == 0 and time.monotonic() < deadline_s:
        await asyncio.sleep(0.1)
    assert pool.restarts == 1


async def test_broken_weights_end_the_start_with_the_librarys_last_words(
    xtts: Path, tmp_path: Path, stand_ins: None
) -> None:
    for name in ("config.json", "vocab.json"):
        (tmp_path / name).write_bytes((xtts / name).read_bytes())
    (tmp_path / "model.pth").write_bytes(b"no weights")
    tts = XttsTts(XttsSettings(accept_license=True, model=tmp_path, processes=1))
    with pytest.raises(EngineError, match="XTTS does not start: .+"):
        await tts.start()
    await tts.aclose()
