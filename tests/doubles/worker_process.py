"""A real worker process whose thinking is replaced by waiting.

Run it as ``python -m tests.doubles.worker_process``.

Silero listens, the Realtime server and its pipeline are the real ones. The answer tells how many
items the model was shown, so that a test can see what a worker knew.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator

import structlog

from runpod_worker.engines.registry import Engines
from runpod_worker.engines.silero import SileroVad
from runpod_worker.server import serve
from runpod_worker.settings import WorkerSettings
from runpod_worker.stages import LlmDelta, LlmRequest
from tests.doubles.engines import NO_FILLER, FixedLlm, FixedStt, FixedTts


SLOW = "despacio"
"""A question with this word is answered word by word, half a second each: time to be killed in."""


class TellingLlm(FixedLlm):
    """Answers with what it was asked last: the whole conversation is in the request."""

    async def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        said = [part_text(item) for item in request.items if item.get("role") == "user"]
        answer = f"Sé {len(said)} cosas. " + ". ".join(said)
        gap_s = 0.5 if SLOW in said[-1] else 0.0
        async for delta in FixedLlm(answer, gap_s=gap_s).generate(request):
            yield delta


def part_text(item: dict[str, object]) -> str:
    content = item["content"]
    assert isinstance(content, list)
    return str(content[0].get("text") or content[0].get("transcript"))


async def load(_settings: WorkerSettings) -> Engines:
    return Engines(SileroVad(), FixedStt(default="hola"), TellingLlm(), FixedTts())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--announce", action="store_true")
    parser.add_argument("--config")
    given = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    slots = int(os.environ.get("TEST_WORKER_SLOTS", "4"))
    settings = WorkerSettings(slots=slots, spoken=NO_FILLER)
    listening = socket.create_server((given.host, given.port))
    asyncio.run(serve(settings, listening, announce=given.announce, load=load))


if __name__ == "__main__":
    main()
