"""Every section of ``penny.yaml``: each key with its type, default, limits and meaning.

The root is ``Config``; ``config.loader.load`` builds it. Nothing here reads the environment or
holds a secret: credentials are names of environment variables (``config.credentials``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from config.analysis import AnalysisSection, TenantAnalysisSection
from config.brain import Action, ActionsSection, BrainSection, CostsSection, SpeakerSection
from config.calls import CallsSection, TenantCallsSection
from config.crm import CrmSection
from config.experiments import ExperimentSection, Name, find_clash
from config.gateway import GatewaySection
from config.modes import ModeName, Modes
from config.prices import ALIASES, PRICES, ModelPrices, find_prices, known_as
from config.runpod import PrivacySection, RunpodSection
from config.sections import AdminSection, WaitingSection
from config.sign_in import SignInSection
from config.telephony import TelephonySection
from config.trust import (
    KeysSection,
    LimitsSection,
    NoiseReduction,
    RedisSection,
    ResumeSection,
    TenantSection,
)
from config.webhooks import WebhooksSection
from config.worker import AUTO, EMBEDDED, Profile, WorkerSection, default_profiles
from kb import KbSettings
from kb.settings import KbSection
from penny.aio.allow_list import AllowList
from penny.section import Section, key_error, over
from penny.tracing.settings import TracingSettings
from runpod_worker.settings import WorkerSettings


class PennySection(Section):
    """``penny``: modes, which of them is the default, and the profile of the local worker."""

    default_mode: ModeName = Field("SELF_HOSTED", description="mode of a session that names none")
    allow_user_selection: bool = Field(True, description="whether a session may name its mode")
    profile: str = Field(
        AUTO,
        description="which of `profiles` the local worker runs; auto is natural where it can",
    )
    modes: Modes = Field(Modes(), description="what can talk back")

    @model_validator(mode="after")
    def _default_mode_is_enabled(self) -> Self:
        if self.default_mode not in dict(self.modes.enabled()):
            raise key_error("default_mode", f"{self.default_mode} is disabled; enable it")
        return self


INSTRUCTIONS = (
    "Eres Penny, la asistente de voz de la empresa. Respondes en frases cortas y claras, "
    "con trato cercano y profesional. Si no sabes algo, lo dices."
)


class SessionSection(Section):
    """``session``: what a session is unless it says otherwise."""

    language: Literal["es", "en"] = Field("es", description="language of a session that names none")
    greeting: str = Field("", max_length=500, description="what Penny says first; empty is nothing")
    instructions: str = Field(
        INSTRUCTIONS,
        max_length=20_000,
        description="system prompt of a session that brings none",
    )
    noise_reduction: NoiseReduction | None = Field(
        None, description="of what is heard: near_field, far_field; null is none"
    )


class ModelsSection(Section):
    """``models``: names and prices of the vendors' models."""

    aliases: Annotated[dict[str, str], over(ALIASES)] = Field(
        default_factory=lambda: dict(ALIASES), description="retired name: the model used instead"
    )
    prices: Annotated[dict[str, ModelPrices], over(PRICES)] = Field(
        default_factory=lambda: dict(PRICES), description="USD per 1M tokens, by model and modality"
    )

    def current(self, model: str) -> str:
        """The model to use for a name that a client or the file gives."""
        return self.aliases.get(model, model)

    def price_of(self, model: str) -> ModelPrices | None:
        """Its prices, or the most it can cost; None for a name of no vendor."""
        return find_prices(model, self.prices)

    def has_price(self, model: str) -> bool:
        """Whether ``price_of`` knows, and does not take the highest of the family."""
        return known_as(model, self.prices) is not None


