"""One EXTERNAL call put together: speaker, brain, context, and tools."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from brain.actions import ActionDesk, choose_actions, offer_tools
from brain.analysis import BrainProfile
from brain.brain import SessionBrain
from brain.render import RULES, quote
from brain.service import BrainCounts, BrainService
from brain.texts import texts_of
from brain.tool_desk import ActionRunner
from config.schema import Config
from modes.external.call import ExternalCall
from modes.external.context import DeclaredContext
from modes.external.conversation import Conversation
from modes.external.host import CallHost, pending_output
from modes.external.line import Line, Open
from modes.external.openai_speaker import RealtimeUpstream
from modes.external.placing import Placer
from modes.external.session_view import SessionView
from modes.external.speaker import Capabilities, Json, SpeakerProvider, UpstreamSpeaker
from modes.external.state import CallState
from penny.ids import new_id
from penny.localized import language_of
from penny.session.mode import Mode, SessionSpec


REASONING_MODELS = re.compile(r"gpt-realtime-2(\.|-|$)")
PLAIN = Capabilities(appends=False, calls_tools=False)
"""Of another mode's speaker: it has the context in its instructions, and what else goes on there
is that mode's business."""


@dataclass(slots=True)
class CallResources:
    """What every call of the mode shares. ``fallback``: where a call goes when its speaker is gone
    for good; ``brain``: None where the configuration has none, or none can run."""

    config: Config
    providers: Mapping[str, SpeakerProvider]
    runner: ActionRunner
    fallback: Mode | None
    brain: BrainService | None = None
    counts: BrainCounts = field(default_factory=BrainCounts)


