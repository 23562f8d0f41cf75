"""eSpeak NG as the embedded TTS: robotic, immediate, no weights.

First audio after 0.2-0.4 ms of work; 3.8 s of speech in 7 ms. It is the honest fallback of a
profile without a GPU, and says so.
"""

from __future__ import annotations

import queue
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from penny.audio.resample import Resampler
from penny.errors import EngineError
from runpod_worker.engines.espeak_library import EspeakLibrary
from runpod_worker.engines.espeak_voices import VARIANTS, choose_voice
from runpod_worker.engines.handoff import Handoff
from runpod_worker.spoken_text import write_for_speech
from runpod_worker.stages import TTS_RATE_HZ, EngineInfo, Voice


# Thirty seconds of audio made ahead of the caller's ear: far more than a phrase, so that a
# synthesis practically never holds its library while playback catches up.
HANDOFF_BYTES = 30 * TTS_RATE_HZ * 2

NOTICE = {
    "es": "La voz incluida (eSpeak NG) es sintética y suena robótica; la del perfil natural, no.",
    "en": "The built-in voice (eSpeak NG) sounds robotic; that of profile natural does not.",
}


class EspeakTts:
    """Tts on eSpeak NG.

    A pool of private library copies, each driven by one thread at a time.

    Phrases beyond the pool's size wait for a free copy, in order; a phrase takes milliseconds.
    """

    def __init__(self, *, pool_size: int = 2) -> None:
        """Raises EngineError if the library does not load."""
        self.info = EngineInfo(name="espeak-ng", languages=("es", "en"), notice=NOTICE)
        self._libraries: queue.SimpleQueue[EspeakLibrary] = queue.SimpleQueue()
        for _ in range(pool_size):
            self._libraries.put(EspeakLibrary())
        self._threads = ThreadPoolExecutor(pool_size, thread_name_prefix="espeak")

    def voices(self) -> Sequence[str]:
        return tuple(VARIANTS)

    async def synthesize(self, phrase: str, voice: Voice) -> AsyncIterator[bytes]:
        """Stream PCM16 at 24 kHz; closing the iterator stops the library at its next callback.

        Raises:
            EngineError: the library failed, or the engine is closed.
        """
        text = write_for_speech(phrase, voice.language)
        if not text.strip():
            return
        handoff = Handoff(HANDOFF_BYTES)
        try:
            work = self._threads.submit(self._speak, text, voice, handoff)
        except RuntimeError as error:
            raise EngineError("the TTS is closed", stage="tts") from error
        work.add_done_callback(lambda done: _tell_cancelled(done, handoff))
        try:
            while (pcm := await handoff.take()) is not None:
                yield pcm
        finally:
            handoff.close()

    async def aclose(self) -> None:
        """Stop taking phrases. Callers close their iterators first, so threads end at once."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _speak(self, text: str, voice: Voice, handoff: Handoff) -> None:
        """In a thread of the pool: everything that goes wrong reaches the consumer."""
        if handoff.closed:  # cancelled while it waited for a thread
            return
        library = self._libraries.get()
        try:
            chosen = choose_voice(voice.language, voice.name, voice.speed)
            resampler = Resampler(library.rate_hz, TTS_RATE_HZ)
            library.speak(
                text,
                voice=chosen.voice,
                rate_wpm=chosen.rate_wpm,
                pitch=chosen.pitch,
                sink=lambda pcm: handoff.put(resampler.process(pcm)),
            )
            rest = resampler.flush()
            if rest:
                handoff.put(rest)
            handoff.end()
        except BaseException as error:
            handoff.end(error)
        finally:
            self._libraries.put(library)


def _tell_cancelled(work: Future[None], handoff: Handoff) -> None:
    """A phrase that never got its thread (the engine closed first) must not leave a waiter."""
    if work.cancelled():
        handoff.end(EngineError("the TTS is closed", stage="tts"))
