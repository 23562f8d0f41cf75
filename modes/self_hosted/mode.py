"""SELF_HOSTED: a worker of our own answers; nothing leaves the configured hosts."""

from __future__ import annotations

import aiohttp

from modes.realtime import RealtimeSpeaker, connect
from modes.self_hosted.worker import WorkerSource
from penny.session.mode import Availability, Json, SessionSpec


class SelfHostedMode:
    name = "SELF_HOSTED"

    def __init__(self, source: WorkerSource, http: aiohttp.ClientSession) -> None:
        self._source = source
        self._http = http

    def availability(self) -> Availability:
        return self._source.availability()

    async def start(self) -> None:
        await self._source.start()

    async def open(self, spec: SessionSpec) -> RealtimeSpeaker:
        """Connect to a worker and configure it for this session."""
        address = await self._source.acquire()
        separator = "&" if "?" in address.url else "?"
        url = f"{address.url}{separator}model=penny-worker&penny_events=1"
        return await connect(
            self._http,
            url,
            address.headers,
            _session(spec),
            spec,
            {"model": _engines(address.info), "provider": None},
        )

    async def aclose(self) -> None:
        await self._source.aclose()


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
