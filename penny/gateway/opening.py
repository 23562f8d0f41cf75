"""Opening a speaker that may take a while: the client is told, and may leave meanwhile.

When the mode is cold past the caller's patience, the session may go on in EXTERNAL: only if the
operator has allowed it (``privacy.external_when_cold``), only if the caller named no mode, and
never without a warning. A mode that begins sessions before it can answer moves them itself
(``SessionSpec.elsewhere``); one that does not is left here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NoReturn

import structlog

from config.schema import Config
from penny.aio.websocket import SocketConnection
from penny.errors import ModeUnavailable, PennyError, ProtocolError
from penny.localized import in_language
from penny.protocol.codec import dump, parse_client_message
from penny.protocol.error import SessionWarning
from penny.protocol.message import ServerEvent
from penny.protocol.session import Ping, Pong, SessionEnd, SessionProgress
from penny.session.broker import Broker
from penny.session.mode import Elsewhere, Json, Mode, SessionSpec, Speaker


log = structlog.get_logger()

Notice = Callable[[str, str, str], str]
"""By tenant, language and the house's own telephone number ('' for none), what a caller is told
before all else; '' for nothing."""
OTHER_MODE = "EXTERNAL"


class CallerLeft(Exception):
    """The client hung up, or closed, before anybody answered."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What came of it: the mode that answers may be another than the one that was chosen."""

    mode: Mode
    speaker: Speaker
    warnings: tuple[ServerEvent, ...] = ()


class Opener:
    """Opens speakers, for `/ws` clients with company."""

    def __init__(self, broker: Broker, config: Config) -> None:
        self._broker = broker
        self._config = config

    async def open(
        self,
        connection: SocketConnection,
        mode: Mode,
        spec: SessionSpec,
        *,
        named: bool,
        may_use: Callable[[str], object],
    ) -> Opening:
        """Open ``mode``, or EXTERNAL in its stead where that is allowed.

        Args:
            named: whether the caller named the mode.
            may_use: raises PennyError for a mode that this caller's key does not admit to.

        Raises:
            ModeUnavailable: no mode can talk. CallerLeft: the client closed while it waited.
        """
        other = None if named else self._other(mode, may_use)
        if other is None:
            return Opening(mode, await self._await_speaker(connection, mode, spec))
        patient = self._allow_move(mode, other, spec)
        try:
            return Opening(mode, await self._await_speaker(connection, mode, patient))
        except ModeUnavailable as error:
            if error.code != "cold_budget_exceeded":
                raise
        log.warning("session_moved_when_cold", session_id=spec.session_id, mode=other.name)
        assert patient.elsewhere is not None
        warning = SessionWarning(code="degraded", message=patient.elsewhere.warning, field="mode")
        return Opening(other, await self._await_speaker(connection, other, spec), (warning,))

    async def open_begun(
        self, mode: Mode, spec: SessionSpec, *, named: bool, may_use: Callable[[str], object]
    ) -> Speaker:
        """Open ``mode`` for a client that nothing can be told before its session begins.

        It is moved only by a mode that begins sessions at once, and tells it so by voice.
        """
        moves = not named and self._config.waiting.enabled
        other = self._other(mode, may_use) if moves else None
        if other is not None:
            spec = self._allow_move(mode, other, spec)
        return await self._broker.open(mode, spec)

    def _allow_move(self, mode: Mode, other: Mode, spec: SessionSpec) -> SessionSpec:
        patience_s = self._config.runpod.cold_budget_s
        privacy = in_language(self._config.penny.modes.EXTERNAL.privacy, spec.language)
        warning = (
            f"{mode.name} was not ready within {patience_s:g} s; {other.name} answers: {privacy}"
        )
        elsewhere = Elsewhere(lambda: self._broker.open(other, spec), warning, other.name, privacy)
        return replace(spec, patience_s=patience_s, elsewhere=elsewhere)

    def _other(self, mode: Mode, may_use: Callable[[str], object]) -> Mode | None:
        other = self._broker.modes.get(OTHER_MODE)
        if not self._config.privacy.external_when_cold or other is None or other is mode:
            return None
        try:
            may_use(other.name)
        except PennyError:
            return None
        return other if other.availability().available else None

    async def _await_speaker(
        self, connection: SocketConnection, mode: Mode, spec: SessionSpec
    ) -> Speaker:
        cold = asyncio.Event()

        def tell(event: Json) -> None:
            connection.send_text(dump(_progress(event)).encode())
            cold.set()

        opening = asyncio.ensure_future(self._broker.open(mode, replace(spec, tell=tell)))
        company = asyncio.ensure_future(_keep_company(connection, cold))
        try:
            await asyncio.wait({opening, company}, return_when=asyncio.FIRST_COMPLETED)
            return await opening if opening.done() else await company
        finally:
            for each in (opening, company):
                each.cancel()
            await asyncio.gather(opening, company, return_exceptions=True)


async def _keep_company(connection: SocketConnection, cold: asyncio.Event) -> NoReturn:
    """Answer pings of a client that waits. Raises CallerLeft.

    A warm mode opens at once: only a cold one makes us listen before the session is.
    """
    await cold.wait()
    while True:
        _answer(connection, await connection.receive())


def say_exactly(line: str) -> Json:
    """The event that has a speaker say a line of ours, in its own voice."""
    instructions = f"Saluda diciendo exactamente: «{line}»"
    response = {"instructions": instructions, "metadata": {"penny_say": line}}
    return {"type": "response.create", "response": response}


def _answer(connection: SocketConnection, message: str | bytes | None) -> None:
    if message is None:
        raise CallerLeft
    if isinstance(message, bytes):
        return  # audio before session_started has no session to go to
    try:
        parsed = parse_client_message(message)
    except ProtocolError:
        return
    if isinstance(parsed, Ping):
        connection.send_text(dump(Pong(nonce=parsed.nonce)).encode())
    elif isinstance(parsed, SessionEnd):
        raise CallerLeft


def _progress(event: Json) -> SessionProgress:
    return SessionProgress(
        stage=event["stage"], message=event["message"], eta_ms=event.get("eta_ms")
    )
