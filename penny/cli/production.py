"""What ``check --production`` asks of a configuration and of the machine it will run on.

An error is what lets strangers in, loses what is kept, or ends calls; a warning is a choice that
is still to be made. What cannot be seen from here is told as such, never as fine.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from config.credentials import is_loopback
from config.schema import Config
from config.trust import LimitsSection
from penny.cli.examination import Finding
from penny.telephony.lines import Lines, Trunk
from penny.telephony.store import TelephonyStore
from penny.trust.keys import KeyFile


ANSWER_S = 10.0
FREE_BYTES = 10_000_000_000
"""28 hours of recorded calls, both sides at 24 kHz, even where FLAC saved nothing."""
LEAST_BYTES = 1_000_000_000
MOST_RTP_PORTS = 500
"""More published ports than this have hung container engines for minutes."""
TIME_ERROR = 5
"""What ``ntp_adjtime`` answers while nothing keeps the clock."""
KEYLESS = (401, 403)
"""What Penny answers to a WebSocket without a key."""
RTP_FILE = Path("/etc/asterisk/rtp.conf")


@dataclass(frozen=True, slots=True)
class Facts:
    """What was seen on the machine.

    ``clock_kept``: None where the system does not tell. ``free_bytes``: of the disk of
    ``calls.folder``. ``public_fault``: why the public address does not answer, '' where it does,
    None where none was named. ``own_addresses``: by trunk, the address its carrier is reached from.
    ``rtp_ports``: of Asterisk here, 0 where it is not here.
    """

    has_keys: bool
    clock_kept: bool | None
    free_bytes: int
    public_fault: str | None
    lines: Lines = Lines()
    own_addresses: Mapping[str, str] = field(default_factory=dict)
    in_container: bool = False
    rtp_ports: int = 0


def examine_production(config: Config, facts: Facts) -> Iterator[Finding]:
    """Everything that speaks against taking calls with this configuration."""
    for level, key, message in (
        *_keys(config, facts),
        *_tls(config, facts),
        *_origins(config),
        *_retention(config),
        *_privacy(config),
        *_limits(config),
        *_machine(config, facts),
        *_telephony(facts),
    ):
        yield Finding("error" if level == "error" else "warning", config.origin.place(key), message)


Found = Iterator[tuple[str, str, str]]


def _keys(config: Config, facts: Facts) -> Found:
    if config.keys.required != "always" and is_loopback(config.gateway.host):
        yield (
            "error", "keys.required",
            "a proxy on this machine lets everybody in without a key: write always",
        )  # fmt: skip
    if not facts.has_keys:
        yield "error", "keys.file", "there is no key: `python -m penny keys create NAME`"


def _tls(config: Config, facts: Facts) -> Found:
    if facts.public_fault:
        yield "error", "gateway.tls", f"the public address does not hold: {facts.public_fault}"
    elif facts.public_fault is None and config.gateway.tls is None:
        yield (
            "error", "gateway.tls",
            "nothing shows that TLS stands in front: name the public address with --url",
        )  # fmt: skip


def _origins(config: Config) -> Found:
    for origin in config.gateway.allowed_origins:
        host = urlsplit(origin).hostname or ""
        if origin == "*":
            yield "error", "gateway.allowed_origins", "every page may connect: name the pages"
        elif origin.startswith("http://") and not is_loopback(host):
            yield (
                "error", "gateway.allowed_origins",
                f"{origin} is not encrypted: browsers give such pages no microphone",
            )  # fmt: skip


def _retention(config: Config) -> Found:
    calls = config.calls
    if not calls.enabled:
        return
    for key in ("keep_sound_days", "keep_record_days"):
        if getattr(calls, key) is None:
            yield "error", f"calls.{key}", "what is kept is never let go: write a number of days"
    if calls.recording == "on":
        yield (
            "warning", "calls.recording",
            "callers are recorded and not told of it: announce tells them, ask lets them choose",
        )  # fmt: skip
    if calls.recording == "auto":
        yield "warning", "calls.recording", "auto records no caller of another machine: choose"


def _privacy(config: Config) -> Found:
    if config.privacy.external_when_cold:
        yield (
            "warning", "privacy.external_when_cold",
            "a private session may start at a vendor's when no worker is ready",
        )  # fmt: skip
    endpoint = config.penny.modes.SELF_HOSTED.endpoint or ""
    host = urlsplit(endpoint).hostname or ""
    if endpoint.startswith("ws://") and not is_loopback(host) and not _is_inner(host):
        yield (
            "error", "penny.modes.SELF_HOSTED.endpoint",
            f"private calls go to {host} unencrypted: write wss://",
        )  # fmt: skip
    if config.admin.show_transcripts:
        yield "warning", "admin.show_transcripts", "operators may read along what is said"
    if config.actions.sample:
        yield "error", "actions.sample", "the sample company answers callers: turn it off"


def _limits(config: Config) -> Found:
    if config.costs.session_limit_usd is None and config.penny.modes.EXTERNAL.enabled:
        yield "error", "costs.session_limit_usd", "a call may cost without end: write a ceiling"
    names = {"default": LimitsSection(), **{n: t.limits for n, t in config.tenants.items()}}
    for name, own in names.items():
        for key in ("max_sessions", "minutes_per_day"):
            if getattr(own, key) is None and getattr(config.limits, key) is None:
                place = "limits" if name == "default" else f"tenants.{name}.limits"
                yield "warning", f"{place}.{key}", f"{name} may take all there is: write a number"


def _machine(config: Config, facts: Facts) -> Found:
    if facts.clock_kept is None:
        yield "warning", "calls", "this system does not tell whether its clock is kept (NTP)"
    elif not facts.clock_kept:
        yield "error", "calls", "nothing keeps the clock: start chrony or systemd-timesyncd"
    if config.calls.enabled and facts.free_bytes < FREE_BYTES:
        level = "error" if facts.free_bytes < LEAST_BYTES else "warning"
        gigabytes = facts.free_bytes / 1e9
        yield level, "calls.folder", f"{gigabytes:.1f} GB are free where calls are kept"
    if config.gateway.drain_s < min(config.gateway.session_max_s, 300.0):
        yield (
            "warning", "gateway.drain_s",
            f"a stop cuts calls off after {config.gateway.drain_s:.0f} s: write the longest call",
        )  # fmt: skip


def _telephony(facts: Facts) -> Found:
    for line in facts.lines.receiving():
        own = facts.own_addresses.get(line.id, "")
        if not isinstance(line, Trunk) or not own:
            continue
        if facts.in_container and line.auth == "ip_auth":
            yield (
                "error", "telephony.asterisk",
                f"{line.id} is known by its address and this is a container: on a bridge network "
                "the carrier sees another; give Asterisk the host's network",
            )  # fmt: skip
        if not _is_inner(line.host) and not ip_address(own).is_global:
            yield (
                "warning", "telephony.asterisk",
                f"{line.id}: SDP names {own}, which {line.host} cannot reach: one-sided sound. "
                "Write external_media_address and external_signaling_address of the transport",
            )  # fmt: skip
    if facts.rtp_ports > MOST_RTP_PORTS:
        yield (
            "warning", "telephony.asterisk",
            f"{RTP_FILE} opens {facts.rtp_ports} ports: two a call are enough, and container "
            "engines hang on thousands",
        )  # fmt: skip


def _is_inner(host: str) -> bool:
    """Whether a host is of an own network: a bare name, or an address the world cannot reach."""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".svc"))


# -- what is seen on the machine ----------------------------------------------------------------


def read_facts(config: Config, url: str | None) -> Facts:
    """Look at this machine and at the public address. Raises ConfigError: the keys' file."""
    folder = config.resolve(config.telephony.folder)
    lines = TelephonyStore(folder, config.telephony, os.environ).read()
    return Facts(
        has_keys=KeyFile(config.resolve(config.keys.file), time.time).has_keys(),
        clock_kept=_is_clock_kept(),
        free_bytes=shutil.disk_usage(_nearest(config.resolve(config.calls.folder))).free,
        public_fault=None if url is None else asyncio.run(try_public(url)),
        lines=lines,
        own_addresses={line.id: _own_address(line.host) for line in lines.trunks},
        in_container=Path("/.dockerenv").exists() or Path("/run/.containerenv").exists(),
        rtp_ports=count_rtp_ports(RTP_FILE.read_text("utf-8") if RTP_FILE.is_file() else ""),
    )


