"""Engines by name: each file is imported only when its engine is chosen."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from runpod_worker.stages import Llm, Stt, Tts, Vad


log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Engines:
    """The four stages, loaded; shared by every connection of a worker."""

    vad: Vad
    stt: Stt
    llm: Llm
    tts: Tts

    async def aclose(self) -> None:
        for engine in (self.vad, self.stt, self.llm, self.tts):
            await engine.aclose()


async def load_engines(settings: WorkerSettings) -> Engines:
    raise NotImplementedError
