"""A transcription session at the vendor: it hears the caller and nothing answers.

There is no brain behind it and nothing to remember, so a lost connection ends the session: the
client has every word that was recognised, and opens another.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modes.external.speaker import TERMINAL_CODES, Json
from modes.external.vendor_socket import VendorProvider, VendorSocket, configure, connect
from penny.errors import SpeakerLost
from penny.realtime.session_config import TRANSCRIPTION
from penny.session.mode import SessionSpec, SpeakerSink


class TranscriptionSpeaker(VendorSocket):
    """A vendor's transcription session, passed through as it is."""

    def start(self, sink: SpeakerSink) -> None:
        sink.on_event(self._name())
        super().start(sink)

    def send(self, event: Json) -> None:
        """Raises SpeakerLost."""
        self.write(event)

    def translate(self, event: Json) -> Iterable[Json]:
        yield event
        if event["type"] == "session.updated":
            self.info["session"] = event["session"]
            yield self._name()
        elif event["type"] == "error" and event["error"].get("code") in TERMINAL_CODES:
            code = event["error"]["code"]
            raise SpeakerLost(event["error"].get("message") or code, code=code, retryable=False)

    def _name(self) -> Json:
        """What recognises, for the meter."""
        model = _transcription_of(self.info["session"]).get("model") or ""
        return {"type": "penny.speaker", "model": model, "transcription_model": model}

    async def configure(self, session: Json) -> None:
        """Raises SpeakerLost, ModeUnavailable."""
        await self.expect("session.created")
        self.write({"type": "session.update", "session": session})
        self.info["session"] = (await self.expect("session.updated"))["session"]


async def open_transcription(
    provider: VendorProvider, model: str, spec: SessionSpec
) -> TranscriptionSpeaker:
    """Open one with the caller's own fields. ``model``: where they name none.

    Raises:
        ModeUnavailable: with ``retryable`` telling whether another attempt may help.
    """
    session: Json = {**spec.session, "type": TRANSCRIPTION}
    if not _transcription_of(session).get("model"):
        audio = session.get("audio") or {}
        heard = audio.get("input") or {}
        named = {**_transcription_of(session), "model": model}
        session["audio"] = {**audio, "input": {**heard, "transcription": named}}
    connection = await connect(provider.client, "realtime", {"intent": TRANSCRIPTION})
    speaker = TranscriptionSpeaker(connection, {"model": model, "provider": "openai"})
    try:
        await configure(speaker.configure(session))
    except BaseException:
        await speaker.aclose()
        raise
    return speaker


def _transcription_of(session: Json) -> dict[str, Any]:
    heard = (session.get("audio") or {}).get("input") or {}
    return heard.get("transcription") or {}
