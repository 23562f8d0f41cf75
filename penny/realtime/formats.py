"""Audio formats of the wire, and their conversion to and from the core's PCM16 at 24 000 Hz."""

from __future__ import annotations

from penny.audio.convert import Converter
from penny.audio.format import AudioFormat
from penny.realtime.commands import Json
from penny.realtime.errors import ClientError
from penny.realtime.fields import check_choice, check_object


CORE_FORMAT = AudioFormat("pcm16", 24_000)
WIRE_FORMATS = {
    "audio/pcm": CORE_FORMAT,
    "audio/pcmu": AudioFormat("pcmu", 8_000),
    "audio/pcma": AudioFormat("pcma", 8_000),
}


def read_format(audio_format: Json | None) -> AudioFormat:
    """What a GA ``format`` object says; the default where there is none."""
    return WIRE_FORMATS.get((audio_format or {}).get("type", ""), CORE_FORMAT)


def check_format(value: object, param: str) -> Json:
    """Return the whole GA format object for a client's, which may omit the rate."""
    given = check_object(value, param)
    kind = check_choice(given.get("type"), f"{param}.type", tuple(WIRE_FORMATS))
    rate_hz = WIRE_FORMATS[kind].rate_hz
    if given.get("rate") not in (None, rate_hz):
        raise ClientError(
            "invalid_value",
            f"Invalid '{param}.rate': '{kind}' has a rate of {rate_hz}; resample, or leave it out.",
            f"{param}.rate",
        )
    return {"type": kind, "rate": rate_hz} if kind == "audio/pcm" else {"type": kind}


class InputDecoder:
    """Client audio to core audio. A sample that was split waits for its other half."""

    def __init__(self, wire: Json) -> None:
        self._format = WIRE_FORMATS[wire["type"]]
        self._converter = Converter(self._format, CORE_FORMAT)

    def feed(self, data: bytes) -> bytes:
        return self._converter.process(data)

    def reset(self) -> None:
        """Forget half samples and the converter's memory: what follows is other audio."""
        self._converter = Converter(self._format, CORE_FORMAT)


class OutputEncoder:
    """Core audio to client audio, for one item of an answer.

    As long out as in: the filter's delay (under 2 ms) comes before the audio, and that much of
    its end is never sent, so that positions on both sides stay the same.
    """

    def __init__(self, wire: Json) -> None:
        self._converter = Converter(CORE_FORMAT, WIRE_FORMATS[wire["type"]])

    def feed(self, pcm: bytes) -> bytes:
        return self._converter.process(pcm)
