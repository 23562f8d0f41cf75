"""EXTERNAL: a vendor's speech-to-speech model talks, a brain thinks behind it."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

import aiohttp
import structlog

from brain.action_runner import ActionRunner
from brain.actions import ActionDesk, choose_actions, offer_tools
from brain.analysis import Excerpt
from brain.brain import BrainProfile, SessionBrain
from brain.claude import Claude
from brain.context import SystemContext
from brain.desk import FolioDesk
from brain.folio import Folio, Move
from brain.journal import Journal
from brain.schedule import ScheduleSettings
from brain.service import BrainCounts, BrainService
from config.credentials import find_notice, find_problems, missing_brain_key
from config.schema import Config
from kb import KbSettings, KnowledgeBase, UnknownCollection
from modes.external.attendant import Attendant
from modes.external.call import ExternalCall
from modes.external.injector import Injector, InjectorSettings
from modes.external.mirror import ConversationMirror
from modes.external.openai_speaker import OpenAIProvider
from modes.external.plain_speaker import open_plain
from modes.external.recall import Recall
from modes.external.session_fields import merge
from modes.external.session_view import SessionView
from modes.external.speaker import Json, SpeakerProvider, UpstreamSpeaker
from modes.external.tools import ToolDesk
from modes.external.upstreams import Open, Upstreams
from penny.errors import PennyError
from penny.ids import new_id
from penny.session.mode import Availability, Mode, SessionSpec


log = structlog.get_logger()

REASONING_MODELS = re.compile(r"gpt-realtime-2(\.|-|$)")
WARM_UP = "¿Cuándo vence la factura F-2024-1234 y qué importe de mil quinientos euros tiene?"
SAFE_NAME = re.compile(r"[^A-Za-z0-9_-]")


class ExternalMode:
    """Args:
    fallback: where a session goes when its speaker is gone for good.
    kb: the knowledge base that the house shares; without it the mode opens its own.
    """

    name = "EXTERNAL"

    def __init__(
        self,
        config: Config,
        http: aiohttp.ClientSession,
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
        self._runner = ActionRunner(http)
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
        settings = KbSettings(
            documents=self._config.resolve(self._config.kb.documents),
            index=self._config.resolve(self._config.kb.index),
        )
        try:
            return await asyncio.to_thread(KnowledgeBase.open, settings)
        except PennyError as error:
            log.error("kb_unavailable", code=error.code, reason=error.message)  # noqa: TRY400
            return None

    async def aclose(self) -> None:
        if self._brain is not None:
            await self._brain.aclose()
        if self._own_kb is not None:
            self._own_kb.close()
        await self._provider.aclose()

    async def open(self, spec: SessionSpec) -> ExternalCall:
        """Connect to the speaker and set the brain behind it. Raises ModeUnavailable."""
        await self._ready.wait()  # a gateway listens before its modes have started
        call = _Assembly(self, spec).build()
        try:
            await call.start()
        except BaseException:
            await call.aclose()
            raise
        return call


class _Assembly:
    """Puts one call together from the configuration and the caller's wishes."""

    def __init__(self, mode: ExternalMode, spec: SessionSpec) -> None:
        self._mode = mode
        self._config = mode._config
        self._spec = spec
        self._clock: Callable[[], float] = asyncio.get_running_loop().time
        wanted = spec.portavoz.get("model") or mode._section.portavoz_model
        self._model = self._config.models.current(wanted)
        self._actions, self._undeclared = choose_actions(
            self._config.actions.table, spec.context.get("available_actions") or ()
        )

    def build(self) -> ExternalCall:
        config, spec, service = self._config, self._spec, self._mode._brain
        journal = self._journal(enabled=service is not None)
        view = self._view(service)
        context = SystemContext(spec.instructions, spec.language)
        session = self._session(view)
        if "instructions" in spec.session:
            context.put("base", spec.session["instructions"])
        mirror = ConversationMirror()
        for item in spec.history:
            mirror.remember({"id": new_id("item"), **item})
        call = ExternalCall(mirror, view, journal, self._clock, session, self._mode.counts)
        recall = Recall(call, spec.language)
        desk = FolioDesk(context, _journal_moves(journal))
        injector = Injector(
            desk,
            call,
            InjectorSettings(
                config.brain.placement,
                config.brain.max_notes,
                config.models.prices.get(self._model),
            ),
            journal,
            recall.folio_placed,
            self._clock,
        )
        upstreams = Upstreams(
            self._open_next,
            self._open_fallback(),
            call,
            config.speaker,
            journal,
            self._clock,
            time.time,
        )
        brain = self._attach_brain(service, journal, recall)
        tools = self._attach_tools(brain, journal, recall)
        budget_s = config.brain.facts_budget_ms / 1000 if brain is not None else 0.0
        call.wire(upstreams, injector, brain, tools, Attendant(call, budget_s))
        call.on_close(lambda: self._mode.counts.add(desk.worth))
        self._note_start(call, journal)
        return call

    # -- the upstream -------------------------------------------------------------------------

    def _transcription(self) -> Json:
        return {
            "model": self._config.speaker.transcription_model,
            "language": self._spec.language.split("-")[0],
        }

    def _view(self, service: BrainService | None) -> SessionView:
        has_facts = service is not None and self._config.brain.facts_budget_ms > 0
        tools = offer_tools(
            self._actions,
            self._spec.language,
            search=service is not None and service.base is not None,
        )
        return SessionView(
            tools,
            answers_turns=has_facts,
            transcription=self._transcription(),
            shows_words=self._spec.transcripts,
        )

    def _session(self, view: SessionView) -> Json:
        """The GA session of this call, the caller's side's own wishes over it."""
        config, spec = self._config, self._spec
        speaker = config.speaker
        detection: Json = {
            "type": "server_vad",
            "silence_duration_ms": speaker.silence_duration_ms,
            "create_response": True,
            "interrupt_response": True,
        }
        session: Json = {
            "instructions": spec.instructions,
            "output_modalities": ["audio"],
            "tools": [],
            "truncation": {"type": "retention_ratio", "retention_ratio": 0.8},
            "audio": {
                "input": {"turn_detection": detection},
                "output": {"voice": spec.voice or self._mode._section.portavoz_voice},
            },
        }
        if speaker.reasoning_effort is not None and REASONING_MODELS.match(self._model):
            session["reasoning"] = {"effort": speaker.reasoning_effort}
        session = view.outward(session, None)
        session["audio"]["input"]["transcription"] = self._transcription()
        return merge(session, view.outward(spec.session, None)) if spec.session else session

    async def _open_next(self, session: Json, seed: Sequence[Json]) -> UpstreamSpeaker:
        return await self._mode._provider.open(self._model, session, seed)

    def _open_fallback(self) -> Open | None:
        fallback = self._mode._fallback
        if fallback is None or not self._config.speaker.fallback:
            return None

        async def open_it(_session: Json, seed: Sequence[Json]) -> UpstreamSpeaker:
            return await open_plain(fallback, self._spec, seed)

        return open_it

    # -- what stands behind -------------------------------------------------------------------

    def _attach_brain(
        self, service: BrainService | None, journal: Journal, recall: Recall
    ) -> SessionBrain | None:
        if service is None:
            return None
        wishes, settings = self._spec.cerebro, self._config.brain
        depth = getattr(settings.depths, wishes.get("analysis_depth") or settings.depth)
        profile = BrainProfile(
            language=self._spec.language,
            ref=wishes.get("knowledge_base_ref") or self._config.kb.default_ref,
            depth=depth,
            model=service.model_for(depth, wishes.get("model")),
            schedule=ScheduleSettings(
                frequency=wishes.get("update_frequency") or settings.update_frequency,
                every_n=wishes.get("every_n") or settings.every_n,
                partial_words=settings.partial_words,
                debounce_s=settings.partial_debounce_ms / 1000,
            ),
            session=self._session_facts(),
        )
        return SessionBrain(service, profile, journal, recall)

    def _session_facts(self) -> Json:
        return {"contexto": dict(self._spec.context), "acciones": list(self._actions)}

    def _attach_tools(
        self, brain: SessionBrain | None, journal: Journal, recall: Recall
    ) -> ToolDesk | None:
        if brain is None and not self._actions:
            return None

        async def search(query: str) -> tuple[Excerpt, ...]:
            return () if brain is None else await brain.look_up(query)

        session = {
            "session_id": self._spec.session_id,
            "language": self._spec.language,
            "user_id": self._spec.context.get("user_id"),
            "tenant": self._spec.tenant,
        }
        return ToolDesk(
            ActionDesk(self._actions),
            self._mode._runner,
            search,
            self._config.actions,
            recall,
            journal,
            session,
        )

    # -- the record ---------------------------------------------------------------------------

    def _journal(self, *, enabled: bool) -> Journal:
        settings = self._config.brain.journal
        path = None
        if enabled and settings.enabled:
            folder = self._config.resolve(settings.folder)
            day = datetime.now(UTC).strftime("%Y-%m-%d")
            path = folder / day / f"{SAFE_NAME.sub('_', self._spec.session_id)}.jsonl"
        return Journal(path, self._clock)

    def _note_start(self, call: ExternalCall, journal: Journal) -> None:
        spec = self._spec
        journal.write(
            "session",
            session_id=spec.session_id,
            language=spec.language,
            model=self._model,
            cerebro=spec.cerebro,
            actions=list(self._actions),
        )
        for name in self._undeclared:
            message = f"context.available_actions: '{name}' is not declared in penny.yaml"
            call.tell(
                {
                    "type": "penny.warning",
                    "code": "field_ignored",
                    "message": message,
                    "field": "context.available_actions",
                }
            )
        if self._mode._brain is not None and not self._mode._brain.thinks:
            notice = self._mode.availability().notice
            message = notice.get("en", "the brain has the knowledge base alone")
            call.tell({"type": "penny.warning", "code": "degraded", "message": message})


def _journal_moves(journal: Journal) -> Callable[[Folio, Move], None]:
    def note(folio: Folio, move: Move) -> None:
        journal.write(
            "folio",
            folio_id=folio.id,
            folio_kind=folio.kind,
            section=folio.section,
            source=folio.source,
            turn=folio.turn,
            based_on=folio.based_on,
            status=move.after,
            reason=move.reason,
            response_id=folio.response_id or None,
            supersedes=folio.supersedes,
            body=folio.body if move.after == "sent" else None,
        )

    return note


def _timestamp() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