class LogsSection(Section):
    """``logs``: level and format."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level")
    format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto is console on a terminal and json elsewhere"
    )


class MetricsSection(Section):
    """``metrics``: the Prometheus endpoint."""

    enabled: bool = Field(True, description="whether GET /metrics answers")


class Config(Section):
    """All of ``penny.yaml``. Relative paths are seen from the file's folder: ``resolve``."""

    penny: PennySection = Field(PennySection(), description="modes and their choice")
    gateway: GatewaySection = Field(GatewaySection(), description="where clients come")
    session: SessionSection = Field(
        SessionSection(), description="what a session is unless it says otherwise"
    )
    profiles: Annotated[dict[str, Profile], over(default_profiles())] = Field(
        default_factory=default_profiles, description="named sets of engines for the worker"
    )
    worker: WorkerSection = Field(
        WorkerSection(), description="the pipeline's process, turns and engines"
    )
    runpod: RunpodSection = Field(RunpodSection(), description="workers leased on RunPod")
    waiting: WaitingSection = Field(
        WaitingSection(), description="what is heard while a worker is on its way"
    )
    privacy: PrivacySection = Field(
        PrivacySection(), description="what may leave the configured hosts"
    )
    models: ModelsSection = Field(ModelsSection(), description="vendors' models: names and prices")
    brain: BrainSection = Field(
        BrainSection(), description="EXTERNAL: what thinks behind the speaker"
    )
    speaker: SpeakerSection = Field(
        SpeakerSection(), description="EXTERNAL: the connection to the speaker"
    )
    actions: ActionsSection = Field(
        ActionsSection(), description="what may be done in the caller's name"
    )
    costs: CostsSection = Field(CostsSection(), description="ceiling of a session")
    kb: KbSection = Field(KbSection(), description="knowledge base")
    keys: KeysSection = Field(KeysSection(), description="API keys")
    sign_in: SignInSection = Field(SignInSection(), description="people at the pages, beside keys")
    tenants: dict[str, TenantSection] = Field(
        default_factory=dict, description="whose keys they are, and what those may do"
    )
    limits: LimitsSection = Field(
        LimitsSection(), description="of every tenant unless its own section says so"
    )
    redis: RedisSection = Field(RedisSection(), description="what several gateways share")
    resume: ResumeSection = Field(ResumeSection(), description="clients whose connection was lost")
    admin: AdminSection = Field(AdminSection(), description="the operator's page and routes")
    calls: CallsSection = Field(CallsSection(), description="calls that are kept")
    analysis: AnalysisSection = Field(AnalysisSection(), description="what is found in calls")
    telephony: TelephonySection = Field(
        TelephonySection(), description="callers on the telephone, and calls that are placed"
    )
    webhooks: WebhooksSection = Field(WebhooksSection(), description="who is told of calls")
    crm: CrmSection = Field(CrmSection(), description="who is asked who calls")
    experiments: dict[Name, ExperimentSection] = Field(
        default_factory=dict, description="what is tried on a share of the calls"
    )
    logs: LogsSection = Field(LogsSection(), description="what Penny writes of itself")
    metrics: MetricsSection = Field(MetricsSection(), description="Prometheus")
    tracing: TracingSettings = Field(
        TracingSettings(), description="OpenTelemetry traces of a turn"
    )

    _origin: Origin = PrivateAttr(default_factory=lambda: Origin())

    @model_validator(mode="after")
    def _profile_exists(self) -> Self:
        if self.penny.profile not in (AUTO, *self.profiles):
            names = ", ".join(sorted((AUTO, *self.profiles)))
            raise key_error(
                "penny.profile", f"'{self.penny.profile}' is not a profile; available: {names}"
            )
        return self

    @model_validator(mode="after")
    def _experiments_do_not_meet(self) -> Self:
        if clash := find_clash(self.experiments):
            one, other, key = clash
            reason = f"{one} changes {key} too: disable one of the two"
            raise key_error(f"experiments.{other}", reason)
        running = [name for name, each in self.experiments.items() if each.enabled]
        if running and not self.calls.enabled:
            reason = "its results are read from kept calls: set calls.enabled"
            raise key_error(f"experiments.{running[0]}", reason)
        return self

    @model_validator(mode="after")
    def _asterisk_has_one_process(self) -> Self:
        if self.telephony.asterisk.enabled and self.gateway.processes > 1:
            reason = "Asterisk's calls need a single gateway process; set gateway.processes: 1"
            raise key_error("telephony.asterisk.enabled", reason)
        return self

    @model_validator(mode="after")
    def _private_spans_stay_in_the_house(self) -> Self:
        private = self.tracing.enabled and self.penny.modes.SELF_HOSTED.enabled
        allowed = AllowList(self.privacy.allowed_hosts)
        if private and (reason := self.tracing.refusal(allowed)):
            raise key_error("tracing.endpoint", reason)
        return self

    @model_validator(mode="after")
    def _private_calls_stay_in_the_house(self) -> Self:
        private = self.calls.enabled and self.penny.modes.SELF_HOSTED.enabled
        key, reason = self.calls.refusal(self.privacy.allowed_hosts)
        if private and key:
            raise key_error(f"calls.{key}", reason)
        return self

    @model_validator(mode="after")
    def _who_is_told_is_told_of_kept_calls(self) -> Self:
        if not self.calls.enabled and any(self.webhooks.all()):
            raise key_error("webhooks", "events are told of kept calls: set calls.enabled")
        if not self.calls.enabled and self.crm.kind != "none":
            raise key_error("crm", "a CRM is told of kept calls: set calls.enabled")
        return self

    @model_validator(mode="after")
    def _who_is_recorded_is_told(self) -> Self:
        sections = {"calls": TenantCallsSection()}
        sections |= {f"tenants.{name}.calls": tenant.calls for name, tenant in self.tenants.items()}
        for place, own in sections.items():
            if missing := self.calls.unannounced(own):
                reason = "recording 'ask' or 'announce' tells callers of it: write this"
                raise key_error(f"{place}.{missing}", reason)
        return self

    def tenant_calls(self, tenant: str) -> TenantCallsSection:
        """How a tenant's calls are kept, where it says otherwise than the house."""
        section = self.tenants.get(tenant)
        return section.calls if section is not None else TenantCallsSection()

    def noise_reduction(self, tenant: str) -> dict[str, str] | None:
        """``audio.input.noise_reduction`` of a tenant's sessions: the vendor's own in EXTERNAL, in
        private mode what ``worker.hearing.denoise`` makes of it."""
        section = self.tenants.get(tenant)
        own = section.noise_reduction if section is not None else None
        kind = own or self.session.noise_reduction
        return {"type": kind} if kind else None

    def tenant_analysis(self, tenant: str) -> TenantAnalysisSection:
        """How a tenant's calls are analysed, its own settings before those of the house."""
        section, house = self.tenants.get(tenant), self.analysis
        own = section.analysis if section is not None else TenantAnalysisSection()
        return TenantAnalysisSection(
            rules=house.rules if own.rules is None else own.rules,
            alert_intents=house.alert_intents if own.alert_intents is None else own.alert_intents,
            retranscribe=house.retranscribe if own.retranscribe is None else own.retranscribe,
        )

    @property
    def profile(self) -> Profile:
        """The engines that the local worker runs; those without weights while it is ``auto``."""
        name = EMBEDDED if self.penny.profile == AUTO else self.penny.profile
        return self.profiles[name]

    def with_profile(self, name: str) -> Self:
        """This configuration with another of its profiles."""
        penny = self.penny.model_copy(update={"profile": name})
        config = self.model_copy(update={"penny": penny})
        config._origin = self._origin
        return config

    def with_actions(self, table: dict[str, Action]) -> Self:
        """This configuration with these actions, every one offered."""
        actions = self.actions.model_copy(update={"table": table, "offered": tuple(table)})
        config = self.model_copy(update={"actions": actions})
        config._origin = self._origin
        return config

    def worker_settings(self) -> WorkerSettings:
        """All that a worker of this configuration is told."""
        return WorkerSettings(
            choice=self.profile.choice,
            turns=self.worker.turns,
            hearing=self.worker.hearing,
            deadlines=self.worker.deadlines,
            spoken=self.worker.spoken,
            asking=self.worker.asking,
            engines=self.profile.over(self.worker.engines),
            library=self._library(),
            models=self.resolve(self.worker.models),
            allowed_hosts=self.privacy.allowed_hosts,
            language=self.session.language,
            phrases=tuple(p for each in self.actions.table.values() for p in each.phrases),
            slots=self.worker.max_sessions,
            # The gateway ends its sessions first, in a moment of silence.
            session_max_s=round(self.gateway.session_max_s) + 60,
            tracing=self.tracing,
            log_level=self.logs.level,
            log_format=self.logs.format,
        )

    def kb_settings(self, environment: Mapping[str, str]) -> KbSettings:
        """The knowledge base of this configuration; ``environment`` has the embedder's key."""
        return self._library().kb_settings(environment)

    def _library(self) -> KbSection:
        folders = {name: self.resolve(getattr(self.kb, name)) for name in ("documents", "index")}
        return self.kb.model_copy(update=folders)

    @property
    def origin(self) -> Origin:
        return self._origin

    def from_file(self, origin: Origin) -> Self:
        """This configuration, knowing the file it was read from."""
        config = self.model_copy()
        config._origin = origin
        return config

    def resolve_url(self, url: str) -> str:
        """A database's address; the path of an SQLite file is absolute."""
        scheme, mark, path = url.partition("sqlite:///")
        return f"{mark}{self.resolve(Path(path))}" if mark and not scheme else url

    def resolve(self, path: Path) -> Path:
        """A path of the file as an absolute one."""
        return (self._origin.folder / path).resolve()


class MissingVariable(Section):
    """A ``${VAR}`` in a mode's section that the environment does not have."""

    name: str
    key: str
    line: int


class Origin(Section):
    """Where a Config came from: no part of the file itself."""

    path: Path | None = None
    folder: Path = Field(default_factory=Path.cwd)
    missing: tuple[MissingVariable, ...] = ()
    lines: dict[str, int] = {}
    retired: dict[str, str] = {}
    """Keys of an earlier version that the file still has, each with what took its place."""

    def place(self, key: str) -> str:
        """``file:line: key``, with the line of the nearest section that the file has."""
        parts = key.split(".")
        for length in range(len(parts), 0, -1):
            line = self.lines.get(".".join(parts[:length]))
            if line is not None:
                return f"{self.path.name if self.path else ''}:{line}: {key}"
        return key
