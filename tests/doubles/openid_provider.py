"""An OpenID provider as a process: the code flow with PKCE, refusing what its standards refuse.

    python -m tests.doubles.openid_provider PORT REDIRECT_URI

OpenID Connect Core 1.0 (3.1.2, 3.1.3), RFC 6749 (4.1.2: a code is good once), RFC 7636. Whoever
comes is signed in as ``sub: ana``. ``POST /control`` says what the next tokens are like: ``claims``
that take the place of the right ones (null takes one away), ``alg`` (RS256, none, HS256 with the
public key as secret), ``kid``, ``stranger`` (signed by a key that is not shown), ``rotate``
(another key from now on), and ``calls_itself``, the issuer that it says it is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus, urlencode

import jwt
from aiohttp import BasicAuth, web
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tests.doubles.processes import PennyProcess, free_port, running


Json = dict[str, Any]

CLIENT_ID, CLIENT_SECRET = "penny at acme", "a secret/with+signs"
CODE_LIFE_S = 60.0


class OpenIdProvider:
    """One client, which has registered one address to come back to."""

    def __init__(self, issuer: str, redirect_uri: str) -> None:
        self._issuer = issuer
        self._redirect_uri = redirect_uri
        self._codes: dict[str, Json] = {}
        self._used: set[str] = set()
        self._wishes: Json = {}
        self._stranger = rsa.generate_private_key(65537, 2048)
        self._rotate()

    def _rotate(self) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        self._kid = secrets.token_hex(4)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._about)
        app.router.add_get("/healthz", self._about)
        app.router.add_get("/jwks", self._jwks)
        app.router.add_get("/authorize", self._authorize)
        app.router.add_post("/token", self._token)
        app.router.add_post("/control", self._control)
        return app

    async def _about(self, _request: web.Request) -> web.Response:
        about = {
            "issuer": self._wishes.get("calls_itself", self._issuer),
            "authorization_endpoint": f"{self._issuer}/authorize",
            "token_endpoint": f"{self._issuer}/token",
            "jwks_uri": f"{self._issuer}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
        return web.json_response(about)

    async def _jwks(self, _request: web.Request) -> web.Response:
        shown = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return web.json_response({"keys": [{**shown, "use": "sig", "kid": self._kid}]})

    async def _authorize(self, request: web.Request) -> web.Response:
        asked = request.query
        # To an address that is not registered nothing is sent, not even an error.
        if asked.get("client_id") != CLIENT_ID or asked.get("redirect_uri") != self._redirect_uri:
            return web.Response(status=400, text="client_id or redirect_uri is not registered")
        if asked.get("response_type") != "code":
            return self._send_back(request, error="unsupported_response_type")
        if "openid" not in asked.get("scope", "").split():
            return self._send_back(request, error="invalid_scope")
        if asked.get("code_challenge_method") != "S256" or len(asked["code_challenge"]) != 43:
            return self._send_back(request, error="invalid_request")
        code = secrets.token_urlsafe(16)
        self._codes[code] = {**asked, "made_s": time.monotonic()}
        return self._send_back(request, code=code)

    def _send_back(self, request: web.Request, **answer: str) -> web.Response:
        told = {**answer, "state": request.query.get("state", ""), "iss": self._issuer}
        location = f"{self._redirect_uri}?{urlencode(told)}"
        return web.Response(status=303, headers={"Location": location})

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if not self._is_client(request.headers.get("Authorization", "")):
            return web.json_response({"error": "invalid_client"}, status=401)
        if form.get("grant_type") != "authorization_code":
            return web.json_response({"error": "unsupported_grant_type"}, status=400)
        code = str(form.get("code"))
        asked = self._codes.pop(code, None)
        verifier = str(form.get("code_verifier", "")).encode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).rstrip(b"=")
        is_good = (
            asked is not None
            and time.monotonic() - asked["made_s"] < CODE_LIFE_S
            and form.get("redirect_uri") == asked["redirect_uri"]
            and form.get("client_id", CLIENT_ID) == asked["client_id"]
            and 43 <= len(verifier) <= 128
            and challenge.decode() == asked["code_challenge"]
        )
        if not is_good or asked is None:
            return web.json_response({"error": "invalid_grant"}, status=400)
        answer = {"access_token": secrets.token_urlsafe(16), "token_type": "Bearer"}
        token = self._sign(asked.get("nonce"))
        return web.json_response({**answer, "expires_in": 300, "id_token": token})

    def _is_client(self, authorization: str) -> bool:
        try:
            shown = BasicAuth.decode(authorization)
        except ValueError:
            return False
        return (unquote_plus(shown.login), unquote_plus(shown.password)) == (
            *(CLIENT_ID, CLIENT_SECRET),
        )

    def _sign(self, nonce: str | None) -> str:
        now_s = int(time.time())
        claims: Json = {"iss": self._issuer, "sub": "ana", "aud": CLIENT_ID, "nonce": nonce}
        claims |= {"iat": now_s, "exp": now_s + 300} | self._wishes.get("claims", {})
        claims = {name: value for name, value in claims.items() if value is not None}
        headers = {"kid": self._wishes.get("kid", self._kid)}
        match self._wishes.get("alg", "RS256"):
            case "none":
                return jwt.encode(claims, None, algorithm="none", headers=headers)
            case "HS256":
                return self._sign_by_public_key(claims, headers)
        key = self._stranger if self._wishes.get("stranger") else self._key
        return jwt.encode(claims, key, algorithm="RS256", headers=headers)

    def _sign_by_public_key(self, claims: Json, headers: Json) -> str:
        """What fools who takes the algorithm from the token and the key from the set."""
        parts = [{"alg": "HS256", "typ": "JWT", **headers}, claims]
        encoded = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in parts]
        secret = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)["n"].encode()
        mac = hmac.digest(secret, b".".join(encoded), "sha256")
        return b".".join([*encoded, base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode()

    async def _control(self, request: web.Request) -> web.Response:
        self._wishes = await request.json()
        if self._wishes.get("rotate"):
            self._rotate()
        return web.json_response({})


@asynccontextmanager
async def provider_process(folder: Path, redirect_uri: str) -> AsyncIterator[PennyProcess]:
    """A provider that sends people back to ``redirect_uri``; its address is its issuer."""
    port = free_port()
    module = "tests.doubles.openid_provider"
    async with running(folder, "provider", port, "-m", module, str(port), redirect_uri) as process:
        await process.answers()
        yield process


if __name__ == "__main__":
    here = f"http://127.0.0.1:{sys.argv[1]}"
    provider = OpenIdProvider(here, sys.argv[2])
    web.run_app(provider.app(), host="127.0.0.1", port=int(sys.argv[1]), print=None)
