"""SELF_HOSTED: a worker of our own answers; nothing leaves the configured hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import aiohttp
import structlog

from modes.realtime import RealtimeSpeaker, open_on
from modes.self_hosted.excuse import Excuse, ExcuseRecorder, Key
from modes.self_hosted.mirror import Mirror
from modes.self_hosted.source import Place, WorkerSource
from modes.self_hosted.speaker import PrivateSpeaker
from penny.aio.allow_list import AllowList
from penny.errors import ModeUnavailable
from penny.session.mode import Availability, HasWorkers, Json, SessionSpec, WorkerState


log = structlog.get_logger()

REPLACEMENT_PAUSE_S = 0.2
"""Between two tries to reach another worker: a local one takes longer than that to start."""


class SelfHostedMode:
    """Private sessions.

    Args:
        source: where workers come from.
        excuse: what is said before a turn is answered again by another worker, by language.
        replace_within_s: how long a session waits for another worker before it ends.
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
    ) -> None:
        self.source = source
        self.hosts = hosts
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

    async def open(self, spec: SessionSpec) -> PrivateSpeaker:
        """Take a place in a worker and configure it for this session. Raises ModeUnavailable."""
        speaker, place = await self._open_place(spec)

        async def reopen(mirror: Mirror) -> tuple[RealtimeSpeaker, Place]:
            return await self._reopen(replace(spec, session=mirror.session, history=()))

        private = PrivateSpeaker(
            speaker,
            place,
            reopen,
            session_id=spec.session_id,
            excuse=ExcuseRecorder(
                self._recorded,
                (spec.language[:2], str(speaker.info.get("voice") or "")),
                self._excuse.get(spec.language[:2]) or next(iter(self._excuse.values())),
            ),
        )
        private.seeded(spec.history)
        await private.start()
        return private

    async def aclose(self) -> None:
        await self.source.aclose()
        if self._http is not None:
            await self._http.close()

    async def _open_place(self, spec: SessionSpec) -> tuple[RealtimeSpeaker, Place]:
        place = await self.source.acquire(spec)
        info = {"model": _engines(place.info), "provider": None}
        try:
            return await open_on(place.socket, _session(spec), spec, info), place
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


def _session(spec: SessionSpec) -> Json:
    """The Realtime session of a private call. Without a language the ears find it out."""
    session: Json = {"instructions": spec.instructions, "penny_language": spec.language}
    if spec.transcripts:
        transcription = {"model": "penny"}
        if spec.fixed_language:
            transcription["language"] = spec.fixed_language
        session["audio"] = {"input": {"transcription": transcription}}
    if spec.voice:
        session.setdefault("audio", {})["output"] = {"voice": spec.voice}
    return session


def _engines(info: Json) -> str:
    engines = info.get("engines", {})
    names = [engines[stage]["name"] for stage in ("stt", "llm", "tts") if stage in engines]
    return " + ".join(names) or "penny-worker"
