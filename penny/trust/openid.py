"""OpenID Connect, what needs no network: the secrets of one attempt, and what a token must say.

One attempt to sign in is bound to the browser that began it: ``state``, ``nonce`` and the PKCE
verifier are derived from one random cookie, so that nothing is kept of attempts that are never
ended, and none of the three is worth anything in another browser.

Specifications: OpenID Connect Core 1.0 (section 3.1), RFC 7636 (PKCE), RFC 9207 (``iss``).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from config.sign_in import GroupSection, OpenIdSection
from penny.errors import Unauthorized
from penny.trust.sign_ins import PERSON, is_same


Json = dict[str, Any]

ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
"""Signatures with the provider's private key alone: not ``none``, and no shared secret."""
LEEWAY_S = 30.0
"""How far the provider's clock may be from ours."""
MAX_GROUPS = 1_000


class SignInRefused(Unauthorized):
    """The provider's answer does not admit this person, or is not for this browser."""

    code = "sign_in_refused"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to sign in, as the browser's cookie proves it."""

    secret: str

    @classmethod
    def begin(cls) -> Attempt:
        return cls(secrets.token_urlsafe(32))

    @property
    def state(self) -> str:
        return self._derive("state")

    @property
    def nonce(self) -> str:
        return self._derive("nonce")

    @property
    def verifier(self) -> str:
        return self._derive("verifier")

    @property
    def challenge(self) -> str:
        """``code_challenge`` by S256."""
        return _encode(hashlib.sha256(self.verifier.encode()).digest())

    def _derive(self, name: str) -> str:
        return _encode(hashlib.sha256(f"{name}:{self.secret}".encode()).digest())


def check_answer(query: Mapping[str, str], attempt: Attempt | None, issuer: str) -> str:
    """The code of the provider's answer. Raises SignInRefused.

    Args:
        attempt: of the cookie that came with it; None when there was none.
    """
    if attempt is None or not is_same(query.get("state", ""), attempt.state):
        raise SignInRefused(
            "this answer is for another browser, or came too late; sign in again", field="state"
        )
    if query.get("iss", issuer) != issuer:
        raise SignInRefused("this answer is another provider's", field="iss")
    if "error" in query:
        raise SignInRefused("the provider did not sign you in", field="error")
    code = query.get("code", "")
    if not code:
        raise SignInRefused("the provider's answer has no code", field="code")
    return code


def check_token(token: str, keys: Json, section: OpenIdSection, nonce: str) -> Json:
    """The claims of an ID token that is for us, of this attempt and in time.

    Args:
        keys: the provider's JSON Web Key Set.

    Raises:
        UnknownSigner: none of ``keys`` is the one that it names.
        SignInRefused: anything else does not hold.
    """
    try:
        claims = jwt.decode(
            token,
            _find_key(token, keys),
            algorithms=ALGORITHMS,
            audience=section.client_id,
            issuer=section.issuer,
            leeway=LEEWAY_S,
            options={"require": ["iss", "sub", "aud", "exp", "iat", "nonce"]},
        )
    except jwt.PyJWTError as error:
        reason = f"the provider's token does not hold ({type(error).__name__})"
        raise SignInRefused(reason, field="id_token") from error
    if not is_same(str(claims["nonce"]), nonce):
        raise SignInRefused("the provider's token is of another attempt", field="nonce")
    others = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", None if others else section.client_id) != section.client_id:
        raise SignInRefused("the provider's token is for another client", field="azp")
    return claims


class UnknownSigner(SignInRefused):
    """The token names a key that the provider had not shown when it was asked."""


def _find_key(token: str, keys: Json) -> jwt.PyJWK:
    named = jwt.get_unverified_header(token).get("kid")
    rows = keys.get("keys")
    usable = [
        row
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and row.get("use", "sig") == "sig" and row.get("kty") != "oct"
    ]
    found = [row for row in usable if named is None or row.get("kid") == named]
    if len(found) != 1:
        raise UnknownSigner("the provider's token names no key of its", field="kid")
    return jwt.PyJWK(found[0])


def find_group(claims: Json, section: OpenIdSection) -> tuple[str, GroupSection]:
    """The first of the configured groups that a person is in. Raises SignInRefused."""
    told = claims.get(section.groups_claim)
    held = {told} if isinstance(told, str) else set()
    if isinstance(told, list) and len(told) <= MAX_GROUPS:
        held = {each for each in told if isinstance(each, str)}
    for name, group in section.groups.items():
        if name in held:
            return name, group
    raise SignInRefused(
        "you are in no group that may use this Penny; ask who looks after it",
        code="no_group",
        field=section.groups_claim,
    )


def person_id(claims: Json) -> str:
    """A stable id of a person that tells nothing of them."""
    who = f"{claims['iss']} {claims['sub']}"
    return PERSON + hashlib.sha256(who.encode()).hexdigest()[:16]


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
