"""The tools of one call, run as the model calls them: searches, HTTP endpoints, callables."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from typing import Any, cast

import aiohttp
import orjson
import structlog

from brain.actions import CONFIRMED, SEARCH_TOOL, ActionCall, ActionDesk, Judged
from brain.analysis import ActionRecord
from brain.render import clean_text, quote_json
from brain.texts import texts_of
from config.brain import Action
from penny.errors import PennyError
from penny.tracing.current import trace_headers
from penny.trust.public_http import is_inward_as_written, open_public_http
from penny.writable import mend_json


log = structlog.get_logger()

Json = dict[str, Any]
IN_DOUBT = frozenset({"timeout", "connection"})
"""Failures after which it may have been done all the same."""
SECRET = "•"
"""In place of an argument that is never kept."""


class ToolDesk:
    """Searches, actions and hand-offs of one call.

    Args:
        search: of the knowledge base: the whole output, quoted.
        tell: takes ``penny.tool_call``, ``penny.handoff`` and ``penny.recording``.
        summarise: what a person who takes over is told.
        session: what an action is told of the call (``session_id``, ``language`` …).
    """

    def __init__(
        self,
        desk: ActionDesk,
        runner: ActionRunner,
        search: Callable[[str], Awaitable[Json]],
        tell: Callable[[Json], None],
        summarise: Callable[[], str],
        session: Json,
    ) -> None:
        self._desk, self._runner, self._session = desk, runner, session
        self._search, self._tell, self._summarise = search, tell, summarise
        self._results: dict[str, asyncio.Future[Json]] = {}
        self._is_paused = False
        self.records: list[ActionRecord] = []
        """What ran or was refused, newest last."""

    async def run(self, call_id: str, name: str, arguments: str, turn: int, words: str) -> Json:
        """The result of one call; a wish that is known has the result of its first call. A yes
        among ``words``, the caller's in this turn, confirms."""
        judged = self._desk.judge(call_id, name, arguments, turn, words)
        if judged.verdict == "repeated" and judged.first_call_id in self._results:
            return await asyncio.shield(self._results[judged.first_call_id])
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._results[call_id] = answer
        result: Json = {"status": "error", "code": "tool_failed"}
        try:
            result = await self._run(judged)
        except Exception:
            log.exception("tool_failed", tool=name if name in self._desk.actions else "unknown")
        finally:
            answer.set_result(result)
        return result

    async def _run(self, judged: Judged) -> Json:
        call = judged.call
        if call.name in self._desk.actions and self._desk.actions[call.name].secrets:
            self._pause(True)  # before it is asked for
        if judged.verdict == "confirm_first":
            return await self._ask_first(judged)
        if judged.verdict != "run":
            self._note(call, "refused", message=judged.message)
            return {"status": "error", "message": judged.message}
        if call.name == SEARCH_TOOL:
            return await self._search(str(call.arguments.get("query") or ""))
        self._note(call, "started")
        action = self._desk.actions[call.name]
        if action.handoff is not None:
            self._hand_over(call, action.handoff)
            message = texts_of(str(self._session.get("language") or ""))["goodbye"]
            return {"status": "ok", "message": message, "handoff": action.handoff}
        if action.recording is not None:
            wish = {"paused": action.recording != "resume", "withdrawn": action.recording == "stop"}
            self._tell({"type": "penny.recording", **wish})
            self._note(call, "completed", result={"status": "ok"})
            return {"status": "ok"}
        try:
            result = await self._run_action(action, call)
        except ActionFailed as failure:
            log.warning("action_failed", action=call.name, code=failure.code)
            if failure.code in IN_DOUBT:
                self._desk.failed(call.call_id)
            self._note(call, "failed", message=failure.message)
            message = quote_json(failure.message)
            return {"status": "error", "code": failure.code, "message": message}
        self._desk.done(call.name)
        self._note(call, "completed", result=result)
        return {"status": "ok", "source": call.name, "result": quote_json(result)}

    async def _run_action(self, action: Action, call: ActionCall) -> Json:
        try:
            return await self._runner.run(action, call, self._session)
        finally:
            if action.secrets:
                self._pause(False)

    def _pause(self, paused: bool) -> None:
        """Pause the recording for an argument that is never kept, or go on."""
        if paused != self._is_paused:
            self._is_paused = paused
            self._tell({"type": "penny.recording", "paused": paused})

    async def _ask_first(self, judged: Judged) -> Json:
        """What the caller is to be asked before; why it cannot be done, where that is known."""
        call, action = judged.call, self._desk.actions[judged.call.name]
        told: Json = {"status": "confirmation_required", "message": judged.message}
        if action.preview is not None:
            try:
                question, settled = await self._runner.preview(action, call, self._session)
            except ActionFailed as failure:
                self._note(call, "refused", message=failure.message)
                message = quote_json(failure.message)
                return {"status": "error", "code": failure.code, "message": message}
            self._desk.asked(call, settled)
            told["question"] = question
        self._note(call, "refused", message=judged.message)
        return told

    def _hand_over(self, call: ActionCall, destination: str) -> None:
        reason = call.arguments.get("motivo") or call.arguments.get("reason")
        about = {"reason": reason, "destination": destination}
        details = {"arguments": self._told(call)}
        summary = self._summarise()
        self._tell({"type": "penny.handoff", "summary": summary, **about, "details": details})
        self._note(call, "completed", result={"status": "ok"})

    def _told(self, call: ActionCall) -> Json:
        """The arguments of a call as all but the action itself may know them."""
        return {**call.arguments, **dict.fromkeys(self._desk.secrets(call), SECRET)}

    def _note(
        self, call: ActionCall, status: str, *, result: Json | None = None, message: str = ""
    ) -> None:
        arguments = self._told(call)
        record = ActionRecord(call.turn, call.call_id, call.name, arguments, status, result)
        self.records[:] = [r for r in self.records if r.call_id != call.call_id] + [record]
        about: Json = {"call_id": call.call_id, "name": call.name, "arguments": arguments}
        about |= {"status": status, "result": result, "message": message or None}
        self._tell({"type": "penny.tool_call", **about})


