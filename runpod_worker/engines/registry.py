"""Engines by name: each file is imported only when its engine is chosen.

An engine joins here: its name in ``settings.EngineChoice``, its loader in one of the tables.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from penny.errors import EngineError
from runpod_worker.cleaning.budget import Budget
from runpod_worker.cleaning.ears import EarsCleaning
from runpod_worker.cleaning.loading import clean_ears, gate
from runpod_worker.engines import loaders
from runpod_worker.engines.loaders import Loading
from runpod_worker.settings import WorkerSettings
from runpod_worker.stages import Llm, Stt, Tts, TurnDetector, Vad


log = structlog.get_logger()


Engine = TypeVar("Engine")


@dataclass(frozen=True, slots=True)
class Engines:
    """The four stages, loaded; shared by every connection of a worker.

    ``cleaning`` is what the recogniser's branch goes through, ``budget`` what all may take.
    """

    vad: Vad
    stt: Stt
    llm: Llm
    tts: Tts
    turn: TurnDetector | None = None
    cleaning: EarsCleaning = field(default_factory=EarsCleaning)
    budget: Budget = field(default_factory=lambda: Budget(0.0))

    async def aclose(self) -> None:
        for engine in (self.vad, self.stt, self.llm, self.tts, self.turn):
            if engine is not None:
                await engine.aclose()


async def load_engines(settings: WorkerSettings) -> Engines:
    """Load the chosen engines, one after the other; what was loaded is closed if one fails.

    Raises:
        EngineError: an engine does not load, or is not part of this build.
        IndexUnavailable: the knowledge base has no index.
    """
    loading, choice = Loading(settings), settings.choice
    async with AsyncExitStack() as loaded:
        loaded.callback(loading.close)
        vad = await _find(_VADS, "vad", choice.vad)(loading)
        loaded.push_async_callback(vad.aclose)
        stt = await _find(_STTS, "stt", choice.stt)(loading)
        loaded.push_async_callback(stt.aclose)
        llm = await _find(_LLMS, "llm", choice.llm)(loading)
        loaded.push_async_callback(llm.aclose)
        tts = await _find(_TTSS, "tts", choice.tts)(loading)
        loaded.push_async_callback(tts.aclose)
        turn = await _find(_TURNS, "turn", choice.turn)(loading)
        budget = Budget(settings.hearing.cpu_ms_per_s)
        vad = await gate(vad, settings, budget)
        cleaning = await clean_ears(settings, budget)
        loaded.pop_all()
    log.info("engines_loaded", **choice.model_dump())
    return Engines(vad, stt, llm, tts, turn, cleaning, budget)


def _find(
    loaders: dict[str, Callable[[Loading], Awaitable[Engine]]], stage: str, name: str
) -> Callable[[Loading], Awaitable[Engine]]:
    loader = loaders.get(name)
    if loader is None:
        known = ", ".join(sorted(loaders))
        raise EngineError(
            f"profiles: {stage}: {name} is not part of this build; available: {known}",
            stage=stage,
            code="engine_missing",
        )
    return loader


_VADS: dict[str, Callable[[Loading], Awaitable[Vad]]] = {"silero": loaders.load_silero}
_STTS: dict[str, Callable[[Loading], Awaitable[Stt]]] = {
    "embedded": loaders.load_ears,
    "faster-whisper": loaders.load_faster_whisper,
    "triton": loaders.load_triton,
    "openai-compatible": loaders.load_openai_stt,
}
_LLMS: dict[str, Callable[[Loading], Awaitable[Llm]]] = {
    "reader": loaders.load_reader,
    "openai-compatible": loaders.load_openai_llm,
    "transformers": loaders.load_transformers,
}
_TTSS: dict[str, Callable[[Loading], Awaitable[Tts]]] = {
    "espeak": loaders.load_espeak,
    "kokoro": loaders.load_kokoro,
    "xtts": loaders.load_xtts,
    "openai-compatible": loaders.load_openai_tts,
}
_TURNS: dict[str, Callable[[Loading], Awaitable[TurnDetector | None]]] = {
    "none": loaders.load_no_turn,
    "auto": loaders.load_turn_where_present,
    "smart-turn": loaders.load_smart_turn,
}
