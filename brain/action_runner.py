"""Runs actions: an HTTP endpoint or a Python callable, within a time limit."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import aiohttp
import orjson
import structlog

from brain.actions import CONFIRMED, ActionCall
from brain.quoting import clean_text
from config.brain import Action
from penny.errors import PennyError
from penny.tracing.current import trace_headers
from penny.trust.public_http import is_inward_as_written, open_public_http
from penny.writable import mend_json


log = structlog.get_logger()

Json = dict[str, Any]

MAX_RESULT_BYTES = 64 * 1024
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class ActionFailed(PennyError):
    """``code``: timeout, http_error, connection, bad_result, callable_failed."""

    code = "action_failed"
    retryable = True


class ActionRunner:
    """One per gateway. Its connections reach what the table names and the open internet.

    Args:
        actions: of the configuration. What lies in the house's own network is there as such: by
            its written address, or by ``private_network``.
    """

    def __init__(self, actions: Mapping[str, Action]) -> None:
        self._inward = [
            action.endpoint
            for action in actions.values()
            if action.endpoint is not None
            and (action.private_network or is_inward_as_written(action.endpoint))
        ]
        self._http: aiohttp.ClientSession | None = None

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.close()

    async def run(self, action: Action, call: ActionCall, session: Json) -> Json:
        """Run it; returns the result as an object. Raises ActionFailed.

        The same wish carries the same ``Idempotency-Key``, so that the service on the other side
        can keep its own promise too.
        """
        arguments = {k: v for k, v in call.arguments.items() if k != CONFIRMED}
        key = call.key or call.call_id
        try:
            async with asyncio.timeout(action.timeout_s):
                if action.endpoint is not None:
                    return await self._post(action.endpoint, arguments, key)
                assert action.callable is not None
                return await _call(action.callable, arguments, {**session, "idempotency_key": key})
        except TimeoutError as error:
            raise ActionFailed(
                f"{call.name} took longer than {action.timeout_s:g} s", code="timeout"
            ) from error

    async def _post(self, url: str, arguments: Json, key: str) -> Json:
        if self._http is None:
            self._http = open_public_http(self._inward)
        try:
            async with self._http.post(
                url,
                json=arguments,
                headers={"Idempotency-Key": key, **trace_headers(url)},
                allow_redirects=False,
            ) as response:
                body = await _take_body(response)
                if response.status in REDIRECTS:
                    raise ActionFailed(
                        "the service answered with a redirect; write the final address in "
                        "actions.table",
                        code="http_error",
                        retryable=False,
                    )
                if response.status >= 400:
                    said = clean_text(body[:300].decode(errors="replace"))
                    raise ActionFailed(
                        f"the service answered HTTP {response.status}: {said}",
                        code="http_error",
                        retryable=response.status >= 500,
                    )
                return _as_object(_read(body))
        except aiohttp.ClientError as error:
            raise ActionFailed(
                f"the service cannot be reached: {type(error).__name__}", code="connection"
            ) from error


async def _take_body(response: aiohttp.ClientResponse) -> bytes:
    """The whole answer, unpacked. Raises ActionFailed when it is too long."""
    body = bytearray()
    async for piece in response.content.iter_chunked(MAX_RESULT_BYTES):
        body += piece
        if len(body) > MAX_RESULT_BYTES:
            raise ActionFailed(
                f"the service answered with more than {MAX_RESULT_BYTES} bytes", code="bad_result"
            )
    return bytes(body)


def _read(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ActionFailed("the service did not answer with JSON", code="bad_result") from error


async def _call(target: str, arguments: Json, session: Json) -> Json:
    function = find_callable(target)
    try:
        if inspect.iscoroutinefunction(function):
            return _as_object(await function(arguments, session))
        return _as_object(await asyncio.to_thread(function, arguments, session))
    except PennyError:
        raise
    except Exception as error:
        log.exception("action_callable_failed", target=target)
        raise ActionFailed(f"{target} failed", code="callable_failed") from error


def find_callable(target: str) -> Callable[[Json, Json], Any]:
    """``module:function``. Raises ActionFailed naming what is missing."""
    module, _, name = target.partition(":")
    try:
        function = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ActionFailed(f"callable '{target}' does not exist", code="callable_failed") from error
    if not callable(function):
        raise ActionFailed(f"'{target}' is not callable", code="callable_failed")
    found: Callable[[Json, Json], Any] = function
    return found


def _as_object(result: object) -> Json:
    told: object = mend_json(result)
    return told if isinstance(told, dict) else {"result": told}
