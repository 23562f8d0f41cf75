"""EXTERNAL: a vendor's speech-to-speech model talks, a brain thinks behind it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import structlog

from brain.action_runner import ActionRunner
from brain.claude import Claude
from brain.service import BrainCounts, BrainService
from config.credentials import find_notice, find_problems, missing_brain_key
from config.schema import Config
from kb import KnowledgeBase, UnknownCollection
from modes.external.assembly import CallAssembly, CallResources
from modes.external.call import ExternalCall
from modes.external.openai_speaker import OpenAIProvider
from modes.external.speaker import SpeakerProvider
from penny.errors import PennyError
from penny.session.mode import Availability, Mode, SessionSpec


log = structlog.get_logger()

WARM_UP = "¿Cuándo vence la factura F-2024-1234 y qué importe de mil quinientos euros tiene?"


class ExternalMode:
    """Args:
    fallback: where a session goes when its speaker is gone for good.
    kb: the knowledge base that the house shares; without it the mode opens its own.
    """

    name = "EXTERNAL"

    def __init__(
        self,
        config: Config,
        *,
        fallback: Mode | None = None,
        provider: SpeakerProvider | None = None,
        kb: Callable[[], Awaitable[KnowledgeBase | None]] | None = None,
    ) -> None:
        self._config = config
        self._section = config.penny.modes.EXTERNAL
        self._provider = provider or OpenAIProvider(self._section.portavoz_base_url)
        self._fallback = fallback
        self._shared_kb = kb
        self._own_kb: KnowledgeBase | None = None
        self._runner = ActionRunner(config.actions.table)
        self._brain: BrainService | None = None
        self._ready = asyncio.Event()
        self._ready.set()
        self.counts: BrainCounts = BrainCounts()

    def availability(self) -> Availability:
        """As ``check`` tells it: the speaker's key decides, the brain's is worth a notice."""
        problems = find_problems(self._config, self.name, os.environ)
        if problems:
            return Availability(False, problems[0].reason, problems[0].remedy)
        return Availability(True, notice=find_notice(self._config, self.name, os.environ))

    async def start(self) -> None:
        """Open the knowledge base and the brain, if this mode can talk at all."""
        self._ready.clear()
        try:
            await self._start_brain()
        finally:
            self._ready.set()

    async def _start_brain(self) -> None:
        settings = self._config.brain
        if not settings.enabled or not self.availability().available:
            return
        section = self._section
        thinker = None
        lacking = missing_brain_key(section, os.environ)
        if lacking is None:
            thinker = Claude(section.cerebro_base_url, timestamp=_timestamp)
        else:
            log.warning("brain_without_model", reason=f"{lacking} is not set", brain="kb only")
        self._brain = BrainService(
            settings,
            self._config.models,
            thinker,
            await self._find_kb(),
            section.cerebro_model,
            asyncio.get_running_loop().time,
            _timestamp,
        )
        self._brain.counts = self.counts

    async def _find_kb(self) -> KnowledgeBase | None:
        kb = self._config.kb
        if self._shared_kb is not None:
            base = await self._shared_kb()
        else:
            base = self._own_kb = await self._open_kb()
        if base is None:
            return None
        try:
            # The first search reads dictionaries and tables: 40 ms that no caller shall wait for.
            await asyncio.to_thread(base.search, kb.default_ref, WARM_UP)
        except UnknownCollection as error:
            log.warning("kb_collection_missing", ref=kb.default_ref, reason=error.message)
        return base

    async def _open_kb(self) -> KnowledgeBase | None:
        settings = self._config.kb_settings(os.environ)
        try:
            base = await asyncio.to_thread(KnowledgeBase.open, settings)
        except PennyError as error:
            log.error("kb_unavailable", code=error.code, reason=error.message)  # noqa: TRY400
            return None
        await asyncio.to_thread(base.keep_up, watch=self._config.kb.watch)
        return base

    async def aclose(self) -> None:
        if self._brain is not None:
            await self._brain.aclose()
        if self._own_kb is not None:
            self._own_kb.close()
        await self._runner.aclose()
        await self._provider.aclose()

    async def open(self, spec: SessionSpec) -> ExternalCall:
        """Connect to the speaker and set the brain behind it. Raises ModeUnavailable."""
        await self._ready.wait()  # a gateway listens before its modes have started
        call = CallAssembly(self._share(), spec).build()
        try:
            await call.start()
        except BaseException:
            await call.aclose()
            raise
        return call

    def _share(self) -> CallResources:
        return CallResources(
            self._config, self._provider, self._runner, self.counts, self._brain, self._fallback
        )


def _timestamp() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
