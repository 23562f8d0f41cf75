"""One EXTERNAL call put together: speaker, brain, folios, tools and journal."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from brain.action_runner import ActionRunner
from brain.actions import ActionDesk, choose_actions, offer_tools
from brain.analysis import Excerpt
from brain.brain import SessionBrain
from brain.context import SystemContext
from brain.desk import FolioDesk
from brain.folio import Folio, Move
from brain.host import BrainProfile
from brain.journal import Journal
from brain.schedule import ScheduleSettings
from brain.service import BrainCounts, BrainService
from brain.spans import BrainSpans
from config.schema import Config
from modes.external.attendant import Attendant
from modes.external.call import ExternalCall
from modes.external.injector import Injector, InjectorSettings
from modes.external.mirror import ConversationMirror
from modes.external.plain_speaker import open_plain
from modes.external.recall import Recall
from modes.external.session_fields import merge
from modes.external.session_view import SessionView
from modes.external.speaker import Json, SpeakerProvider, UpstreamSpeaker
from modes.external.tools import ToolDesk
from modes.external.upstreams import Open, Upstreams
from penny.ids import new_id
from penny.session.mode import Mode, SessionSpec


REASONING_MODELS = re.compile(r"gpt-realtime-2(\.|-|$)")
SAFE_NAME = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class CallResources:
    """What every call of the mode shares.

    brain: None where the configuration has none, or none can run.
    fallback: where a call goes when its speaker is gone for good.
    """

    config: Config
    provider: SpeakerProvider
    runner: ActionRunner
    counts: BrainCounts
    brain: BrainService | None
    fallback: Mode | None


class CallAssembly:
    """Puts one call together from the configuration and the caller's wishes."""

    def __init__(self, shared: CallResources, spec: SessionSpec) -> None:
        self._shared = shared
        self._config = shared.config
        self._section = shared.config.penny.modes.EXTERNAL
        self._spec = spec
        self._spans = BrainSpans(spec.trace)
        self._clock: Callable[[], float] = asyncio.get_running_loop().time
        wanted = spec.portavoz.get("model") or self._section.portavoz_model
        self._model = self._config.models.current(wanted)
        self._actions, self._undeclared = choose_actions(
            self._config.actions.table, spec.context.get("available_actions") or ()
        )

    def build(self) -> ExternalCall:
        config, spec, service = self._config, self._spec, self._shared.brain
        journal = self._journal(enabled=service is not None)
        view = self._view(service)
        context = SystemContext(spec.instructions, spec.language)
        session = self._session(view)
        if "instructions" in spec.session:
            context.put("base", spec.session["instructions"])
        mirror = ConversationMirror()
        for item in spec.history:
            mirror.remember({"id": new_id("item"), **item})
        call = ExternalCall(mirror, view, journal, self._clock, session, self._shared.counts)
        recall = Recall(call, spec.language)
        desk = FolioDesk(context, _note_moves(journal, self._spans))
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
        call.on_close(lambda: self._shared.counts.add(desk.worth))
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
                "output": {"voice": spec.voice or self._section.portavoz_voice},
            },
        }
        if speaker.reasoning_effort is not None and REASONING_MODELS.match(self._model):
            session["reasoning"] = {"effort": speaker.reasoning_effort}
        session = view.outward(session, None)
        session["audio"]["input"]["transcription"] = self._transcription()
        return merge(session, view.outward(spec.session, None)) if spec.session else session

    async def _open_next(self, session: Json, seed: Sequence[Json]) -> UpstreamSpeaker:
        return await self._shared.provider.open(self._model, session, seed)

    def _open_fallback(self) -> Open | None:
        fallback = self._shared.fallback
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
        return SessionBrain(service, profile, journal, recall, self._spans)

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
            self._shared.runner,
            search,
            self._config.actions,
            recall,
            journal,
            session,
            self._spec.trace,
        )

    # -- the record ---------------------------------------------------------------------------

    def _journal(self, *, enabled: bool) -> Journal:
        settings = self._config.brain.journal
        path = None
        if enabled and settings.enabled:
            folder = self._config.resolve(settings.folder)
            day = datetime.now(UTC).strftime("%Y-%m-%d")
            path = folder / day / f"{SAFE_NAME.sub('_', self._spec.session_id)}.jsonl"
        return Journal(path, self._clock, self._shared.counts.journals)

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


def _note_moves(journal: Journal, spans: BrainSpans) -> Callable[[Folio, Move], None]:
    def note(folio: Folio, move: Move) -> None:
        spans.moved(folio, move)
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
