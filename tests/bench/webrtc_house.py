"""Penny for the WebRTC bench: fixed engines, ears that keep what they hear, any address.

``python -m tests.bench.webrtc_house FOLDER`` prints its key, then serves on port 8080 until it is
ended; each utterance is a file ``<time>.wav`` in the folder, PCM16 at 16,000 Hz.
"""

from __future__ import annotations

import asyncio
import sys
import time
import wave
from dataclasses import dataclass, field
from pathlib import Path

from config.schema import Config
from penny.gateway.app import Gateway
from penny.trust.keys import KeyFile
from runpod_worker.stages import STT_RATE_HZ, SttOptions, Transcript
from tests.doubles.engines import FixedStt, FixedUtterance
from tests.doubles.house import make_engines, running_worker


@dataclass
class KeptUtterance(FixedUtterance):
    """An utterance that is written down when it ends."""

    pcm: bytearray = field(default_factory=bytearray)
    folder: Path = Path()

    def feed(self, pcm: bytes) -> None:
        super().feed(pcm)
        self.pcm += pcm

    async def finish(self) -> Transcript:
        with wave.open(str(self.folder / f"{time.time():.3f}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(STT_RATE_HZ)
            file.writeframes(bytes(self.pcm))
        return await super().finish()


class KeepingStt(FixedStt):
    """Ears of fixed latency that keep what they hear."""

    def __init__(self, folder: Path) -> None:
        super().__init__(latency_s=0.1)
        self._folder = folder

    def begin(self, options: SttOptions) -> FixedUtterance:
        super().begin(options)
        return KeptUtterance(self, folder=self._folder)


async def serve(folder: Path) -> None:
    keys = folder / "keys.sqlite"
    value, _ = KeyFile(keys, time.time).create("default", "bench")
    async with running_worker(make_engines(KeepingStt(folder))) as endpoint:
        penny = {"modes": {"SELF_HOSTED": {"endpoint": endpoint}}}
        gateway = Gateway(Config.model_validate({"penny": penny, "keys": {"file": str(keys)}}))
        await gateway.start("0.0.0.0", 8080)
        print(value, flush=True)
        try:
            await asyncio.Event().wait()
        finally:
            await gateway.stop(drain_s=0.0)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
