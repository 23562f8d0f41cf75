"""People sign in to the pages at an OpenID provider (code flow with PKCE):

    GET /v1/sign-in/openid?to=/calls   sends the browser to the provider
    GET /v1/sign-in/openid/back        where it comes back: sets the page's cookie, leads to ``to``

The provider is asked for its addresses and keys with the first sign-in, and again after an hour,
or when a token names a key that it had not.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import structlog
from aiohttp import BasicAuth, web

from config.schema import Config
from config.sign_in import BACK, OpenIdSection, check_provider_url
from penny.errors import ConfigError, PennyError, Unauthorized
from penny.gateway.gate import Gate
from penny.gateway.guard import refusal
from penny.gateway.sign_in import is_https, set_cookie
from penny.trust.identity import Identity
from penny.trust.openid import (
    Attempt,
    SignInRefused,
    UnknownSigner,
    check_answer,
    check_token,
    find_group,
    person_id,
)
from penny.trust.public_http import open_public_http
from penny.trust.sign_ins import SignIns


log = structlog.get_logger()

Json = dict[str, Any]

START = "/v1/sign-in/openid"
COOKIE = "penny_openid"
ATTEMPT_S = 600
"""How long a person has at the provider."""
TIMEOUT_S = 10.0
KEPT_S = 3600.0
ASKED_AGAIN_S = 30.0
"""Not sooner is the provider asked for keys that a token names and it had not."""
MAX_ANSWER_BYTES = 1024 * 1024


class ProviderAway(PennyError):
    """The OpenID provider does not answer, or not as one does."""

    code = "provider_away"
    retryable = True


class Provider:
    """The OpenID provider: its addresses and keys, kept for an hour.

    Args:
        secret: of a client that has one; '' otherwise.
    """

    def __init__(self, section: OpenIdSection, secret: str, clock: Callable[[], float]) -> None:
        self._section = section
        self._secret = secret
        self._clock = clock
        self._http: aiohttp.ClientSession | None = None
        self._about: Json = {}
        self._keys: Json = {}
        self._asked_s = float("-inf")

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.close()

    async def authorization_url(self, attempt: Attempt) -> str:
        """Where a browser is sent. Raises ProviderAway."""
        about = await self._learn()
        asked = {
            "response_type": "code",
            "client_id": self._section.client_id,
            "redirect_uri": self._section.redirect_url,
            "scope": " ".join(self._section.scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        return f"{about['authorization_endpoint']}?{urlencode(asked)}"

    async def redeem(self, code: str, attempt: Attempt) -> Json:
        """The claims of who signed in. Raises SignInRefused, ProviderAway."""
        about = await self._learn()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._section.redirect_url,
            "client_id": self._section.client_id,
            "code_verifier": attempt.verifier,
        }
        # RFC 6749, 2.3.1: both are form-encoded before they are a user and a password.
        names = quote(self._section.client_id, safe=""), quote(self._secret, safe="")
        auth = BasicAuth(*names, encoding="utf-8") if self._secret else None
        status, answer = await self._ask("POST", about["token_endpoint"], data=form, auth=auth)
        token = answer.get("id_token")
        if status != 200 or not isinstance(token, str):
            log.warning("openid_code_refused", status=status, error=str(answer.get("error"))[:60])
            raise SignInRefused("the provider does not know this code; sign in again", field="code")
        try:
            return check_token(token, self._keys, self._section, attempt.nonce)
        except UnknownSigner:
            if self._clock() - self._asked_s < ASKED_AGAIN_S:
                raise
            await self._learn(again=True)
            return check_token(token, self._keys, self._section, attempt.nonce)

    async def _learn(self, *, again: bool = False) -> Json:
        """The provider's addresses; its keys are renewed with them. Raises ProviderAway."""
        if self._about and not again and self._clock() - self._asked_s < KEPT_S:
            return self._about
        issuer = self._section.issuer
        path = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        about = await self._fetch(path)
        if about.get("issuer") != issuer:
            raise ProviderAway("the provider calls itself by another name", field="issuer")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            try:
                check_provider_url(str(about.get(name)))
            except ValueError as error:
                raise ProviderAway(f"the provider's {name} {error}", field=name) from error
        self._keys = await self._fetch(about["jwks_uri"])
        self._about, self._asked_s = about, self._clock()
        return about

    async def _fetch(self, url: str) -> Json:
        status, answer = await self._ask("GET", url)
        if status != 200:
            raise ProviderAway(f"the provider answered {status}", field="issuer")
        return answer

    async def _ask(self, method: str, url: str, **options: Any) -> tuple[int, Json]:
        if self._http is None:
            self._http = open_public_http((self._section.issuer,))
        limit = aiohttp.ClientTimeout(total=TIMEOUT_S)
        try:
            async with self._http.request(
                method, url, timeout=limit, allow_redirects=False, **options
            ) as answer:
                body = b""
                async for part in answer.content.iter_any():
                    body += part
                    if len(body) > MAX_ANSWER_BYTES:
                        raise ValueError("too long")
                return answer.status, _read_object(body)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            log.error("openid_provider_away", error=type(error).__name__)  # noqa: TRY400
            raise ProviderAway("the provider does not answer; try again in a moment") from error


