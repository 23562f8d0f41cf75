"""Engines by name: each file is imported only when its engine is chosen.

An engine joins here: its name in ``settings.EngineChoice``, its loader in one of the tables.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TypeVar

import structlog

from kb.base import KnowledgeBase
from kb.passage import UnknownCollection
from kb.settings import KbSettings
from penny.errors import EngineError
from runpod_worker.commands import SPANISH_COMMANDS
from runpod_worker.settings import WorkerSettings
from runpod_worker.stages import Llm, Stt, Tts, Vad


log = structlog.get_logger()


Engine = TypeVar("Engine")


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


class Loading:
    """What the loaders share: the settings, and the knowledge base opened once."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self._base: KnowledgeBase | None = None

    async def knowledge_base(self) -> KnowledgeBase:
        if self._base is None:
            library = self.settings.library
            settings = KbSettings(documents=library.documents, index=library.index)
            self._base = await asyncio.to_thread(KnowledgeBase.open, settings)
        return self._base

    def close(self) -> None:
        if self._base is not None:
            self._base.close()


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
        loaded.pop_all()
    log.info("engines_loaded", vad=choice.vad, stt=choice.stt, llm=choice.llm, tts=choice.tts)
    return Engines(vad, stt, llm, tts)


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


async def _load_silero(loading: Loading) -> Vad:
    from runpod_worker.engines.silero import SileroVad

    gather_ms = loading.settings.engines.silero.batch_window_ms
    return await asyncio.to_thread(SileroVad, gather_ms=gather_ms)


async def _load_ears(loading: Loading) -> Stt:
    from runpod_worker.engines.ears import EmbeddedEars
    from runpod_worker.engines.whisper_closed import open_closed_whisper

    base = await loading.knowledge_base()
    try:
        questions = base.questions(loading.settings.library.ref, "es")
    except UnknownCollection:  # an empty library still leaves the commands and English
        log.warning("kb_collection_missing", ref=loading.settings.library.ref)
        questions = []
    phrases = list(dict.fromkeys([*(question.text for question in questions), *SPANISH_COMMANDS]))
    second_ear = await asyncio.to_thread(open_closed_whisper, loading.settings.models)
    children = loading.settings.engines.embedded.threads
    ears = EmbeddedEars(phrases, children=children, second_ear=second_ear)
    await ears.start()
    return ears


async def _load_faster_whisper(loading: Loading) -> Stt:
    from runpod_worker.engines.faster_whisper import FasterWhisper, WhisperSettings

    chosen = loading.settings.engines.faster_whisper
    folder = loading.settings.models / chosen.model
    settings = WhisperSettings(
        model=str(folder if folder.is_dir() else chosen.model),
        device=chosen.device,
        compute_type=chosen.compute_type,
        beam_size=chosen.beam_size,
    )
    return await asyncio.to_thread(FasterWhisper, settings)


async def _load_reader(loading: Loading) -> Llm:
    from runpod_worker.engines.reader import Reader

    return Reader(await loading.knowledge_base(), loading.settings.library.ref)


async def _load_espeak(loading: Loading) -> Tts:
    from runpod_worker.engines.espeak import EspeakTts

    pool_size = loading.settings.engines.espeak.pool_size
    return await asyncio.to_thread(EspeakTts, pool_size=pool_size)


_VADS: dict[str, Callable[[Loading], Awaitable[Vad]]] = {"silero": _load_silero}
_STTS: dict[str, Callable[[Loading], Awaitable[Stt]]] = {
    "embedded": _load_ears,
    "faster-whisper": _load_faster_whisper,
}
_LLMS: dict[str, Callable[[Loading], Awaitable[Llm]]] = {"reader": _load_reader}
_TTSS: dict[str, Callable[[Loading], Awaitable[Tts]]] = {"espeak": _load_espeak}
