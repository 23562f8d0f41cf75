"""Name -> mode, built once from the configuration."""

from __future__ import annotations

import aiohttp

from config.schema import Config
from modes.external.mode import ExternalMode
from modes.self_hosted.mode import SelfHostedMode
from modes.self_hosted.worker import LocalWorker, RemoteWorker, WorkerSource
from penny.session.mode import Mode


def build_modes(config: Config, http: aiohttp.ClientSession) -> dict[str, Mode]:
    """Every enabled mode by name, in the file's order, not yet started."""
    modes: dict[str, Mode] = {}
    for name, _ in config.penny.modes.enabled():
        if name == "SELF_HOSTED":
            modes[name] = SelfHostedMode(_worker_source(config), http)
        else:
            modes[name] = ExternalMode(config, http, fallback=modes.get("SELF_HOSTED"))
    return modes


def _worker_source(config: Config) -> WorkerSource:
    endpoint = config.penny.modes.SELF_HOSTED.endpoint
    missing = [v for v in config.origin.missing if v.key.startswith("penny.modes.SELF_HOSTED")]
    if endpoint is not None or missing:
        return RemoteWorker(endpoint or "", missing_variables=tuple(v.name for v in missing))
    return LocalWorker(config.origin.path, start_timeout_s=config.worker.start_timeout_s)
