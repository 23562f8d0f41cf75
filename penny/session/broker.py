"""The broker: admits a session, decides which mode answers, counts, ends, drains.

It knows modes and edges only by their Protocols. A session passes through ``choose`` (which mode),
``admit`` (is there room) and ``run`` (join, carry, count).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import structlog

from penny.errors import ModeUnavailable, PennyError, ProtocolError, SessionRefused
from penny.session.edge import Edge
from penny.session.endings import LimitWatch
from penny.session.mode import WORKER_FULL, Mode, SessionSpec, Speaker
from penny.session.observers import ModeChange, Observer
from penny.session.session import Session, SessionLimits
from penny.session.turn_recorder import TurnRecorder


log = structlog.get_logger()

ROOM_S = 5.0
"""Most that a session whose client is lost takes to end for another."""

ObserverFactory = Callable[[Session, TurnRecorder], Observer | None]
"""Called with each session before it runs, and with what records its turns, which is shown each
event first. None where reading turns (``TurnRecorder.add_reader``) is enough."""


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Which mode is taken, and how many sessions of which length.

    ``silence_ms``: the recorder's, see ``TurnRecorder``.
    """

    default_mode: str
    allow_user_selection: bool
    max_sessions: int
    limits: SessionLimits
    silence_ms: int = 500


class Counts:
    """Counters of sessions; the gateway gives these a name in ``/metrics``."""

    def __init__(self) -> None:
        self.started: dict[str, int] = {}
        self.ended: dict[tuple[str, str], int] = {}
        self.refused: dict[str, int] = {}
        self.moved: dict[tuple[str, str], int] = {}
        """Live sessions that went on in another mode, by (from, to)."""


