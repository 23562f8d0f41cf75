"""EXTERNAL: a vendor's speech-to-speech model answers."""

from __future__ import annotations

import os

import aiohttp

from config.schema import ExternalMode as ExternalSection
from config.schema import ModelsSection
from modes.realtime import RealtimeSpeaker, connect
from penny.session.mode import Availability, Json, SessionSpec


KEY_VARIABLE = "OPENAI_API_KEY"
DEFAULT_BASE_URL = "https://api.openai.com/v1"


class ExternalMode:
    name = "EXTERNAL"

    def __init__(
        self, section: ExternalSection, models: ModelsSection, http: aiohttp.ClientSession
    ) -> None:
        self._section = section
        self._models = models
        self._http = http

    def availability(self) -> Availability:
        if self._section.portavoz_base_url is None and not os.environ.get(KEY_VARIABLE):
            return Availability(
                False,
                f"{KEY_VARIABLE} is not set",
                f"export {KEY_VARIABLE}=… and start Penny again",
            )
        return Availability(True)

    async def start(self) -> None:
        return None

    async def open(self, spec: SessionSpec) -> RealtimeSpeaker:
        """Connect to the vendor's Realtime server with the session's own model and voice."""
        model = self._models.current(spec.portavoz.get("model") or self._section.portavoz_model)
        base = (self._section.portavoz_base_url or DEFAULT_BASE_URL).replace("http", "ws", 1)
        headers = {"Authorization": f"Bearer {os.environ.get(KEY_VARIABLE) or 'none'}"}
        info: Json = {"model": model, "provider": self._section.portavoz_provider}
        url = f"{base.rstrip('/')}/realtime?model={model}"
        return await connect(self._http, url, headers, self._session(spec), spec, info)

    async def aclose(self) -> None:
        return None

    def _session(self, spec: SessionSpec) -> Json:
        heard: Json = {"turn_detection": {"type": "server_vad", "silence_duration_ms": 500}}
        if spec.transcripts:
            heard["transcription"] = {"model": "gpt-realtime-whisper", "language": spec.language}
        return {
            "instructions": spec.instructions,
            "output_modalities": ["audio"],
            "audio": {
                "input": heard,
                "output": {"voice": spec.voice or self._section.portavoz_voice},
            },
        }