MAX_RESULT_BYTES = 64 * 1024
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class ActionFailed(PennyError):
    """``code``: timeout, http_error, connection, bad_result, callable_failed."""

    code = "action_failed"
    retryable = True


class ActionRunner:
    """One per gateway. Its connections reach the open internet and, of the house's own network,
    what ``actions`` has as such: by its written address, or by ``private_network``."""

    def __init__(self, actions: Mapping[str, Action]) -> None:
        self._inward = [
            url
            for action in actions.values()
            for url in (action.endpoint, action.preview)
            if url is not None and (action.private_network or is_inward_as_written(url))
        ]
        self._http: aiohttp.ClientSession | None = None

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.close()

    async def run(self, action: Action, call: ActionCall, session: Json) -> Json:
        """Run it; returns the result as an object. The same wish carries the same
        ``Idempotency-Key``. Raises ActionFailed."""
        arguments = {k: v for k, v in call.arguments.items() if k != CONFIRMED}
        key = call.key or call.call_id
        try:
            async with asyncio.timeout(action.timeout_s):
                if action.endpoint is not None:
                    return await self._post(action.endpoint, arguments, key, session)
                assert action.callable is not None
                return await _call(action.callable, arguments, {**session, "idempotency_key": key})
        except TimeoutError as error:
            message = f"{call.name} took longer than {action.timeout_s:g} s"
            raise ActionFailed(message, code="timeout") from error

    async def preview(self, action: Action, call: ActionCall, session: Json) -> tuple[str, Json]:
        """What to ask before a confirmation, and the ``arguments`` that are done then beside those
        of the call; "" and {} where the service tells nothing of it. Raises ActionFailed: it cannot
        be done, or that is not known."""
        assert action.preview is not None
        arguments = {k: v for k, v in call.arguments.items() if k != CONFIRMED}
        try:
            async with asyncio.timeout(action.timeout_s):
                told = await self._post(action.preview, arguments, "", session)
        except TimeoutError as error:
            message = f"{call.name} took longer than {action.timeout_s:g} s"
            raise ActionFailed(message, code="timeout") from error
        settled = told.get("arguments")
        question = clean_text(str(told.get("question") or ""))
        return question, settled if isinstance(settled, dict) else {}

    async def _post(self, url: str, arguments: Json, key: str, session: Json) -> Json:
        if self._http is None:
            self._http = open_public_http(self._inward)
        try:
            about = {"Idempotency-Key": key} if key else {}
            language = {"Accept-Language": str(session.get("language") or "es")}
            headers = {**about, **language, **trace_headers(url)}
            asking = self._http.post(url, json=arguments, headers=headers, allow_redirects=False)
            async with asking as response:
                body, status = await _take_body(response), response.status
        except aiohttp.ClientError as error:
            message = f"the service cannot be reached: {type(error).__name__}"
            raise ActionFailed(message, code="connection") from error
        if status in REDIRECTS:
            message = "the service redirects; write its final address in actions.table"
            raise ActionFailed(message, code="http_error", retryable=False)
        if status >= 400:
            said = clean_text(body[:300].decode(errors="replace"))
            message = _reason(body) or f"the service answered HTTP {status}: {said}"
            raise ActionFailed(message, code="http_error", retryable=status >= 500)
        try:
            return _as_object(orjson.loads(body))
        except orjson.JSONDecodeError as error:
            raise ActionFailed("the service did not answer with JSON", code="bad_result") from error


def _reason(body: bytes) -> str:
    """The ``message`` of an error's JSON object; ''."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    message = told.get("message") if isinstance(told, dict) else None
    return clean_text(message) if isinstance(message, str) else ""


async def _take_body(response: aiohttp.ClientResponse) -> bytes:
    """The whole answer, unpacked. Raises ActionFailed when it is too long."""
    body = bytearray()
    async for piece in response.content.iter_chunked(MAX_RESULT_BYTES):
        body += piece
        if len(body) > MAX_RESULT_BYTES:
            message = f"the service answered with more than {MAX_RESULT_BYTES} bytes"
            raise ActionFailed(message, code="bad_result")
    return bytes(body)


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
    return cast("Callable[[Json, Json], Any]", function)


def _as_object(result: object) -> Json:
    told: object = mend_json(result)
    return told if isinstance(told, dict) else {"result": told}