class Broker:
    """Opens, runs and ends the sessions of one gateway.

    Args:
        modes: every mode by name, started.
        observers: made anew for each session.
        clock: the loop's clock, seconds.
    """

    def __init__(
        self,
        modes: Mapping[str, Mode],
        settings: BrokerSettings,
        observers: Sequence[ObserverFactory],
        clock: Callable[[], float],
    ) -> None:
        self.modes = dict(modes)
        self._settings = settings
        self._observers = list(observers)
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._admitted = 0
        self._place_free = asyncio.Event()
        self.give_up_lost: Callable[[], bool] = lambda: False
        """Ends one session whose client is lost, if there is one."""
        self.wrap_edge: Callable[[SessionSpec, Edge], Edge] = lambda _spec, edge: edge
        """What stands between a session and its edge, where something does."""
        self.suggest_mode: Callable[[SessionSpec, Callable[[str], bool]], str | None] = (
            lambda _spec, _may_use: None
        )
        """The mode of a session that named none; asked with what tells which modes it may have."""
        self.arrange: Callable[[Mode, SessionSpec], SessionSpec] = lambda _mode, spec: spec
        """What the house changes of a session before it opens."""
        self.prepare: Callable[[Mode, SessionSpec], Awaitable[SessionSpec]] | None = None
        """Adds what is known of a caller before a speaker opens for them. It keeps no call waiting
        for long, and never raises."""
        self._draining = False
        self._empty = asyncio.Event()
        self._empty.set()
        self.counts = Counts()

    def add_observer(self, make: ObserverFactory) -> None:
        """Let what ``make`` returns see every session that opens from now on."""
        self._observers.append(make)

    # -- who answers --------------------------------------------------------------------------

    @property
    def default_mode(self) -> str:
        return self._settings.default_mode

    @property
    def sessions(self) -> Mapping[str, Session]:
        return self._sessions

    @property
    def draining(self) -> bool:
        return self._draining

    @property
    def has_room(self) -> bool:
        """Whether one more session is admitted now, without ending one whose client is lost."""
        return not self._draining and self._admitted < self._settings.max_sessions

    def is_selectable(self, name: str) -> bool:
        return self._settings.allow_user_selection or name == self._settings.default_mode

    def choose(
        self,
        requested: str | None,
        spec: SessionSpec | None = None,
        may_use: Callable[[str], object] = lambda _name: None,
    ) -> Mode:
        """The mode for a session.

        Args:
            spec: of a session that has none yet; where it named none, ``suggest_mode`` is asked.
            may_use: raises PennyError for a mode that its caller may not have; so does this.

        Raises:
            ProtocolError: ``mode_unknown``: no such mode, or it may not be chosen.
            ModeUnavailable: it exists but cannot talk now.
        """
        suggested = None
        if requested is None and spec is not None:
            suggested = self.suggest_mode(spec, lambda each: self._is_open_to(each, may_use))
        name = requested or suggested or self._settings.default_mode
        usable = [n for n, m in self.modes.items() if m.availability().available]
        available = ", ".join(usable) or "none"
        mode = self.modes.get(name)
        if mode is None:
            raise ProtocolError(
                f"mode: '{name}' is not a mode; available: {available}",
                code="mode_unknown",
                field="mode",
            )
        if suggested is None and not self.is_selectable(name):
            raise ProtocolError(
                f"mode: choosing '{name}' is not allowed here; leave mode out to get "
                f"{self._settings.default_mode}",
                code="mode_unknown",
                field="mode",
            )
        state = mode.availability()
        if not state.available:
            raise ModeUnavailable(
                f"mode: '{name}' is unavailable: {state.reason}; available: {available}",
                remedy=state.remedy,
            )
        may_use(name)
        return mode

    def _is_open_to(self, name: str, may_use: Callable[[str], object]) -> bool:
        mode = self.modes.get(name)
        try:
            may_use(name)
        except PennyError:
            return False
        return mode is not None and mode.availability().available

    # -- a session's way ----------------------------------------------------------------------

    @asynccontextmanager
    async def admit(self) -> AsyncIterator[None]:
        """Hold a place while a session opens and lives. Raises SessionRefused."""
        if self._draining:
            self._refuse("draining", "Penny is shutting down; try again in a moment")
        while self._admitted >= self._settings.max_sessions and await self._make_room():
            pass
        if self._admitted >= self._settings.max_sessions:
            self._refuse("full", f"all {self._settings.max_sessions} sessions are taken")
        self._admitted += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._admitted -= 1
            self._place_free.set()
            if self._admitted == 0:
                self._empty.set()

    async def open(self, mode: Mode, spec: SessionSpec) -> Speaker:
        """Open the speaker. Raises ModeUnavailable, logged and counted here once."""
        spec = self.arrange(mode, spec)
        if self.prepare is not None:
            spec = await self.prepare(mode, spec)
        try:
            try:
                return await mode.open(spec)
            except ModeUnavailable as error:
                if error.code != WORKER_FULL or not await self._make_room():
                    raise
                return await mode.open(spec)
        except ModeUnavailable as error:
            self._count_refusal("mode_unavailable")
            log.warning(
                "mode_unavailable",
                session_id=spec.session_id,
                mode=mode.name,
                reason=error.message,
                remedy=error.remedy,
            )
            raise

    async def run(
        self,
        mode: Mode,
        spec: SessionSpec,
        edge: Edge,
        speaker: Speaker,
        limits: SessionLimits | None = None,
    ) -> str:
        """Join edge and speaker until the session ends; returns the reason.

        Args:
            limits: of this session, where they are not the gateway's own.
        """
        limits = limits or self._settings.limits
        edge = self.wrap_edge(spec, edge)
        session = Session(spec.session_id, mode.name, edge, speaker, (), limits, self._clock)
        turns = TurnRecorder(session.state.started_s, silence_ms=self._settings.silence_ms)
        made = [make(session, turns) for make in self._observers]
        watching = [observer for observer in made if observer is not None]
        session.add_observer(ModeChange(session, self.counts.moved), turns, *watching)
        session.add_observer(LimitWatch(session, turns))
        self._sessions[session.id] = session
        self.counts.started[mode.name] = self.counts.started.get(mode.name, 0) + 1
        log.info("session_started", session_id=session.id, mode=mode.name, edge=edge.name)
        reason = "error"
        try:
            reason = await session.run()
        finally:
            del self._sessions[session.id]
            key = (session.mode, reason)
            self.counts.ended[key] = self.counts.ended.get(key, 0) + 1
            log.info(
                "session_ended",
                session_id=session.id,
                mode=session.mode,
                reason=reason,
                duration_s=round(self._clock() - session.state.started_s, 1),
                turns=turns.count,
            )
        return reason

    async def settle(self, limit_s: float) -> None:
        """Wait until no session is left, but no longer; new ones are still admitted."""
        try:
            async with asyncio.timeout(limit_s):
                await self._empty.wait()
        except TimeoutError:
            return

    async def drain(self, limit_s: float) -> None:
        """Admit no session any more; let live ones finish, end the rest after ``limit_s``."""
        self._draining = True
        try:
            async with asyncio.timeout(limit_s):
                await self._empty.wait()
        except TimeoutError:
            log.warning("drain_cut", sessions=len(self._sessions))
            for session in list(self._sessions.values()):
                session.end("drain")
            try:
                async with asyncio.timeout(5.0):
                    await self._empty.wait()
            except TimeoutError:
                log.error("sessions_did_not_end", sessions=len(self._sessions))  # noqa: TRY400

    def end_session(self, session_id: str, reason: str) -> bool:
        """Ask a live session to end; False when there is none of that id here."""
        session = self._sessions.get(session_id)
        if session is not None:
            session.end(reason)
        return session is not None

    async def _make_room(self) -> bool:
        """End a session whose client is lost, so that one who is there gets its place."""
        self._place_free.clear()
        if not self.give_up_lost():
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(ROOM_S):
                await self._place_free.wait()
        return True

    def _refuse(self, reason: str, message: str) -> None:
        self._count_refusal(reason)
        raise SessionRefused(message)

    def _count_refusal(self, reason: str) -> None:
        self.counts.refused[reason] = self.counts.refused.get(reason, 0) + 1
