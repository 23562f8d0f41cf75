"""What ``check`` finds: modes, engines, credentials, and everything that is wrong or will be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, Literal

from brain.claude import find_fault
from config.credentials import PURPOSES, Problem, find_notice, find_problems, read_secret
from config.schema import Config
from penny.errors import ConfigError
from penny.webhooks.endpoints import read_endpoints
from runpod_worker.stages import EngineInfo


Json = dict[str, Any]

RETIREMENT_NOTICE = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth knowing. ``place``: ``file:line: key`` as far as known."""

    level: Literal["error", "warning"]
    place: str
    message: str


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine of the local worker, as loaded."""

    stage: str
    name: str
    languages: tuple[str, ...]
    notice: dict[str, str]


@dataclass(frozen=True, slots=True)
class ModeState:
    """A mode that ``penny.yaml`` enables, and what keeps it from talking."""

    name: str
    label: str
    default: bool
    problems: tuple[Problem, ...]
    notice: dict[str, str]


@dataclass(frozen=True, slots=True)
class Examination:
    """All that ``penny check`` found."""

    modes: tuple[ModeState, ...]
    engines: tuple[Engine, ...]
    credentials: dict[str, bool]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        return not any(finding.level == "error" for finding in self.findings)

    def as_json(self) -> Json:
        return {"ok": self.ok, **asdict(self)}


def describe_engine(stage: str, info: EngineInfo) -> Engine:
    return Engine(stage, info.name, info.languages, info.notice)


def examine(
    config: Config,
    environment: Mapping[str, str],
    engines: Sequence[Engine],
    engine_failure: str | None,
    today: date,
) -> Examination:
    """Put together what the file, the environment and the loaded engines tell.

    Args:
        engines: what the local worker's profile loaded; empty when a worker is reached by URL.
        engine_failure: why the profile did not load, with the remedy; None when it did.
    """
    modes = tuple(
        _examine_mode(config, name, environment, engine_failure) for name in _names(config)
    )
    findings = [
        *_examine_default_mode(config, modes),
        *_examine_models(config, today),
        *_examine_documents(config),
        *_examine_webhooks(config, environment),
        *(
            Finding("warning", config.origin.place(key), message)
            for key, message in config.origin.retired.items()
        ),
    ]
    credentials = {name: read_secret(name, environment) is not None for name in PURPOSES}
    return Examination(modes, tuple(engines), credentials, tuple(findings))


def _names(config: Config) -> list[str]:
    return [name for name, _ in config.penny.modes.enabled()]


def _examine_mode(
    config: Config, name: str, environment: Mapping[str, str], engine_failure: str | None
) -> ModeState:
    problems = find_problems(config, name, environment)
    if name == "SELF_HOSTED" and engine_failure:
        key = config.origin.place("penny.profile")
        problems += (Problem(engine_failure, f"see profile '{config.penny.profile}' ({key})"),)
    section = dict(config.penny.modes.enabled())[name]  # type: ignore[index]  # a name of theirs
    is_default = name == config.penny.default_mode
    notice = {} if problems else find_notice(config, name, environment)
    return ModeState(name, section.label, is_default, problems, notice)


def _examine_default_mode(config: Config, modes: Sequence[ModeState]) -> list[Finding]:
    return [
        Finding(
            "error",
            config.origin.place("penny.default_mode"),
            f"{mode.name} cannot talk: {problem.reason}; {problem.remedy}",
        )
        for mode in modes
        if mode.default
        for problem in mode.problems
    ]


def _examine_models(config: Config, today: date) -> list[Finding]:
    external = config.penny.modes.EXTERNAL
    if not external.enabled:
        return []
    findings = []
    for key in ("portavoz_model", "cerebro_model"):
        name = getattr(external, key)
        place = config.origin.place(f"penny.modes.EXTERNAL.{key}")
        current = config.models.current(name)
        prices = config.models.price_of(current)
        if current != name:
            findings.append(Finding("warning", place, f"{name} is retired; {current} is used"))
        if prices is None or not config.models.has_price(current):
            what = "cost unknown" if prices is None else "the highest of its family is taken"
            findings.append(
                Finding("warning", place, f"{current} has no row in models.prices: {what}")
            )
        elif prices.retires_on and prices.retires_on <= today + RETIREMENT_NOTICE:
            findings.append(
                Finding("warning", place, f"{current} is turned off on {prices.retires_on}")
            )
    return findings + _examine_brains_models(config, today)


def _examine_brains_models(config: Config, today: date) -> list[Finding]:
    """What the brain's requests will meet: every model that a depth or an alias leads to."""
    if config.penny.modes.EXTERNAL.cerebro_base_url is not None:
        return []  # another server's models are its own
    named = {"penny.modes.EXTERNAL.cerebro_model": config.penny.modes.EXTERNAL.cerebro_model}
    for depth, settings in config.brain.depths:
        if settings.model is not None:
            named[f"brain.depths.{depth}.model"] = settings.model
    named |= {
        f"models.aliases.{old}": new
        for old, new in config.models.aliases.items()
        if new.startswith("claude")
    }
    return [
        Finding("error" if "was turned" in fault else "warning", config.origin.place(key), fault)
        for key, name in named.items()
        if (fault := find_fault(config.models.current(name), today))
    ]


def _examine_webhooks(config: Config, environment: Mapping[str, str]) -> list[Finding]:
    """What ends a gateway's start, and who hears nothing of private calls."""
    try:
        receivers = read_endpoints(config, environment)
    except ConfigError as error:
        place = config.origin.place(error.key or "webhooks")
        return [Finding("error", place, error.message)]
    private = config.penny.modes.SELF_HOSTED.enabled
    return [
        Finding(
            "warning",
            config.origin.place("webhooks"),
            f"{each.name} hears nothing of private calls: its host is not in privacy.allowed_hosts",
        )
        for each in receivers.values()
        if private and not each.may_hear_private
    ]


def _examine_documents(config: Config) -> list[Finding]:
    folder = config.resolve(config.kb.documents)
    if folder.is_dir():
        return []
    place = config.origin.place("kb.documents")
    return [Finding("error", place, f"there is no folder {folder}; make it, or name another")]
