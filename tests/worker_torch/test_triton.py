"""The project's model repository on a real tritonserver, and what the caller notices of its end."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from runpod_worker.engines.faster_whisper import FasterWhisper, WhisperSettings
from runpod_worker.engines.triton_stt import TritonStt
from runpod_worker.settings import TritonSettings
from runpod_worker.stages import SttOptions, Voice
from tests.runpod_worker.engines.speech import speak
from tests.worker_torch.triton_server import TritonServer, serving


pytestmark = pytest.mark.socket


PHRASE = "quiero hablar con una persona"
OPTIONS = SttOptions(language="es")


def connect(server: TritonServer, whisper: Path, **settings: float) -> TritonStt:
    local = FasterWhisper(WhisperSettings(str(whisper), device="cpu", compute_type="int8"))
    chosen = TritonSettings(url=server.url, **settings)  # type: ignore[arg-type]
    return TritonStt(chosen, local, local)


async def test_triton_hears_callers_side_by_side(whisper: Path, tmp_path: Path) -> None:
    pcm = await speak(PHRASE, Voice())
    async with serving(whisper, tmp_path) as server:
        assert len(server.stub_ids()) == 2
        stt = connect(server, whisper)
        heard = await asyncio.gather(*(stt.transcribe(pcm, OPTIONS) for _ in range(4)))
        await stt.aclose()

    assert [transcript.text for transcript in heard] == [PHRASE] * 4
    assert heard[0].understood

    assert stt.fallbacks == 0


async def test_its_model_processes_die_and_no_utterance_is_lost(
    whisper: Path, tmp_path: Path
) -> None:
    pcm = await speak(PHRASE, Voice())
    async with serving(whisper, tmp_path) as server:
        stt = connect(server, whisper, recovery_s=60)
        server.kill_stubs()
        texts = [(await stt.transcribe(pcm, OPTIONS)).text for _ in range(4)]
        await stt.aclose()

    assert texts == [PHRASE] * 4
    assert (stt.fallbacks, stt.breaker.opened) == (4, 1)


async def test_a_server_that_comes_back_is_found_by_a_canary(whisper: Path, tmp_path: Path) -> None:
    pcm = await speak(PHRASE, Voice())
    async with serving(whisper, tmp_path) as server:
        port = int(server.url.rsplit(":", 1)[1])
        stt = connect(server, whisper, recovery_s=0.2)
        await server.stop()
        for _ in range(2):
            assert (await stt.transcribe(pcm, OPTIONS)).text == PHRASE
        assert stt.breaker.state(time.monotonic()) != "closed"
    async with serving(whisper, tmp_path, port=port), asyncio.timeout(30):
        while stt.breaker.state(time.monotonic()) != "closed":
            assert (await stt.transcribe(pcm, OPTIONS)).text == PHRASE
        before = stt.fallbacks
        assert (await stt.transcribe(pcm, OPTIONS)).text == PHRASE
        assert stt.fallbacks == before
        await stt.aclose()
