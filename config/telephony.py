"""``telephony``: where what the page `/telephony` saves lies, and how Asterisk reaches Penny."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from config.modes import ModeName
from penny.section import Section, check_http_address


def _check_gateway_url(url: str) -> str:
    return check_http_address(url, "http://127.0.0.1:8080, where Penny listens", "none is needed")


def _check_sound(name: str) -> str:
    if name and not re.fullmatch(r"[A-Za-z0-9/_-]{1,80}", name):
        raise ValueError("write a sound's name as Asterisk does, without its ending")
    return name


def _check_dial(target: str) -> str:
    if target and not re.fullmatch(r"[A-Za-z0-9]+/[A-Za-z0-9@/_.+-]{1,80}", target):
        raise ValueError("write TECHNOLOGY/TARGET, such as PJSIP/200 or Local/queue@office")
    return target


class AsteriskSection(Section):
    """``telephony.asterisk``: the wire by which Asterisk brings calls, and its dialplan."""

    enabled: bool = Field(False, description="take calls of an Asterisk")
    wire: Literal["websocket", "audiosocket"] = Field(
        "audiosocket",
        description="websocket: chan_websocket, 20.18, 22.8, 23.2 and later; audiosocket: any",
    )
    host: str = Field("127.0.0.1", description="address that AudioSocket listens on")
    port: int = Field(9019, ge=0, le=65535, description="its port; 0 takes a free one")
    gateway_url: Annotated[str, AfterValidator(_check_gateway_url)] = Field(
        "http://127.0.0.1:8080", description="where Asterisk finds Penny"
    )
    mode: ModeName | None = Field(None, description="mode of phone calls; null is the default one")
    max_call_s: int = Field(3600, ge=60, le=14_400, description="Asterisk ends a call after this")
    fallback_sound: Annotated[str, AfterValidator(_check_sound)] = Field(
        "", description="sound that Asterisk plays where Penny is away, such as custom/penny-away"
    )
    fallback_dial: Annotated[str, AfterValidator(_check_dial)] = Field(
        "", description="who is rung then, and after a hand-off: PJSIP/200, Local/queue@office"
    )
    group: str = Field(
        "", description="Unix group that may read the files; '' is Penny's user alone"
    )
    command: tuple[str, ...] = Field(
        (), description="runs Asterisk's console commands: [asterisk, -rx]; [] reloads nothing"
    )


class TelephonySection(Section):
    """``telephony``: phone lines."""

    folder: Path = Field(
        Path("var/telephony"), description="what /telephony saves: numbers, passwords, files"
    )
    probe_loopback: bool = Field(
        False, description="a test of the connection may ask this machine itself"
    )
    asterisk: AsteriskSection = Field(AsteriskSection(), description="calls through an Asterisk")
