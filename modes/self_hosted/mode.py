"""SELF_HOSTED: a worker of our own answers; nothing leaves the configured hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from weakref import WeakValueDictionary

import aiohttp
import structlog

from modes.realtime import RealtimeSpeaker, open_on
from modes.self_hosted.canary import Canary
from modes.self_hosted.conversation import ConversationCopy
from modes.self_hosted.excuse import Excuse, ExcuseRecorder, Key
from modes.self_hosted.house import PrivateHouse
from modes.self_hosted.mcp.opening import McpHouse
from modes.self_hosted.source import Place, WorkerSource
from modes.self_hosted.speaker import PrivateSpeaker
from modes.self_hosted.waiting.sentences import Recordings
from modes.self_hosted.waiting.session import WaitingSession
from modes.self_hosted.waiting.speaker import WaitingSpeaker, turn_back
from penny.aio.allow_list import AllowList
from penny.errors import ModeUnavailable
from penny.realtime.session_config import TRANSCRIPTION
from penny.session.mode import Availability, HasWorkers, Json, SessionSpec, Speaker, WorkerState


log = structlog.get_logger()

REPLACEMENT_PAUSE_S = 0.2
"""Between two tries to reach another worker: a local one takes longer than that to start."""


@dataclass(frozen=True, slots=True)
class WaitSettings:
    """How a session begins whose worker is long in coming.

    ``after_s``: it begins without its worker after so long. ``every_s``: silence between two
    spoken fillers.
    """

    after_s: float = 1.5
    every_s: float = 10.0
    recordings: Recordings = field(default_factory=Recordings)


class SelfHostedMode:
    """Private sessions.

    Args:
        source: where workers come from.
        excuse: what is said before a turn is answered again by another worker, by language.
        replace_within_s: how long a session waits for another worker before it ends.
        wait: what callers hear while a worker is on its way; None leaves them waiting.
        canary: asks rented workers for a sign of life.
        bills: whether a session's place in a worker costs money.
        detection: the Realtime turn detection of sessions on edges of Penny's own.
        house: what calls know and may do; None is nothing.
        mcp: the servers whose tools sessions may name; None is none.
        http: the client of private sessions, closed with the mode. hosts: whom it may reach.
    """

    name = "SELF_HOSTED"

    def __init__(
        self,
        source: WorkerSource,
        *,
        excuse: Mapping[str, str],
        replace_within_s: float = 30.0,
        http: aiohttp.ClientSession | None = None,
        hosts: AllowList | None = None,
        detection: str = "semantic_vad",
        noise_reduction: Callable[[str], Json | None] = lambda _tenant: None,
        wait: WaitSettings | None = None,
        bills: bool = False,
        canary: Canary | None = None,
        house: PrivateHouse | None = None,
        mcp: McpHouse | None = None,
    ) -> None:
        self.source = source
        self._mcp = mcp
        self._house = house
        self._wait = wait
        self._canary = canary
        self._capabilities = {"cost": bills, "tools": house is not None and bool(house.actions)}
        self._live: WeakValueDictionary[str, PrivateSpeaker] = WeakValueDictionary()
        self.hosts = hosts
        self._detection = detection
        self._noise_reduction = noise_reduction
        self._http = http
        self._excuse = excuse
        self._recorded: dict[Key, Excuse] = {}
        self._replace_within_s = replace_within_s

    def availability(self) -> Availability:
        return self.source.availability()

    def workers(self) -> list[WorkerState]:
        return self.source.workers() if isinstance(self.source, HasWorkers) else []

    async def start(self) -> None:
        await self.source.start()
        if self._canary is not None:
            self._canary.start()

    def _session(self, spec: SessionSpec) -> Json:
        return _session(spec, self._detection, self._noise_reduction(spec.tenant))

    def spent_usd(self, session_id: str) -> float | None:
        """Cost of this session's workers so far, in US dollars; None where none is billed."""
        speaker = self._live.get(session_id)
        usd = None if speaker is None else speaker.spent_usd
        return usd if usd or self._capabilities["cost"] else None

    async def open(self, spec: SessionSpec) -> Speaker:
        """Take a place in a worker and configure it for this session.

        Where that takes longer than ``after_s``, the session begins with a WaitingSpeaker.

        Raises:
            ModeUnavailable: there is none, and it was known at once.
            ClientError: the session's tools are wrong.
        """
        if self._mcp is None or spec.kind == TRANSCRIPTION:
            return await self._open(spec)
        return await self._mcp.open(spec, self._open)

    async def _open(self, spec: SessionSpec) -> Speaker:
        if self._wait is None or spec.kind == TRANSCRIPTION:
            return await self._open_private(spec)
        teller = Teller(spec.tell)
        opening: asyncio.Future[Speaker] = asyncio.ensure_future(
            self._open_private(replace(spec, tell=teller))
        )
        try:
            await asyncio.wait({opening}, timeout=self._wait.after_s)
            if opening.done() and not _is_to_move(opening, spec):
                return opening.result()
            return self._begin_waiting(self._wait, spec, opening, teller)
        except BaseException:
            await turn_back(opening)
            raise

    def _begin_waiting(
        self,
        settings: WaitSettings,
        spec: SessionSpec,
        opening: asyncio.Future[Speaker],
        teller: Teller,
    ) -> WaitingSpeaker:
        try:
            session = WaitingSession(self._session(spec), spec.session)
        except ValueError as error:
            raise ModeUnavailable(
                f"the session was refused: {error}", remedy="correct the field it names"
            ) from error
        voice = session.settings["audio"]["output"]["voice"]
        log.info("session_begins_waiting", session_id=spec.session_id)
        waiting = WaitingSpeaker(
            opening,
            session,
            settings.recordings,
            asyncio.get_running_loop().time,
            language=spec.language,
            every_s=settings.every_s,
            session_id=spec.session_id,
            info={"model": "penny-worker", "voice": voice, "capabilities": self._capabilities},
            elsewhere=spec.elsewhere,
        )
        teller.lead_to(waiting.tell_progress)
        return waiting

    async def _open_private(self, spec: SessionSpec) -> Speaker:
        speaker, place = await self._open_place(spec)

        async def reopen(copy: ConversationCopy) -> tuple[RealtimeSpeaker, Place]:
            return await self._reopen(replace(spec, session=copy.session, history=()))

        private = PrivateSpeaker(
            speaker,
            place,
            reopen,
            session_id=spec.session_id,
            open_house=None if self._house is None else partial(self._house.open, spec),
            excuse=ExcuseRecorder(
                self._recorded,
                (spec.language[:2], str(speaker.info.get("voice") or "")),
                self._excuse.get(spec.language[:2]) or next(iter(self._excuse.values())),
                records=spec.transcripts,
            ),
        )
        self._live[spec.session_id] = private
        private.seeded(spec.history)
        private.record_excuse()
        return private

    async def aclose(self) -> None:
        if self._canary is not None:
            await self._canary.aclose()
        for behind in (self._house, self._mcp):
            if behind is not None:
                await behind.aclose()
        await self.source.aclose()
        if self._http is not None:
            await self._http.close()

    async def _open_place(self, spec: SessionSpec) -> tuple[RealtimeSpeaker, Place]:
        place = await self.source.acquire(spec)
        info = {
            "model": _engines(place.info),
            "provider": None,
            "capabilities": self._capabilities,
        }
        try:
            return await open_on(place.connection, self._session(spec), spec, info), place
        except BaseException:
            await place.release()
            raise

    async def _reopen(self, spec: SessionSpec) -> tuple[RealtimeSpeaker, Place]:
        """Another worker, as soon as there is one. Raises ModeUnavailable after the limit."""
        clock = asyncio.get_running_loop().time
        give_up_s = clock() + self._replace_within_s
        while True:
            try:
                return await self._open_place(spec)
            except ModeUnavailable as error:
                if not error.retryable or clock() >= give_up_s:
                    raise
            await asyncio.sleep(REPLACEMENT_PAUSE_S)


