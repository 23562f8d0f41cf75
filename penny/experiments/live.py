"""Experiments of a gateway: arms are given as sessions open, and a harmful one ends by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import structlog

from config.experiments import ExperimentSection
from penny.aio.tasks import TaskOwner
from penny.calls.database import StoreUnavailable
from penny.experiments.assign import choose_arm, unit_of, weights_of
from penny.experiments.results import is_harmful
from penny.experiments.store import ExperimentStore
from penny.session.broker import Broker
from penny.session.mode import Mode, SessionSpec


log = structlog.get_logger()

Json = dict[str, Any]

LOOK_EVERY_S = 60.0
MOST_OPENING = 4096
"""Sessions that are opening; one that never began is forgotten past so many."""
HARM = "harm"
"""Why an experiment ended by itself; the arm follows."""


class Experiments:
    """The experiments of ``penny.yaml``, applied by the broker.

    A session takes part in one where it is eligible and named nothing of what the arms change: its
    own wish is never overruled. What took effect is told once, to who keeps the call.

    Args:
        wall_clock: Unix time in seconds.
        instructions: of a session that brings none.
    """

    def __init__(
        self,
        experiments: Mapping[str, ExperimentSection],
        store: ExperimentStore,
        wall_clock: Callable[[], float],
        instructions: str,
    ) -> None:
        self._experiments = {name: each for name, each in experiments.items() if each.enabled}
        self.store = store
        self._wall_clock = wall_clock
        self._instructions = instructions
        self._stopped: set[tuple[str, str]] = set()
        self._holders: dict[str, dict[str, str]] = {}
        """Who met an arm in an earlier phase and keeps it, by experiment."""
        self._opening: dict[str, Json] = {}
        self._tasks = TaskOwner("experiments")

    async def start(self, broker: Broker) -> None:
        """Give arms from now on. A database that is away stops nothing: it is asked again."""
        if not self._experiments:
            return
        await self.look()
        broker.suggest_mode = self.suggest_mode
        broker.arrange = self.arrange
        self._tasks.spawn(self._look_on(), name="experiments")

    async def aclose(self) -> None:
        await self._tasks.aclose()

    # -- arms -------------------------------------------------------------------------------------

    def suggest_mode(self, spec: SessionSpec, may_use: Callable[[str], bool]) -> str | None:
        """The mode of a session that named none; None where no experiment says.

        Args:
            may_use: whether this caller's key admits to a mode, and it can talk now. A caller who
                could not have every arm takes no part.
        """
        for name, experiment in self._running():
            modes = {arm.mode for arm in experiment.arms.values() if arm.mode is not None}
            if modes and self._is_eligible(experiment, spec) and all(map(may_use, modes)):
                arm = self._give(name, experiment, spec)
                return experiment.arms[arm].mode
        return None

    def arrange(self, mode: Mode, spec: SessionSpec) -> SessionSpec:
        """The session with what its arms change."""
        for name, experiment in self._running():
            keys = experiment.keys
            if "mode" in keys:  # given, or not, when the mode was chosen
                continue
            if not self._is_eligible(experiment, spec) or any(map(self._named(spec), keys)):
                continue
            if keys & ONLY_EXTERNAL and mode.name != "EXTERNAL":
                continue
            arm = self._give(name, experiment, spec)
            spec = _apply(spec, experiment.arms[arm].changes)
        return spec

    def take(self, session_id: str) -> Json:
        """What a session took part in, by experiment; once, when it begins."""
        return self._opening.pop(session_id, {})

    def _running(self) -> list[tuple[str, ExperimentSection]]:
        return [
            (name, each)
            for name, each in self._experiments.items()
            if (name, each.phase) not in self._stopped
        ]

    def _is_eligible(self, experiment: ExperimentSection, spec: SessionSpec) -> bool:
        is_ours = not experiment.tenants or spec.tenant in experiment.tenants
        return is_ours and spec.kind == "realtime"

    def _named(self, spec: SessionSpec) -> Callable[[str], bool]:
        asked = {
            "instructions": spec.session.get("instructions")
            or spec.instructions != self._instructions,
            "voice": spec.voice or spec.portavoz.get("voice") or spec.session.get("audio"),
            "model": spec.portavoz.get("model"),
            "cerebro_model": spec.cerebro.get("model"),
        }
        return lambda key: bool(asked.get(key))

    def _give(self, name: str, experiment: ExperimentSection, spec: SessionSpec) -> str:
        context = spec.context
        number = "callee" if context.get("direction") == "outbound" else "caller"
        caller = context.get("user_id") or context.get(number)
        is_by_call = experiment.unit == "call" or not caller
        unit = unit_of(name, spec.session_id if is_by_call else f"{spec.tenant}\0{caller}")
        held = self._holders.get(name, {}).get(unit, "")
        is_kept = held in experiment.arms
        arm = held if is_kept else choose_arm(unit, weights_of(experiment))
        exposed: Json = {"arm": arm, "phase": experiment.phase, "unit": unit}
        if is_kept:
            exposed["kept"] = True
        self._opening.setdefault(spec.session_id, {})[name] = exposed
        while len(self._opening) > MOST_OPENING:
            del self._opening[next(iter(self._opening))]
        return arm

    # -- ends -------------------------------------------------------------------------------------

    async def look(self) -> None:
        """See what was stopped and who has an arm, and stop what does harm."""
        try:
            self._stopped = set(await self.store.stops())
            for name, experiment in self._running():
                if experiment.unit == "caller":
                    self._holders[name] = await self.store.holders(name, experiment)
                if arm := is_harmful(await self.store.result(name, experiment)):
                    await self._stop(name, experiment, arm)
        except StoreUnavailable as error:
            log.warning("experiments_not_looked_at", reason=error.message)

    async def _stop(self, name: str, experiment: ExperimentSection, arm: str) -> None:
        now_ms = round(self._wall_clock() * 1000)
        if await self.store.stop(name, experiment.phase, f"{HARM}: {arm}", now_ms):
            log.error("experiment_stopped", experiment=name, arm=arm, metric=experiment.metric)
        self._stopped.add((name, experiment.phase))

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.look()


ONLY_EXTERNAL = frozenset({"model", "cerebro_model", "placement"})


def _apply(spec: SessionSpec, changes: Mapping[str, str]) -> SessionSpec:
    portavoz, cerebro = dict(spec.portavoz), dict(spec.cerebro)
    if "model" in changes:
        portavoz["model"] = changes["model"]
    if "voice" in changes:
        portavoz["voice"] = changes["voice"]
    if "cerebro_model" in changes:
        cerebro["model"] = changes["cerebro_model"]
    if "placement" in changes:
        cerebro["placement"] = changes["placement"]
    return replace(
        spec,
        instructions=changes.get("instructions", spec.instructions),
        voice=changes.get("voice", spec.voice),
        portavoz=portavoz,
        cerebro=cerebro,
    )
