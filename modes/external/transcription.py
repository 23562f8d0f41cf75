"""A transcription session at the vendor: it hears the caller and nothing answers.

There is no brain behind it and nothing to remember, so a lost connection ends the session: the
client has every word that was recognised, and opens another.
"""

from __future__ import annotations

from collections.abc import Iterable

from modes.external.session_view import merge
from modes.external.speaker import Json, Translator
from modes.external.vendor import VendorProvider, end_if_terminal
from modes.realtime import configure, set_up
from penny.realtime.session_config import TRANSCRIPTION
from penny.session.mode import SessionSpec, SpeakerSink


class TranscriptionSpeaker(Translator):
    """A vendor's transcription session, passed through as it is."""

    def start(self, sink: SpeakerSink) -> None:
        sink.on_event(self._name())
        super().start(sink)

    def send(self, event: Json) -> None:
        """Raises SpeakerLost."""
        self._speaker.send(event)

    def translate(self, event: Json) -> Iterable[Json]:
        yield event
        if event["type"] == "session.updated":
            self.info["session"] = event["session"]
            yield self._name()
        elif event["type"] == "error":
            end_if_terminal(event["error"])

    def _name(self) -> Json:
        """What recognises, for the meter."""
        model = _model_of(self.info["session"])
        return {"type": "penny.speaker", "model": model, "transcription_model": model}


async def open_transcription(
    provider: VendorProvider, model: str, spec: SessionSpec
) -> TranscriptionSpeaker:
    """Open one with the caller's own fields. ``model``: where they name none.

    Raises:
        ModeUnavailable: with ``retryable`` telling whether another attempt may help.
    """
    session: Json = {**spec.session, "type": TRANSCRIPTION}
    if not _model_of(session):
        session = merge(session, {"audio": {"input": {"transcription": {"model": model}}}})
    speaker = await provider.connect("realtime", {"intent": TRANSCRIPTION}, model)
    await set_up(speaker, configure(speaker, session))
    return TranscriptionSpeaker(speaker)


def _model_of(session: Json) -> str:
    heard = (session.get("audio") or {}).get("input") or {}
    return (heard.get("transcription") or {}).get("model") or ""
