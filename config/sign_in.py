"""``sign_in``: how people come to the pages, beside keys."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from penny.section import Section, key_error


BACK = "/v1/sign-in/openid/back"
"""Where the provider sends a person back to."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def check_provider_url(url: str) -> str:
    """``url`` as it is. Raises ValueError unless it is https, or http on this machine."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is not an address") from None
    if not host or parts.username is not None or parts.query or parts.fragment:
        raise ValueError("an address has a host, no user, no query and no fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
        raise ValueError("an address starts with https://, on this machine http:// too")
    return url


Url = Annotated[str, AfterValidator(check_provider_url)]


class GroupSection(Section):
    """``sign_in.openid.groups.NAME``: what a group of the provider's may do."""

    role: Literal["caller", "operator", "supervisor", "auditor", "admin", "house"] = Field(
        description="role of its people (penny/trust/rights.py)"
    )
    tenant: str = Field("default", min_length=1, description="whose calls and documents they see")


class OpenIdSection(Section):
    """``sign_in.openid``: people sign in at an OpenID provider."""

    issuer: Url = Field(description="the provider, as its tokens name it (`iss`)")
    client_id: str = Field(min_length=1, description="Penny's name at the provider")
    client_secret: str | None = Field(
        None,
        pattern=r"^[A-Za-z_]\w*$",
        description="environment variable with the client's secret; null: a public client",
    )
    redirect_url: Url = Field(
        description=f"as registered at the provider: this Penny's address and {BACK}"
    )
    scopes: tuple[str, ...] = Field(("openid",), description="what is asked for; openid is one")
    groups_claim: str = Field("groups", min_length=1, description="claim that names the groups")
    groups: dict[str, GroupSection] = Field(
        default_factory=dict,
        description="group: {role, tenant}; of several the first here; others may not sign in",
    )
    life_s: float = Field(
        8 * 3600.0, gt=0, le=12 * 3600, description="then a person signs in again"
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if urlsplit(self.redirect_url).path != BACK:
            raise key_error("redirect_url", f"its path is {BACK}")
        if "openid" not in self.scopes:
            raise key_error("scopes", "name openid")
        if not self.groups:
            raise key_error("groups", "name at least one group: without, nobody may sign in")
        return self


class SignInSection(Section):
    """``sign_in``: how people come to the pages, beside keys."""

    openid: OpenIdSection | None = Field(None, description="an OpenID provider; null: keys alone")
