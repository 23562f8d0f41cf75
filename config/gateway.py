"""``gateway``: where it listens, the limits of a connection, calls over WebRTC."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from penny.section import Section, key_error


def _check_ice_url(url: str) -> str:
    if not url.startswith(("stun:", "stuns:", "turn:", "turns:")):
        raise ValueError("write stun:HOST:PORT or turn:HOST:PORT")
    return url


IceUrl = Annotated[str, AfterValidator(_check_ice_url)]


class IceServer(Section):
    """One entry of ``gateway.webrtc.ice_servers``."""

    urls: tuple[IceUrl, ...] = Field(description="stun:, turn: or turns: addresses")
    username: str | None = Field(None, description="of a TURN server")
    credential_env: str = Field("", description="variable that holds the TURN server's password")


class WebRtcSection(Section):
    """``gateway.webrtc``: callers by ``POST /v1/realtime/calls``."""

    enabled: bool = Field(True, description="take WebRTC calls")
    ice_servers: tuple[IceServer, ...] = Field(
        (),
        description="STUN finds the public address behind a NAT, TURN relays; none on one network",
    )
    port_range: tuple[int, int] | None = Field(
        None, description="lowest and highest UDP port, for a firewall; null takes any"
    )

    @model_validator(mode="after")
    def _is_range(self) -> Self:
        if self.port_range is not None:
            low, high = self.port_range
            if not 1024 <= low <= high <= 65535:
                raise key_error("port_range", "write [lowest, highest], 1024 to 65535")
        return self


class TlsSection(Section):
    """``gateway.tls``: the gateway itself speaks https and wss."""

    cert: Path = Field(description="PEM file of the certificate and those that vouch for it")
    key: Path = Field(description="PEM file of its private key, without a passphrase")


class GatewaySection(Section):
    """``gateway``: where it listens, and the limits of a connection."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    max_sessions: int = Field(100, ge=1, description="sessions at once; more are refused by name")
    max_message_bytes: int = Field(
        4 * 1024 * 1024,
        ge=4096,
        description="longest message of a client: 4 MiB is a minute of audio in one append",
    )
    messages_per_s: float = Field(
        30.0,
        gt=0,
        description="messages (64 KiB) of one client, audio apart; ten seconds' worth at once; a"
        " fifth as many may want an answer",
    )
    start_timeout_s: float = Field(10.0, gt=0, description="time a client has for session_start")
    heartbeat_s: float = Field(20.0, gt=0, description="ping interval that finds vanished clients")
    idle_timeout_s: float = Field(300.0, gt=0, description="a session without speech or text ends")
    session_max_s: float = Field(3600.0, gt=0, description="longest session")
    drain_s: float = Field(30.0, ge=0, description="time live sessions have to finish on SIGTERM")
    reuse_port: bool = Field(False, description="a second gateway may take over on the same port")
    processes: int = Field(
        1, ge=1, le=256, description="gateway processes that share the port, one per core"
    )
    allowed_origins: tuple[str, ...] = Field(
        (), description="pages of other origins that may connect; the own page always may"
    )
    tls: TlsSection | None = Field(
        None, description="speak https and wss; null where a proxy before Penny does"
    )
    webrtc: WebRtcSection = Field(WebRtcSection(), description="calls over WebRTC")
