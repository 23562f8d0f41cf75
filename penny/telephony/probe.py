"""A test of a line's connection: it resolves, asks by OPTIONS, and asks whether it may register.

It asks the saved host at its saved port and no other, seldom, and tells nothing of what an answer
holds but its status and server: it is no way to look round a network.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Literal

from penny.errors import LimitReached
from penny.telephony.lines import Fxo, Trunk
from penny.telephony.sip import Answer, Peer, authorize
from penny.telephony.wire import Silence, Timing, Way, connect


Json = dict[str, Any]
State = Literal["ok", "failed", "unknown", "skipped"]

MIN_APART_S = 1.0
MOST_IN_WINDOW, WINDOW_S = 20, 600.0
MAX_SERVER_CHARS = 80


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was tried. ``code`` is stable, ``facts`` what was seen."""

    name: str
    state: State
    code: str
    facts: Json = field(default_factory=dict)


class Probe:
    """Tests connections, of one gateway.

    Args:
        allow_loopback: whether this machine itself may be asked, by whichever of its addresses.
        clock: seconds that never go back.
    """

    def __init__(
        self, clock: Callable[[], float], *, allow_loopback: bool, timing: Timing | None = None
    ) -> None:
        self._clock = clock
        self._allow_loopback = allow_loopback
        self._timing = timing or Timing()
        self._asked: dict[str, deque[float]] = {}
        """When, by tenant: the tests of one are none of another's."""

    async def test(self, line: Fxo | Trunk, password: str | None) -> list[Step]:
        """Every step, in order; after one that failed the next are left out.

        Raises:
            LimitReached: tested a moment ago, or too often.
        """
        self._admit(line.tenant)
        host, port = (line.ip, line.sip_port) if isinstance(line, Fxo) else (line.host, line.port)
        transport = line.transport if isinstance(line, Trunk) else "udp"
        resolved, address = await self._resolve(host, port)
        if address is None:
            return [resolved]
        peer = Peer(f"[{host}]" if ":" in host else host, port, transport, line.user, ("", 0))
        steps = [resolved]
        try:
            async with connect(peer, address, self._timing.limit_s) as way:
                answer, took_s = await way.ask("OPTIONS", self._timing)
                steps.append(_options_step(answer, took_s, transport))
                if isinstance(line, Trunk) and line.auth == "register":
                    steps.append(await self._register(way, line.user, password))
        except Silence as silence:
            name = "options" if len(steps) == 1 else "register"
            others = await self._others(peer, address) if name == "options" else []
            facts = {"transport": transport, "answering": others}
            state: State = "failed" if name == "options" else "unknown"
            steps.append(Step(name, state, silence.code, facts))
        if isinstance(line, Trunk) and line.auth == "ip_auth":
            steps.append(Step("register", "skipped", "known_by_address"))
        elif isinstance(line, Fxo):
            steps.append(Step("register", "skipped", "gateway_registers_itself"))
        return steps

    def _admit(self, tenant: str) -> None:
        now = self._clock()
        asked = self._asked.setdefault(tenant, deque(maxlen=MOST_IN_WINDOW))
        if asked and now - asked[-1] < MIN_APART_S:
            raise _too_often(MIN_APART_S)
        if len(asked) == MOST_IN_WINDOW and now - asked[0] < WINDOW_S:
            raise _too_often(WINDOW_S - (now - asked[0]))
        asked.append(now)

    async def _resolve(self, host: str, port: int) -> tuple[Step, str | None]:
        try:
            addresses = [str(ip_address(host))]
        except ValueError:
            try:
                async with asyncio.timeout(self._timing.limit_s):
                    loop = asyncio.get_running_loop()
                    found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            except (OSError, TimeoutError):
                return Step("resolve", "failed", "no_such_host"), None
            addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        allowed = [each for each in addresses if self._may_ask(each)]
        if not allowed:
            return Step("resolve", "failed", "address_refused", {"addresses": addresses}), None
        return Step("resolve", "ok", "resolved", {"addresses": addresses}), allowed[0]

    def _may_ask(self, text: str) -> bool:
        """An address of a gateway in the house, or of a carrier: never one of the machine's own."""
        address = ip_address(text)
        mapped = getattr(address, "ipv4_mapped", None) or address
        if mapped.is_loopback or is_own(text):
            return self._allow_loopback
        bad = (mapped.is_link_local, mapped.is_multicast, mapped.is_unspecified, mapped.is_reserved)
        return not any(bad)

    async def _register(self, way: Way, user: str, password: str | None) -> Step:
        """REGISTER without Contact asks for the bindings and changes none (RFC 3261, 10.2.3)."""
        if password is None:
            return Step("register", "failed", "password_unset")
        answer, _ = await way.ask("REGISTER", self._timing)
        if answer.status in (401, 407):
            cnonce = secrets.token_hex(8)
            line = authorize(answer, "REGISTER", way.peer.uri, user, password, cnonce)
            if line is None:
                return Step("register", "unknown", "scheme_unknown", {"status": answer.status})
            answer, _ = await way.ask("REGISTER", self._timing, line)
        facts = {"status": answer.status}
        if answer.status == 200:
            return Step("register", "ok", "credentials_accepted", facts)
        if answer.status in (401, 403, 404, 407):
            return Step("register", "failed", "credentials_refused", facts)
        return Step("register", "unknown", "not_told", facts)

    async def _others(self, peer: Peer, address: str) -> list[str]:
        """The transports that answer at the same port where the configured one does not."""
        timing = Timing(self._timing.t1_s, self._timing.other_s, 0)
        found = []
        for transport in ("udp", "tcp", "tls"):
            if transport == peer.transport:
                continue
            other = Peer(peer.host, peer.port, transport, peer.user, peer.local)
            try:
                async with connect(other, address, timing.limit_s) as way:
                    await way.ask("OPTIONS", timing)
                    found.append(transport)
            except Silence:
                continue
        return found


def is_own(address: str) -> bool:
    """Whether an address is one of this machine's: what it sends there comes from there."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect((address, 5060))  # sends nothing
            return ip_address(asking.getsockname()[0].partition("%")[0]) == ip_address(address)
    except OSError:
        return False


def _too_often(wait_s: float) -> LimitReached:
    message = "the connection was tested a moment ago: wait before the next"
    return LimitReached(message, code="too_often", retry_after_s=wait_s)


def _options_step(answer: Answer, took_s: float, transport: str) -> Step:
    """Any answer of SIP is one of a living server: strangers are often refused."""
    server = (answer.first("server") or answer.first("user-agent"))[:MAX_SERVER_CHARS]
    shown = "".join(char for char in server if char.isprintable())
    facts = {"status": answer.status, "server": shown, "transport": transport}
    facts["rtt_ms"] = round(took_s * 1000, 1)
    if 500 <= answer.status < 600 and answer.status != 501:
        return Step("options", "unknown", "up_but_unwell", facts)
    return Step("options", "ok", "reachable", facts)
