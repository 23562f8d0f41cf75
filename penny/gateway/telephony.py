"""The page ``/telephony`` and its routes: how phone calls are received.

    GET  /api/config/telephony         the configuration, passwords as set or unset, and its state
    POST /api/config/telephony/save    keeps it and writes Asterisk's files, or changes nothing
    GET  /api/config/telephony/dialled how a number form and template ring, on an example
    POST /api/config/telephony/test    asks the saved gateway or carrier whether it is there

Each tenant has its own lines. A password is taken and never told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import structlog
from aiohttp import web

from penny.errors import LimitReached, PennyError, ProtocolError
from penny.gateway.guard import WHO, refusal
from penny.telephony.lines import Lines
from penny.telephony.number_forms import examples
from penny.telephony.probe import Probe, Step
from penny.telephony.reception import read_numbering, read_reception
from penny.telephony.store import ChangedByHand, LinesUnavailable, TelephonyStore
from penny.writable import dump_json


log = structlog.get_logger()

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[Json]]

CANNOT_KNOW = ("numbers", "caller_id", "sound")
"""What no test from here proves: only a call that comes in does."""


class TelephonyRoutes:
    """The routes of phone lines."""

    def __init__(self, store: TelephonyStore, probe: Probe) -> None:
        self._store = store
        self._probe = probe
        self._saving = asyncio.Lock()
        """A save waits for Asterisk: only one of this process takes a thread for that."""

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/api/config/telephony", _answering(self._tell))
        app.router.add_get("/api/config/telephony/dialled", _answering(self._dialled))
        app.router.add_post("/api/config/telephony/save", _answering(self._save))
        app.router.add_post("/api/config/telephony/test", _answering(self._test))

    async def _tell(self, request: web.Request) -> Json:
        return await asyncio.to_thread(self.describe, request[WHO].tenant)

    async def _save(self, request: web.Request) -> Json:
        who = request[WHO]
        try:
            told = await request.json()
        except ValueError:
            raise ProtocolError("body: send the configuration as JSON", field="body") from None
        reception = read_reception(told)
        overwrite = request.query.get("overwrite") == "true"
        is_house = "tenants:all" in who.rights
        save = partial(self._store.save, overwrite=overwrite, is_house=is_house)
        async with self._saving:
            await asyncio.to_thread(save, who.tenant, reception)
        log.info("telephony_saved", tenant=who.tenant, key_id=who.key_id, method=reception.method)
        return await asyncio.to_thread(self.describe, who.tenant)

    async def _test(self, request: web.Request) -> Json:
        tenant = request[WHO].tenant
        line = (await asyncio.to_thread(self._store.read)).receiving_of(tenant)
        if line is None:
            raise ProtocolError("method: choose one and save it first", field="method")
        password = await asyncio.to_thread(self._store.password, line)
        steps = await self._probe.test(line, password)
        state = state_of(steps, line.fingerprint())
        await asyncio.to_thread(self._store.write_state, tenant, state)
        log.info("telephony_tested", tenant=tenant, status=state["status"], code=state["code"])
        return {**state, "cannot_know": CANNOT_KNOW}

    async def _dialled(self, request: web.Request) -> Json:
        """What is not saved yet is shown: it keeps nothing."""
        form = read_numbering(dict(request.query))
        told = examples(form.number_form, form.dial_template, form.country)
        return {"examples": [{"number": number, "dialled": rung} for number, rung in told]}

    def describe(self, tenant: str) -> Json:
        """A tenant's lines as the page shows them. Waits for the disk. Raises LinesUnavailable."""
        lines = self._store.read()
        reception = lines.reception_of(tenant)
        told: Json = reception.model_dump(mode="json")
        for name, line in zip(("fxo_gateway", "carrier_grade"), lines.of(tenant), strict=True):
            if line is not None:
                is_known = self._store.password(line) is not None
                told[name]["password_state"] = "set" if is_known else "unset"
        listed = {did.number for did in reception.chosen.dids} if reception.chosen else set()
        refused = [each for each in self._store.refused(tenant) if each["number"] not in listed]
        state = self._state(lines, tenant)
        return {**told, "state": state, "warnings": reception.warnings(), "refused": refused}

    def _state(self, lines: Lines, tenant: str) -> Json:
        line = lines.receiving_of(tenant)
        state: Json = {"status": "disconnected", "code": "not_configured", "steps": []}
        if line is None:
            return state
        known = self._store.read_state(tenant)
        if known.get("fingerprint") != line.fingerprint():
            return {**state, "code": "not_tested"}
        return known


def state_of(steps: list[Step], fingerprint: str) -> Json:
    wrong = next((step for step in steps if step.state in ("failed", "unknown")), None)
    return {
        "status": "error" if wrong is not None else "connected",
        "code": wrong.code if wrong is not None else steps[-1].code,
        "at_ms": round(time.time() * 1000),
        "fingerprint": fingerprint,
        "steps": [asdict(step) for step in steps],
    }


def _answering(handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        headers = {"Cache-Control": "no-store"}
        try:
            body = dump_json(await handler(request))
            return web.Response(body=body, content_type="application/json", headers=headers)
        except LimitReached as error:
            response = refusal(error, 429)
            response.headers["Retry-After"] = str(round(error.retry_after_s) or 1)
            return response
        except ChangedByHand as error:
            fault = {"code": error.code, "message": error.message, "param": None}
            body = dump_json({"error": {**fault, "retryable": False, "diff": error.diff}})
            return web.Response(body=body, status=409, content_type="application/json")
        except LinesUnavailable as error:
            log.warning("telephony_unavailable", reason=error.message)
            return refusal(error, 503)
        except PennyError as error:
            return refusal(error, 400)

    return answer
