"""One EXTERNAL call put together: speaker, brain, context, tools and journal."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from brain.action_runner import ActionRunner
from brain.actions import ActionDesk, choose_actions, offer_tools
from brain.brain import SessionBrain
from brain.host import BrainProfile
from brain.journal import Journal
from brain.render import RULES
from brain.schedule import ScheduleSettings
from brain.service import BrainCounts, BrainService
from brain.spans import BrainSpans
from config.schema import Config
from modes.external.call import ExternalCall
from modes.external.context import DeclaredContext
from modes.external.conversation import Conversation
from modes.external.line import Line, Open
from modes.external.placing import Placer
from modes.external.plain_speaker import open_plain
from modes.external.session_view import SessionView
from modes.external.speaker import Json, SpeakerProvider, UpstreamSpeaker
from modes.external.state import CallState, Timing
from modes.external.tools import ToolRuns, pending_output
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
    providers: Mapping[str, SpeakerProvider]
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
        self._choose_speaker()
        self._actions, self._undeclared = choose_actions(
            self._config.actions.table, spec.context.get("available_actions") or ()
        )

    def _choose_speaker(self) -> None:
        own, wishes = self._section.portavoz_provider, self._spec.portavoz
        wanted = wishes.get("provider") or own
        self._unknown_provider = "" if wanted in self._shared.providers else wanted
        name = own if self._unknown_provider else wanted
        self._provider = self._shared.providers[name]
        default = self._section.portavoz_model if name == own else self._provider.default_model
        self._model = self._config.models.current(wishes.get("model") or default)

    def build(self) -> ExternalCall:
        config, spec, service = self._config, self._spec, self._shared.brain
        journal = self._journal(enabled=service is not None)
        state = self._state(service)
        for item in spec.history:
            known = state.conversation.add({"id": new_id("item"), **item})
            known.is_known_as_text = known.is_final = True
        line = Line(self._open_next, self._open_fallback(), config.speaker, self._clock, time.time)
        tools = self._tools(journal, lambda: call.host.brain)
        call = ExternalCall(
            state,
            line,
            tools,
            journal,
            self._clock,
            self._shared.counts,
            spec.language,
            self._private(),
        )
        if service is not None:
            profile = self._profile(service)
            call.host.brain = SessionBrain(service, profile, journal, call.host, self._spans)
        self._note_start(call, journal)
        return call

    def _state(self, service: BrainService | None) -> CallState:
        config, spec = self._config, self._spec
        placer = Placer(config.brain.placement, config.models.price_of(self._model))
        base = spec.session.get("instructions", spec.instructions)
        english = spec.language.lower().startswith("en")
        rules = RULES["en" if english else "es"]
        facts_s = config.brain.facts_budget_ms / 1000 if service is not None else 0.0
        actions = config.actions
        return CallState(
            conversation=Conversation(),
            context=DeclaredContext(base, rules, placer, new_id),
            history=placer.history,
            view=self._view(service, answers_turns=facts_s > 0),
            timing=Timing(facts_s, actions.filler_after_ms / 1000, actions.reply_after_ms / 1000),
            new_id=new_id,
            fillers=list(actions.fillers_en if english else actions.fillers_es),
            pending_output=pending_output(spec.language),
            has_brain=service is not None,
        )

    # -- the upstream -------------------------------------------------------------------------

    def _view(self, service: BrainService | None, *, answers_turns: bool) -> SessionView:
        search = service is not None and service.base is not None
        own = {
            "model": self._config.speaker.transcription_model,
            "language": self._spec.language.split("-")[0],
        }
        view = SessionView(
            offer_tools(self._actions, self._spec.language, search=search),
            answers_turns=answers_turns and not self._provider.able.answers_by_itself,
            transcription=own,
            shows_words=self._spec.transcripts,
        )
        view.begin(self._session(own), self._spec.session)
        return view

    def _session(self, transcription: Json) -> Json:
        """The GA session of this call before the caller's side's own wishes."""
        speaker = self._config.speaker
        detection: Json = {
            "type": "server_vad",
            "silence_duration_ms": speaker.silence_duration_ms,
            "create_response": True,
            "interrupt_response": True,
        }
        session: Json = {
            "output_modalities": ["audio"],
            "tools": [],
            "truncation": {"type": "retention_ratio", "retention_ratio": 0.8},
            "audio": {
                "input": {"turn_detection": detection, "transcription": transcription},
                "output": {"voice": self._spec.voice or self._section.portavoz_voice},
            },
        }
        if speaker.reasoning_effort is not None and REASONING_MODELS.match(self._model):
            session["reasoning"] = {"effort": speaker.reasoning_effort}
        return session

    async def _open_next(self, session: Json, seed: Sequence[Json]) -> UpstreamSpeaker:
        return await self._provider.open(self._model, session, seed)

    def _open_fallback(self) -> Open | None:
        fallback = self._shared.fallback
        if fallback is None or not self._config.speaker.fallback:
            return None

        async def open_it(_session: Json, seed: Sequence[Json]) -> UpstreamSpeaker:
            return await open_plain(fallback, self._spec, seed)

        return open_it

    def _private(self) -> Json | None:
        fallback = self._shared.fallback
        privacy = self._config.penny.modes.SELF_HOSTED.privacy
        return None if fallback is None else {"mode": fallback.name, "privacy": privacy}

    # -- what stands behind -------------------------------------------------------------------

    def _profile(self, service: BrainService) -> BrainProfile:
        wishes, settings = self._spec.cerebro, self._config.brain
        depth = getattr(settings.depths, wishes.get("analysis_depth") or settings.depth)
        return BrainProfile(
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
            session={"contexto": dict(self._spec.context), "acciones": list(self._actions)},
        )

    def _tools(self, journal: Journal, brain: Callable[[], SessionBrain | None]) -> ToolRuns:
        async def search(query: str) -> Json:
            found = brain()
            return {"status": "nothing_found"} if found is None else await found.look_up(query)

        session = {
            "session_id": self._spec.session_id,
            "language": self._spec.language,
            "user_id": self._spec.context.get("user_id"),
            "tenant": self._spec.tenant,
        }
        desk = ActionDesk(self._actions, self._spec.session_id)
        return ToolRuns(desk, self._shared.runner, search, journal, session, self._spec.trace)

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
        spec, models = self._spec, self._config.models
        journal.write(
            "session",
            session_id=spec.session_id,
            language=spec.language,
            model=self._model,
            cerebro=spec.cerebro,
            actions=list(self._actions),
        )
        field = "context.available_actions"
        for name in self._undeclared:
            _warn(call, "field_ignored", f"{field}: '{name}' is not declared in penny.yaml", field)
        if self._unknown_provider:
            names = ", ".join(self._shared.providers)
            message = f"portavoz.provider: '{self._unknown_provider}' is unknown; there are {names}"
            _warn(call, "field_ignored", message, "portavoz.provider")
        if models.price_of(self._model) is not None and not models.has_price(self._model):
            message = f"'{self._model}' has no price; the highest of its family is counted"
            _warn(call, "price_unknown", message, "portavoz.model")


def _warn(call: ExternalCall, code: str, message: str, field: str) -> None:
    call.tell({"type": "penny.warning", "code": code, "message": message, "field": field})
