"""The few HTTP routes of RunPod that leases need. One file knows their names and shapes.

Jobs: ``{api}/{endpoint}/run|status|cancel|health``. Endpoint settings: REST v2, ``PATCH
{rest}/{endpoint}``. Both take the account's key as a bearer token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aiohttp
from pydantic import SecretStr

from penny.errors import ModeUnavailable
from penny.localized import Localized


Json = dict[str, Any]

REQUEST_TIMEOUT_S = 15.0
FINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"})
"""Job states after which no worker has it any more."""


@dataclass(frozen=True, slots=True)
class EndpointHealth:
    """How many workers of the endpoint are in which state."""

    ready: int = 0
    initializing: int = 0
    throttled: int = 0


class RunpodApi:
    """One endpoint of one account.

    Every method raises ModeUnavailable: retryable when RunPod is out of reach, busy or failing,
    not retryable when it refuses the key, the endpoint or the request.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        *,
        api_url: str,
        rest_url: str,
        endpoint_id: str,
        key: SecretStr,
    ) -> None:
        self._http = http
        self._jobs = f"{api_url.rstrip('/')}/{endpoint_id}"
        self._settings = f"{rest_url.rstrip('/')}/{endpoint_id}"
        self._key = key

    async def run(self, job: Json, *, execution_timeout_s: float, ttl_s: float) -> str:
        """Queue a job; returns its id. Both limits count from now in RunPod's books."""
        policy = {"executionTimeout": round(execution_timeout_s * 1000), "ttl": round(ttl_s * 1000)}
        answer = await self._ask("POST", f"{self._jobs}/run", {"input": job, "policy": policy})
        job_id = answer.get("id")
        if not isinstance(job_id, str):
            raise ModeUnavailable("RunPod queued a job without an id", retryable=True)
        return job_id

    async def status(self, job_id: str) -> Json:
        """The job as RunPod shows it; ``status`` is IN_QUEUE, IN_PROGRESS or one of FINAL."""
        return await self._ask("GET", f"{self._jobs}/status/{job_id}")

    async def cancel(self, job_id: str) -> None:
        await self._ask("POST", f"{self._jobs}/cancel/{job_id}")

    async def health(self) -> EndpointHealth:
        workers = (await self._ask("GET", f"{self._jobs}/health")).get("workers") or {}
        return EndpointHealth(
            ready=int(workers.get("ready") or 0) or int(workers.get("idle") or 0),
            initializing=int(workers.get("initializing") or 0),
            throttled=int(workers.get("throttled") or 0),
        )

    async def keep_workers(self, count: int) -> None:
        """Set how many workers run without being asked (``workers.min``)."""
        await self._ask("PATCH", self._settings, {"workers": {"min": count}})

    async def _ask(self, method: str, url: str, body: Json | None = None) -> Json:
        headers = {"Authorization": f"Bearer {self._key.get_secret_value()}"}
        limit = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        try:
            async with self._http.request(
                method, url, json=body, headers=headers, timeout=limit
            ) as response:
                if response.status >= 400:
                    raise _refusal(response.status)
                answer = await response.json(content_type=None)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise ModeUnavailable(
                f"RunPod cannot be reached: {type(error).__name__}",
                remedy="see whether this machine reaches runpod.api_url",
                retryable=True,
            ) from error
        except ValueError as error:
            raise ModeUnavailable("RunPod's answer is not JSON", retryable=True) from error
        if not isinstance(answer, dict):
            raise ModeUnavailable("RunPod's answer is not an object", retryable=True)
        return answer


def _refusal(status: int) -> ModeUnavailable:
    if status in (401, 403):
        return ModeUnavailable(
            Localized(en="RunPod refuses the key", es="RunPod rechaza la clave"),
            remedy=Localized(
                en="export RUNPOD_API_KEY=… with a key of this account",
                es="export RUNPOD_API_KEY=… con una clave de esta cuenta",
            ),
        )
    if status == 404:
        return ModeUnavailable(
            Localized(
                en="RunPod does not know this endpoint or job",
                es="RunPod no conoce este endpoint o trabajo",
            ),
            remedy=Localized(
                en="correct runpod.endpoint_id in penny.yaml",
                es="corrija runpod.endpoint_id en penny.yaml",
            ),
        )
    if status == 429 or status >= 500:
        return ModeUnavailable(f"RunPod answers HTTP {status}", retryable=True)
    return ModeUnavailable(
        Localized(
            en=f"RunPod refuses the request: HTTP {status}",
            es=f"RunPod rechaza la petición: HTTP {status}",
        )
    )