async def try_public(url: str) -> str:
    """Why ``url`` is no address for the public, or '': it is asked as a caller would."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        return "write https://HOST"
    if is_loopback(parts.hostname) or parts.hostname == "localhost":
        return f"{parts.hostname} is this machine alone"
    return await ask_public(url.rstrip("/"))


async def ask_public(url: str) -> str:
    """Why no Penny answers at ``url``, or no WebSocket gets through to it; '' where both do."""
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(ANSWER_S)) as http:
            async with http.get(f"{url}/health") as answer:
                told = await answer.json() if answer.status == 200 else {}
            if told.get("status") != "healthy":
                return f"{url}/health is not answered by a Penny"
            try:
                async with http.ws_connect(f"{url}/ws"):
                    return ""
            except aiohttp.WSServerHandshakeError as error:
                if error.status in KEYLESS:
                    return ""
                return f"{url}/ws lets no WebSocket through (HTTP {error.status}): see the proxy"
    except (aiohttp.ClientError, ssl.SSLError, ValueError, TimeoutError, OSError) as error:
        return f"{url}: {type(error).__name__}: {error}"


def count_rtp_ports(text: str) -> int:
    """Ports that an ``rtp.conf`` opens; 0 where it names none."""
    ends = {}
    for line in text.splitlines():
        name, _, value = line.partition(";")[0].partition("=")
        if name.strip() in ("rtpstart", "rtpend") and value.strip().lstrip(">").strip().isdigit():
            ends[name.strip()] = int(value.strip().lstrip(">"))
    return ends["rtpend"] - ends["rtpstart"] + 1 if len(ends) == 2 else 0


def _is_clock_kept() -> bool | None:
    """What the kernel tells; the buffer is larger than any system's ``timex``, and asks only."""
    ask = getattr(ctypes.CDLL(None), "ntp_adjtime", None)
    if ask is None:
        return None
    state = ask(ctypes.create_string_buffer(512))
    return None if state < 0 else bool(state != TIME_ERROR)


def _nearest(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())


def _own_address(host: str) -> str:
    """From which address ``host`` is reached; nothing is sent. '' where it is not known."""
    try:
        kind, _, _, _, address = socket.getaddrinfo(host, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(kind, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except OSError:
        return ""


def public_url(config: Config, given: str | None) -> str | None:
    """The address that callers use: the one given, else the one that Twilio is told."""
    twilio = config.telephony.twilio
    return given or (twilio.public_url if twilio.enabled else None)