class Teller:
    """Forwards ``penny.progress``: to the edge until the session opens, then to the session."""

    def __init__(self, tell: Callable[[Json], None]) -> None:
        self._tell = tell

    def __call__(self, event: Json) -> None:
        self._tell(event)

    def lead_to(self, tell: Callable[[Json], None]) -> None:
        self._tell = tell


def _is_to_move(opening: asyncio.Future[Speaker], spec: SessionSpec) -> bool:
    """Whether the caller goes elsewhere; they are to hear it first, so the session begins."""
    error = opening.exception()
    is_late = isinstance(error, ModeUnavailable) and error.code == "cold_budget_exceeded"
    return is_late and spec.elsewhere is not None


def _session(spec: SessionSpec, detection: str, noise_reduction: Json | None) -> Json:
    """The Realtime session of a private call. Without a language the ears find it out."""
    if spec.kind == TRANSCRIPTION:
        return {"penny_language": spec.language}
    session: Json = {"instructions": spec.instructions, "penny_language": spec.language}
    session["penny_holds_playback"] = spec.holds_playback
    if spec.transcripts:
        transcription = {"model": "penny"}
        if spec.fixed_language:
            transcription["language"] = spec.fixed_language
        heard = {"transcription": transcription, "turn_detection": {"type": detection}}
        session["audio"] = {"input": heard}
    if noise_reduction:
        heard = session.setdefault("audio", {}).setdefault("input", {})
        heard["noise_reduction"] = noise_reduction
    if spec.voice:
        session.setdefault("audio", {})["output"] = {"voice": spec.voice}
    return session


def _engines(info: Json) -> str:
    engines = info.get("engines", {})
    names = [engines[stage]["name"] for stage in ("stt", "llm", "tts") if stage in engines]
    return " + ".join(names) or "penny-worker"
