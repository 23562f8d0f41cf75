"""Experiments over HTTP: what each came to, and how one is stopped.

GET  /v1/experiments              each with its arms, differences and what was stopped
POST /v1/experiments/{name}/stop  {"reason": …}: for good; another phase begins another
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from config.experiments import ExperimentSection
from config.schema import Config
from penny.errors import ProtocolError
from penny.experiments.live import Experiments
from penny.experiments.store import ExperimentStore
from penny.gateway.json_routes import as_json, read_body, told
from penny.gateway.kept_calls import KeptCalls


Json = dict[str, Any]


class Stop(BaseModel):
    """Why an experiment is stopped."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field("stopped by hand", max_length=200)


class ExperimentRoutes:
    """The routes of experiments, which are the house's own."""

    def __init__(self, experiments: Mapping[str, ExperimentSection], live: Experiments) -> None:
        self._experiments = experiments
        self._live = live

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/v1/experiments", told(self._list))
        app.router.add_post("/v1/experiments/{name}/stop", told(self._stop))

    async def _list(self, _request: web.Request) -> web.StreamResponse:
        return as_json({"experiments": await describe(self._experiments, self._live.store)})

    async def _stop(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        experiment = self._experiments.get(name)
        if experiment is None:
            known = ", ".join(self._experiments) or "none: write experiments"
            raise ProtocolError(f"name: there is no experiment {name}; there are: {known}")
        wish = await read_body(request, Stop)
        is_new = await self._live.store.stop(
            name, experiment.phase, wish.reason, round(time.time() * 1000)
        )
        await self._live.look()
        return as_json({"name": name, "stopped": True, "was_running": is_new})


def open_experiments(config: Config, kept: KeptCalls) -> Experiments:
    """The experiments of this configuration; what they give stands in the records of calls."""
    store = ExperimentStore(kept.keeper.store.database)
    live = Experiments(config.experiments, store, time.time, config.session.instructions)
    kept.exposures = live.take
    return live


async def describe(
    experiments: Mapping[str, ExperimentSection], store: ExperimentStore
) -> list[Json]:
    """Each experiment with what came of it. Raises StoreUnavailable."""
    stops = await store.stops()
    return [
        {
            "name": name,
            "enabled": each.enabled,
            "stopped": stops.get((name, each.phase)),
            "earlier_phases": sorted(
                phase for other, phase in stops if other == name and phase != each.phase
            ),
            **await store.result(name, each),
        }
        for name, each in experiments.items()
    ]
