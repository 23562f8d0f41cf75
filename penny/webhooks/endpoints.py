"""Receivers as the configuration names them, and which event is for which. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from config.schema import Config
from config.webhooks import LOOPBACK
from penny.aio.allow_list import AllowList
from penny.errors import ConfigError, ProtocolError
from penny.trust.addresses import check_address
from penny.trust.public_http import name_of
from penny.webhooks.events import Event
from penny.webhooks.policy import Answer
from penny.webhooks.secrets import read_secrets


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One receiver.

    Args:
        secrets: the newest first; every one signs.
        live_turns: whether it is told of turns as they complete, rather than with the record.
        may_hear_private: whether ``privacy`` lets private calls be told there.
        is_inward: whether its address may lie in the house's own network.
        except_tenants: whose calls it is never told of.
        deliver: what delivers to it; None: a signed POST.
        is_busy: whether it takes nothing just now.
    """

    name: str
    url: str
    secrets: tuple[str, ...] = field(repr=False)
    types: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()
    is_thin: bool = False
    is_legacy: bool = False
    live_turns: bool = False
    concurrency: int = 4
    may_hear_private: bool = True
    is_inward: bool = False
    except_tenants: frozenset[str] = frozenset()
    deliver: Callable[[Event], Awaitable[Answer]] | None = field(default=None, compare=False)
    is_busy: Callable[[], bool] = field(default=lambda: False, compare=False)

    def wants(self, event: Event) -> bool:
        """Whether it is told of that."""
        return (not self.types or event.type in self.types) and self.serves(event.tenant)

    def serves(self, tenant: str) -> bool:
        """Whether it is told of that tenant's calls; what is of no tenant ('') goes to all."""
        is_other = tenant in self.except_tenants
        return not is_other and (not self.tenants or not tenant or tenant in self.tenants)

    def meets(self, other: Endpoint) -> bool:
        """Whether both are told of calls of a same tenant."""
        return not self.tenants or not other.tenants or bool(self.tenants & other.tenants)


def read_endpoints(config: Config, environment: Mapping[str, str]) -> dict[str, Endpoint]:
    """The endpoints of a configuration, by name.

    An address in the house's own network is one of this machine as it is written, or one whose
    host stands in ``privacy.allowed_hosts``; every other must be public.

    Raises:
        ConfigError: an address leads inward, or a secret is missing or too short.
    """
    allowed = AllowList(config.privacy.allowed_hosts)
    found: dict[str, Endpoint] = {}
    for name, section in config.webhooks.all():
        place = "webhooks.url" if name == "default" else f"webhooks.endpoints.{name}.url"
        host, port = name_of(section.url)
        is_named = allowed.allows(host, port) and not AllowList().allows(host, port)
        is_allowed = is_named or host in LOOPBACK
        if not is_allowed:
            try:
                check_address(section.url, place)
            except ProtocolError as error:
                remedy = "a host of your own network stands in privacy.allowed_hosts"
                raise ConfigError(f"{error.message}; {remedy}", key=place) from error
        found[name] = Endpoint(
            name,
            section.url,
            read_secrets(environment.get(section.secret, ""), section.secret),
            frozenset(section.types),
            frozenset(section.tenants),
            is_thin=section.payload == "thin",
            is_legacy=section.legacy_signature,
            live_turns=section.live_turns,
            concurrency=section.concurrency,
            may_hear_private=is_allowed,
            is_inward=is_allowed,
        )
    return found


def inward_urls(endpoints: Iterable[Endpoint]) -> list[str]:
    """The addresses that may lie in the house's own network."""
    return [endpoint.url for endpoint in endpoints if endpoint.is_inward]