class CallAssembly:
    """Puts one call together from the configuration and the caller's wishes."""

    def __init__(self, shared: CallResources, spec: SessionSpec) -> None:
        self._shared = shared
        self._config = config = shared.config
        self._section = own = config.penny.modes.EXTERNAL
        self._spec = spec
        self._language = language_of(spec.language)
        wanted = spec.portavoz.get("provider") or own.portavoz_provider
        self._unknown_provider = "" if wanted in shared.providers else wanted
        name = own.portavoz_provider if self._unknown_provider else wanted
        self._provider = shared.providers[name]
        is_own = name == own.portavoz_provider
        default = own.portavoz_model if is_own else self._provider.default_model
        self._model = config.models.current(spec.portavoz.get("model") or default)
        self._actions, self._undeclared = choose_actions(
            config.actions.table, spec.context.get("available_actions") or ()
        )

    def build(self) -> ExternalCall:
        shared, service = self._shared, self._shared.brain
        clock = asyncio.get_running_loop().time
        speaker = self._config.speaker
        line = Line(self._open_next, self._open_fallback(), speaker, clock, time.time)
        private = {"mode": "SELF_HOSTED", "privacy": ""}
        if shared.fallback is not None:
            privacy = self._config.penny.modes.SELF_HOSTED.privacy
            private = {"mode": shared.fallback.name, "privacy": privacy}
        state = self._state()
        host = self._host(state, clock)
        call = ExternalCall(state, line, host, clock, shared.counts, private)
        if service is not None:
            host.brain = SessionBrain(service, self._profile(service), host)
        self._warn(call)
        return call

    def _state(self) -> CallState:
        config, spec, has_brain = self._config, self._spec, self._shared.brain is not None
        how = spec.cerebro.get("placement") or config.brain.placement
        placer = Placer(how, config.models.price_of(self._model))
        base = spec.session.get("instructions", spec.instructions)
        if known := spec.context.get("crm"):
            source = str(known.get("source") or "CRM") if isinstance(known, dict) else "CRM"
            told = texts_of(self._language)["known"]
            base = f"{base}\n\n{told} {quote(known, source, self._language)}"
        facts_s = config.brain.facts_budget_ms / 1000 if has_brain else 0.0
        actions = config.actions
        fillers = actions.fillers_en if self._language == "en" else actions.fillers_es
        state = CallState(
            conversation=Conversation(),
            context=DeclaredContext(base, RULES[self._language], placer, new_id),
            placer=placer,
            view=self._view(answers_turns=facts_s > 0),
            facts_s=facts_s,
            filler_s=actions.filler_after_ms / 1000,
            reply_s=actions.reply_after_ms / 1000,
            new_id=new_id,
            fillers=list(fillers),
            pending_output=pending_output(self._language),
            say=texts_of(self._language)["say"],
            has_brain=has_brain,
        )
        for item in spec.history:
            known = state.conversation.add({"id": new_id("item"), **item})
            known.is_known_as_text = known.is_final = True
        return state

    def _view(self, *, answers_turns: bool) -> SessionView:
        service, spec = self._shared.brain, self._spec
        own: Json = {"model": self._config.speaker.transcription_model}
        if spec.fixed_language or spec.transcripts or self._provider.able.answers_by_itself:
            own["language"] = spec.language.split("-")[0]  # else it is the client's to name one
        search = service is not None and service.base is not None
        view = SessionView(
            offer_tools(self._actions, self._language, search=search),
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
        heard: Json = {"turn_detection": detection, "transcription": transcription}
        if noise := self._config.noise_reduction(self._spec.tenant):
            heard["noise_reduction"] = noise
        session: Json = {
            "output_modalities": ["audio"],
            "tools": [],
            "truncation": {"type": "retention_ratio", "retention_ratio": 0.8},
            "audio": {
                "input": heard,
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
            speaker = await fallback.open(replace(self._spec, voice="", history=tuple(seed)))
            return RealtimeUpstream(speaker, PLAIN, [item["id"] for item in seed])

        return open_it

    def _profile(self, service: BrainService) -> BrainProfile:
        wishes, settings = self._spec.cerebro, self._config.brain
        named = {"update_frequency", "every_n"} & {name for name in wishes if wishes[name]}
        depth = getattr(settings.depths, wishes.get("analysis_depth") or settings.depth)
        return BrainProfile(
            language=self._spec.language,
            ref=wishes.get("knowledge_base_ref") or self._config.kb.default_ref,
            depth=depth,
            model=service.model_for(depth, wishes.get("model")),
            settings=settings.model_copy(update={name: wishes[name] for name in named}),
            session={"contexto": dict(self._spec.context), "acciones": list(self._actions)},
            trace=self._spec.trace,
        )

    def _host(self, state: CallState, clock: Callable[[], float]) -> CallHost:
        spec, shared = self._spec, self._shared
        session = {
            "session_id": spec.session_id,
            "language": spec.language,
            "user_id": spec.context.get("user_id"),
            "tenant": spec.tenant,
        }
        desk = ActionDesk(self._actions, spec.session_id, spec.language)
        counts = shared.counts.actions
        return CallHost(state, clock, desk, shared.runner, session, counts, spec.trace)

    def _warn(self, call: ExternalCall) -> None:
        """Tell what of the caller's wishes does not hold."""
        models, field = self._config.models, "context.available_actions"
        warnings = [
            ("field_ignored", f"{field}: '{name}' is not declared in penny.yaml", field)
            for name in self._undeclared
        ]
        if self._actions and not self._provider.able.calls_tools:
            message = f"{field}: '{self._provider.name}' cannot call actions; it only searches"
            warnings.append(("field_ignored", message, field))
        if self._unknown_provider:
            field, names = "portavoz.provider", ", ".join(self._shared.providers)
            message = f"{field}: '{self._unknown_provider}' is unknown; there are {names}"
            warnings.append(("field_ignored", message, field))
        if models.price_of(self._model) is not None and not models.has_price(self._model):
            message = f"'{self._model}' has no price; the highest of its family is counted"
            warnings.append(("price_unknown", message, "portavoz.model"))
        for code, message, field in warnings:
            told = {"code": code, "message": message, "field": field}
            call.tell({"type": "penny.warning", **told})
