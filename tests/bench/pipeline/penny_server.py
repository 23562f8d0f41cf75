"""Penny's worker with engines of fixed latency. Prints its port.

    python -m tests.bench.pipeline.penny_server

The session's turn detection is the client's to choose.
"""

from __future__ import annotations

import asyncio

import uvloop
from aiohttp import web

from runpod_worker.engines.registry import Engines
from runpod_worker.engines.silero import SileroVad
from runpod_worker.server import Worker
from runpod_worker.settings import WorkerSettings
from runpod_worker.stages import EngineInfo, SttOptions, Transcript
from tests.bench.pipeline import parts
from tests.doubles.engines import FixedLlm, FixedTts


class StreamingUtterance:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._recogniser = parts.Recogniser()

    def feed(self, pcm: bytes) -> None:
        self._recogniser.feed(pcm, self._loop.time())

    def pause(self) -> None:
        return None

    def resume(self) -> None:
        return None

    def partial(self) -> str:
        due_s = self._recogniser.due_s()
        return parts.QUESTION if due_s is not None and self._loop.time() >= due_s else ""

    async def finish(self) -> Transcript:
        due_s = self._recogniser.due_s()
        if due_s is not None:
            await asyncio.sleep(due_s - self._loop.time())
        return Transcript(parts.QUESTION, "es", understood=True)

    def cancel(self) -> None:
        return None


class StreamingStt:
    def __init__(self) -> None:
        self.info = EngineInfo("streaming-stt", ("es",))

    def begin(self, options: SttOptions) -> StreamingUtterance:
        return StreamingUtterance()

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    async def aclose(self) -> None:
        return None


async def main() -> None:
    settings = WorkerSettings.model_validate(
        {"turns": {"min_interruption_ms": 96}, "slots": 64, "log_level": "warning"}
    )
    engines = Engines(
        SileroVad(),
        StreamingStt(),
        FixedLlm(parts.ANSWER, first_s=parts.LLM_FIRST_S, gap_s=parts.LLM_GAP_S),
        FixedTts(first_s=parts.TTS_FIRST_S),
    )
    runner = web.AppRunner(Worker(settings, engines).app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
