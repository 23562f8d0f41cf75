"""EXTERNAL: a vendor's speech-to-speech model talks, a brain thinks behind it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from importlib import import_module

import structlog

from brain.service import BrainCounts, BrainService
from brain.tool_desk import ActionRunner
from config.credentials import find_notice, find_problems, missing_brain_key
from config.schema import Config
from kb import KnowledgeBase, UnknownCollection
from modes.external.assembly import CallAssembly, CallResources
from modes.external.live_speaker import LiveProvider
from modes.external.openai_speaker import OpenAIProvider, VendorProvider, end_if_terminal
from modes.external.session_view import merge, way_of
from modes.external.speaker import Json, SpeakerProvider, Translator
from modes.realtime import configure, set_up
from penny.realtime.session_config import TRANSCRIPTION
from penny.session.mode import Availability, Hearing, Mode, SessionSpec, Speaker, SpeakerSink


log = structlog.get_logger()

PROVIDERS: Mapping[str, Callable[[str | None], SpeakerProvider]] = {
    OpenAIProvider.name: OpenAIProvider,
    LiveProvider.name: LiveProvider,
}
"""Name -> what makes the provider of a ``base_url``. Another provider is one file and one line."""
WARM_UP = "¿Cuándo vence la factura F-2024-1234 y qué importe de mil quinientos euros tiene?"


class ExternalMode:
    """Mode EXTERNAL. ``fallback`` takes a session over whose speaker is gone for good; ``kb``
    finds the knowledge base that all modes share."""

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
        providers = providers or {name: make(base_url) for name, make in PROVIDERS.items()}
        runner = ActionRunner(config.actions.table)
        self._shared = CallResources(config, providers, runner, fallback)
        self._recogniser = VendorProvider(base_url)
        self._kb = kb
        self._ready = asyncio.Event()
        self._ready.set()
        if self.availability().available:
            # Vendors' SDKs take a second and a half to import: not where no key is, and where one
            # is, before anyone calls.
            import_module("openai")
            import_module("brain.claude")

    @property
    def counts(self) -> BrainCounts:
        return self._shared.counts

    def availability(self) -> Availability:
        """As ``check`` tells it: the speaker's key decides, the brain's is worth a notice."""
        problems = find_problems(self._config, self.name, os.environ)
        if problems:
            return Availability(False, problems[0].reason, problems[0].remedy)
        return Availability(
            True,
            notice=find_notice(self._config, self.name, os.environ),
            hears=Hearing(("*",)) if self._section.portavoz_base_url is None else None,
        )

    async def start(self) -> None:
        """Open the knowledge base and the brain, if this mode can talk at all."""
        self._ready.clear()
        try:
            if self._config.brain.enabled and self.availability().available:
                self._shared.brain = await self._open_brain()
        finally:
            self._ready.set()

    async def _open_brain(self) -> BrainService:
        section, thinker = self._section, None
        lacking = missing_brain_key(section, os.environ)
        if lacking is None:
            from brain.claude import Claude

            thinker = Claude(section.cerebro_base_url)
        else:
            log.warning("brain_without_model", reason=f"{lacking} is not set", brain="kb only")
        return BrainService(
            self._config.brain,
            self._config.models,
            thinker,
            await self._find_kb(),
            section.cerebro_model,
            asyncio.get_running_loop().time,
            lambda: datetime.now(UTC),
            self.counts,
        )

    async def _find_kb(self) -> KnowledgeBase | None:
        ref = self._config.kb.default_ref
        base = None if self._kb is None else await self._kb()
        if base is not None:
            try:
                # The first search reads dictionaries and tables: 40 ms that no caller waits for.
                await asyncio.to_thread(base.search, ref, WARM_UP)
            except UnknownCollection as error:
                log.warning("kb_collection_missing", ref=ref, reason=error.message)
        return base

    async def aclose(self) -> None:
        if self._shared.brain is not None:
            await self._shared.brain.aclose()
        await self._shared.runner.aclose()
        for provider in self._shared.providers.values():
            await provider.aclose()
        await self._recogniser.aclose()

    async def open(self, spec: SessionSpec) -> Speaker:
        """Connect to the speaker and set the brain behind it. Raises ModeUnavailable."""
        await self._ready.wait()  # a gateway listens before its modes have started
        if spec.kind == TRANSCRIPTION:
            model = self._config.speaker.transcription_model
            return await open_transcription(self._recogniser, model, spec)
        call = CallAssembly(self._shared, spec).build()
        try:
            await call.line.start(call)
        except BaseException:
            await call.aclose()
            raise
        return call


class TranscriptionSpeaker(Translator):
    """A vendor's transcription session, passed through as it is: nothing answers, and as there is
    nothing to remember a lost connection ends it."""

    def start(self, sink: SpeakerSink) -> None:
        sink.on_event(self._name())
        super().start(sink)

    def send(self, event: Json) -> None:
        """Raises SpeakerLost."""
        self._speaker.send(event)

    def translate(self, event: Json) -> Iterable[Json]:
        yield event
        if event["type"] == "session.updated":
            self.info["session"] = event["session"]
            yield self._name()
        elif event["type"] == "error":
            end_if_terminal(event["error"])

    def _name(self) -> Json:
        """What recognises, for the meter."""
        model = _model_of(self.info["session"])
        return {"type": "penny.speaker", "model": model, "transcription_model": model}


async def open_transcription(
    provider: VendorProvider, model: str, spec: SessionSpec
) -> TranscriptionSpeaker:
    """Open one with the caller's own fields. ``model``: where they name none. Raises
    ModeUnavailable."""
    session: Json = {**spec.session, "type": TRANSCRIPTION}
    if not _model_of(session):
        session = merge(session, {"audio": {"input": {"transcription": {"model": model}}}})
    speaker = await provider.connect("realtime", {"intent": TRANSCRIPTION}, model)
    await set_up(speaker, configure(speaker, session))
    return TranscriptionSpeaker(speaker)


def _model_of(session: Json) -> str:
    return (way_of(session, "input").get("transcription") or {}).get("model") or ""
