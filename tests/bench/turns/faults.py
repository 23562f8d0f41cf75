"""Stages that fail once a call has begun: at once, without a word, or for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from penny.errors import EngineError
from runpod_worker.engines.registry import Engines
from runpod_worker.stages import LlmDelta, LlmRequest, LlmUsage, Transcript, Voice


FAULTS = (
    "llm fails",
    "llm is empty",
    "llm hangs",
    "tts fails",
    "tts hangs",
    "stt fails",
    "stt hangs",
)
BEGUN_S = 1.5
"""Until then a voice works: it has made what is said when something fails."""


def break_stage(engines: Engines, fault: str) -> Engines:
    """``engines`` with one stage that fails as ``fault`` says; as they are where it is ''."""
    if not fault:
        return engines
    stage, _, how = fault.partition(" ")
    broken = {"llm": _Llm, "tts": _Tts, "stt": _Stt}[stage](getattr(engines, stage), how)
    return replace(engines, **{stage: broken})


class _Broken:
    """A stage in whose place this stands; what does not fail is its own."""

    def __init__(self, stage: Any, how: str) -> None:
        self._stage = stage
        self._how = how

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stage, name)

    async def _fail(self, stage: str) -> None:
        if self._how == "hangs":
            await asyncio.Event().wait()
        if self._how == "fails":
            raise EngineError("it is broken", stage=stage, code=f"{stage}_failed")


class _Llm(_Broken):
    async def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        await self._fail("llm")
        yield LlmUsage(10, 0, 0)


class _Tts(_Broken):
    async def synthesize(self, phrase: str, voice: Voice) -> AsyncIterator[bytes]:
        if asyncio.get_running_loop().time() > BEGUN_S:
            await self._fail("tts")
        async for pcm in self._stage.synthesize(phrase, voice):
            yield pcm


class _Stt(_Broken):
    def begin(self, options: Any) -> Any:
        return _Utterance(self._stage.begin(options), self._how)


class _Utterance(_Broken):
    def partial(self) -> str:
        return ""

    async def finish(self) -> Transcript:
        await self._fail("stt")
        return Transcript("", "es")
