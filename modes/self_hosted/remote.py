"""A worker at a fixed address that Penny does not start: a pod, a machine, a load balancer."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import structlog

from config.credentials import RUNPOD_API_KEY, WORKER_TOKEN, is_not_set, read_secret
from modes.realtime import CONNECT_TIMEOUT_S
from modes.self_hosted.source import Place, dial_worker
from penny.aio.allow_list import AllowList
from penny.errors import ModeUnavailable
from penny.localized import Localized
from penny.session.mode import Availability, SessionSpec, WorkerState


log = structlog.get_logger()

QUEUE_HOST = "api.runpod.ai"
LOAD_BALANCER_SUFFIX = ".api.runpod.ai"
BALANCER_TIMEOUT_S = 130.0
"""RunPod's load balancer holds a connection for two minutes while a worker wakes up."""


class RemoteWorker:
    """A worker reached by URL.

    A RunPod load balancer (``wss://<id>.api.runpod.ai/…``) asks for RunPod's own key; any other
    worker for the token it was started with, if it was.
    """

    def __init__(
        self,
        url: str,
        hosts: AllowList | None,
        environment: Mapping[str, str],
        *,
        missing_variables: tuple[str, ...] = (),
    ) -> None:
        self._url = url
        self._hosts = hosts
        self._environment = environment
        self._missing = missing_variables
        self._host = urlsplit(url).hostname or ""
        self._is_balancer = self._host.endswith(LOAD_BALANCER_SUFFIX)

    def availability(self) -> Availability:
        if self._missing:
            names = ", ".join(self._missing)
            remedy = Localized(
                en=f"set {names}, or take endpoint out of penny.yaml",
                es=f"defina {names}, o quite endpoint de penny.yaml",
            )
            return Availability(False, is_not_set(names), remedy)
        if self._is_balancer and read_secret(RUNPOD_API_KEY, self._environment) is None:
            remedy = Localized(
                en=f"export {RUNPOD_API_KEY}=…: RunPod's load balancer asks for it",
                es=f"export {RUNPOD_API_KEY}=…: la pide el balanceador de RunPod",
            )
            return Availability(False, is_not_set(RUNPOD_API_KEY), remedy)
        return Availability(True)

    def workers(self) -> list[WorkerState]:
        """The address alone: whether it answers is known when a session asks it."""
        return [WorkerState(self._host, "configured")]

    async def start(self) -> None:
        if self._host == QUEUE_HOST:
            log.warning(
                "endpoint_has_no_websocket",
                host=self._host,
                reason="RunPod's queue API serves no WebSocket route; calls will be refused",
                remedy="use wss://<endpoint>.api.runpod.ai/v1/realtime (load balancer), or "
                "runpod.endpoint_id for leased workers (runpod_worker/README.md)",
            )

    async def acquire(self, spec: SessionSpec) -> Place:
        state = self.availability()
        if not state.available:
            raise ModeUnavailable(state.reason, remedy=state.remedy)
        timeout_s = BALANCER_TIMEOUT_S if self._is_balancer else CONNECT_TIMEOUT_S
        connection = await dial_worker(self._url, self._headers(), spec, self._hosts, timeout_s)
        return Place(connection)

    async def aclose(self) -> None:
        return None

    def _headers(self) -> dict[str, str]:
        name = RUNPOD_API_KEY if self._is_balancer else WORKER_TOKEN
        secret = read_secret(name, self._environment)
        return {} if secret is None else {"Authorization": f"Bearer {secret.get_secret_value()}"}
