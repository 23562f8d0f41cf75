"""A person signs in to Penny's pages once, with a key:

    POST   /v1/sign-in  {"key": "penny_…"}  sets the cookie; answers as GET
    GET    /v1/sign-in                      who is signed in: tenant, key, rights, CSRF token
    DELETE /v1/sign-in                      signs out

The cookie is HttpOnly and SameSite=Strict. What a signed-in page changes (any method but GET)
needs the token in ``X-Penny-CSRF``; who sends a key in ``Authorization`` needs none.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import structlog
from aiohttp import web

from penny.dense import check_values
from penny.errors import ConfigError, PennyError, ProtocolError, Unauthorized
from penny.gateway.gate import COOKIE, Gate
from penny.gateway.guard import refusal
from penny.trust.identity import Identity
from penny.trust.sign_ins import LIFE_S, SignIns, csrf_of


log = structlog.get_logger()

Json = dict[str, Any]

BODY_WAIT_S = 10.0


class SignInRoutes:
    """The routes by which a person signs in and out."""

    def __init__(self, gate: Gate, sign_ins: SignIns) -> None:
        self._gate = gate
        self._sign_ins = sign_ins

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/v1/sign-in", self._tell)
        app.router.add_post("/v1/sign-in", self._begin)
        app.router.add_delete("/v1/sign-in", self._end)

    async def _tell(self, request: web.Request) -> web.Response:
        try:
            self._gate.check_page(request)
            return web.json_response(_describe(await self._gate.identify(request)))
        except Unauthorized as error:
            return refusal(error)

    async def _begin(self, request: web.Request) -> web.Response:
        try:
            self._gate.check_page(request)
            who = await self._gate.identify_key(await _read_key(request))
            cookie = await asyncio.to_thread(self._sign_ins.begin, who)
        except Unauthorized as error:
            return refusal(error)
        except PennyError as error:
            return refusal(error, 503 if isinstance(error, ConfigError) else 400)
        log.info("signed_in", tenant=who.tenant, key_id=who.key_id)
        response = web.json_response({**_describe(who), "csrf": csrf_of(cookie)})
        set_cookie(request, response, cookie)
        return response

    async def _end(self, request: web.Request) -> web.Response:
        try:
            self._gate.check_page(request)
            await self._gate.identify(request)
            await asyncio.to_thread(self._sign_ins.end, request.cookies.get(COOKIE, ""))
        except Unauthorized as error:
            return refusal(error)
        except ConfigError as error:
            return refusal(error, 503)
        response = web.json_response({"signed_in": False})
        response.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict")
        return response


def set_cookie(
    request: web.Request, response: web.Response, cookie: str, life_s: float = LIFE_S
) -> None:
    """Give a page its cookie; over https it never leaves by http."""
    response.set_cookie(
        *(COOKIE, cookie),
        max_age=round(life_s),
        path="/",
        httponly=True,
        samesite="Strict",
        secure=is_https(request),
    )


def is_https(request: web.Request) -> bool:
    return bool(request.secure or request.headers.get("X-Forwarded-Proto") == "https")


def _describe(who: Identity) -> Json:
    return {
        "signed_in": bool(who.csrf),
        "tenant": who.tenant,
        "key_id": who.key_id or None,
        "rights": sorted(who.rights),
        "csrf": who.csrf or None,
    }


async def _read_key(request: web.Request) -> str:
    try:
        async with asyncio.timeout(BODY_WAIT_S):
            text = await request.text()
        check_values(text)
        body = json.loads(text)
    except (ValueError, RecursionError, TimeoutError) as error:
        raise ProtocolError('the body must be {"key": "penny_…"}', field="key") from error
    key = body.get("key") if isinstance(body, dict) else None
    if not isinstance(key, str):
        raise ProtocolError('the body must be {"key": "penny_…"}', field="key")
    return key.strip()
