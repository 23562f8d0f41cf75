"""From one audio format to another: G.711 and rate in one step."""

from __future__ import annotations

from penny.audio.format import AudioFormat
from penny.audio.resample import Resampler


class Converter:
    """Converts one stream from ``src`` to ``dst``; chunks of any length.

    Raises ValueError where the pair of rates is not supported (see Resampler).
    """

    def __init__(self, src: AudioFormat, dst: AudioFormat) -> None:
        self.src = src
        self.dst = dst
        self._same = src == dst
        self._resampler = Resampler(src.rate_hz, dst.rate_hz)

    @property
    def delay_ms(self) -> float:
        """How much later the converted audio sounds."""
        return self._resampler.delay_ms

    def process(self, data: bytes) -> bytes:
        """Convert a chunk. Half a PCM16 sample waits for its other half."""
        if self._same:
            if self.src.encoding != "pcm16" or not (len(data) % 2 or self._resampler.half):
                return data
            # It passes the resampler, which changes nothing, for the sake of half samples.
            return self._resampler.process(data)
        return self.dst.from_pcm16(self._resampler.process(self.src.to_pcm16(data)))

    def flush(self) -> bytes:
        """What the rate conversion still holds; then the stream starts anew."""
        return self.dst.from_pcm16(self._resampler.flush())