class OpenIdRoutes:
    """The routes by which a person signs in at a provider.

    Args:
        pages: where a person may be led to afterwards.

    Raises ConfigError where the named variable holds no secret.
    """

    def __init__(
        self,
        config: Config,
        section: OpenIdSection,
        gate: Gate,
        sign_ins: SignIns,
        pages: frozenset[str],
        clock: Callable[[], float],
    ) -> None:
        secret = os.environ.get(section.client_secret, "") if section.client_secret else ""
        if section.client_secret and not secret:
            key = "sign_in.openid.client_secret"
            place = config.origin.place(key)
            raise ConfigError(f"{place}: {section.client_secret} is not set", key=key)
        self._section = section
        self._gate = gate
        self._sign_ins = sign_ins
        self._pages = pages
        self._provider = Provider(section, secret, clock)

    def add_to(self, app: web.Application) -> None:
        app.router.add_get(START, self._begin)
        app.router.add_get(BACK, self._end)
        app.on_cleanup.append(lambda _app: self._provider.aclose())

    async def _begin(self, request: web.Request) -> web.Response:
        attempt = Attempt.begin()
        to = request.query.get("to", "")
        try:
            url = await self._provider.authorization_url(attempt)
        except ProviderAway as error:
            return self._refuse(request, error, 503, to)
        response = web.Response(status=303, headers={"Location": url, "Cache-Control": "no-store"})
        # Lax: it must come along when the provider's page leads back.
        response.set_cookie(
            *(COOKIE, f"{attempt.secret}:{to if to in self._pages else '/'}"),
            max_age=ATTEMPT_S,
            path=START,
            httponly=True,
            samesite="Lax",
            secure=is_https(request),
        )
        return response

    async def _end(self, request: web.Request) -> web.Response:
        secret, _, to = request.cookies.get(COOKIE, "").partition(":")
        attempt = Attempt(secret) if secret else None
        try:
            code = check_answer(request.query, attempt, self._section.issuer)
            assert attempt is not None
            claims = await self._provider.redeem(code, attempt)
            name, group = find_group(claims, self._section)
            who = Identity(group.tenant, person_id(claims))
            cookie = await asyncio.to_thread(
                self._sign_ins.begin, who, group=name, life_s=self._section.life_s
            )
        except Unauthorized as error:
            self._gate.count_refusal("openid")
            log.info("sign_in_refused", field=error.field, reason=error.message)
            response = self._refuse(request, error, 403, to)
        except PennyError as error:
            response = self._refuse(request, error, 503, to)
        else:
            log.info("signed_in", tenant=who.tenant, key_id=who.key_id, group=name)
            page = to if to in self._pages else "/"
            headers = {"Location": page, "Cache-Control": "no-store"}
            response = web.Response(status=303, headers=headers)
            set_cookie(request, response, cookie, self._section.life_s)
        response.del_cookie(COOKIE, path=START, httponly=True, samesite="Lax")
        return response

    def _refuse(
        self, request: web.Request, error: PennyError, status: int, to: str
    ) -> web.Response:
        """A person is led back to the page, which tells it in its words; a program is answered."""
        if "text/html" not in request.headers.get("Accept", ""):
            return refusal(error, status)
        page = to if to in self._pages - {"/"} else "/admin"
        headers = {"Location": f"{page}?refused={error.code}", "Cache-Control": "no-store"}
        return web.Response(status=303, headers=headers)


def _read_object(body: bytes) -> Json:
    """Raises ValueError for what is no JSON object."""
    try:
        told = json.loads(body)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(told, dict):
        raise ValueError("no object")
    return told
