"""EXTERNAL: a vendor's speech-to-speech model talks, a brain thinks behind it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

import structlog

from brain.action_runner import ActionRunner
from brain.claude import Claude
from brain.service import BrainCounts, BrainService
from config.credentials import find_notice, find_problems, missing_brain_key
from config.schema import Config
from kb import KnowledgeBase, UnknownCollection
from modes.external.assembly import CallAssembly, CallResources
from modes.external.providers import PROVIDERS
from modes.external.speaker import SpeakerProvider
from modes.external.transcription import open_transcription
from modes.external.vendor_socket import VendorProvider
from penny.realtime.session_config import TRANSCRIPTION
from penny.session.mode import Availability, Hearing, Mode, SessionSpec, Speaker


log = structlog.get_logger()

WARM_UP = "¿Cuándo vence la factura F-2024-1234 y qué importe de mil quinientos euros tiene?"


class ExternalMode:
    """Mode EXTERNAL: a vendor's speech-to-speech model with a brain behind it.

    Args:
        fallback: the mode that takes a session over whose speaker is gone for good.
        kb: finds the knowledge base that all modes share.
    """

    name = "EXTERNAL"

    def __init__(
        self,
        config: Config,
        *,
        fallback: Mode | None = None,
        providers: Mapping[str, SpeakerProvider] | None = None,
        kb: Callable[[], Awaitable[KnowledgeBase | None]] | None = None,
    ) -> None:
        self._config = config
        self._section = config.penny.modes.EXTERNAL
        base_url = self._section.portavoz_base_url
        self._providers = providers or {name: make(base_url) for name, make in PROVIDERS.items()}
        self._recogniser = VendorProvider(base_url)
        self._fallback = fallback
        self._kb = kb
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
        vendors = self._config.penny.modes.EXTERNAL.portavoz_base_url is None
        return Availability(
            True,
            notice=find_notice(self._config, self.name, os.environ),
            hears=Hearing(("*",)) if vendors else None,
        )

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
            thinker = Claude(section.cerebro_base_url)
        else:
            log.warning("brain_without_model", reason=f"{lacking} is not set", brain="kb only")
        self._brain = BrainService(
            settings,
            self._config.models,
            thinker,
            await self._find_kb(),
            section.cerebro_model,
            asyncio.get_running_loop().time,
            lambda: datetime.now(UTC),
        )
        self._brain.counts = self.counts

    async def _find_kb(self) -> KnowledgeBase | None:
        kb = self._config.kb
        base = None if self._kb is None else await self._kb()
        if base is None:
            return None
        try:
            # The first search reads dictionaries and tables: 40 ms that no caller shall wait for.
            await asyncio.to_thread(base.search, kb.default_ref, WARM_UP)
        except UnknownCollection as error:
            log.warning("kb_collection_missing", ref=kb.default_ref, reason=error.message)
        return base

    async def aclose(self) -> None:
        if self._brain is not None:
            await self._brain.aclose()
        await self._runner.aclose()
        for provider in self._providers.values():
            await provider.aclose()
        await self._recogniser.aclose()

    async def open(self, spec: SessionSpec) -> Speaker:
        """Connect to the speaker and set the brain behind it. Raises ModeUnavailable."""
        await self._ready.wait()  # a gateway listens before its modes have started
        if spec.kind == TRANSCRIPTION:
            return await open_transcription(
                self._recogniser, self._config.speaker.transcription_model, spec
            )
        call = CallAssembly(self._share(), spec).build()
        try:
            await call.open()
        except BaseException:
            await call.aclose()
            raise
        return call

    def _share(self) -> CallResources:
        return CallResources(
            self._config, self._providers, self._runner, self.counts, self._brain, self._fallback
        )
