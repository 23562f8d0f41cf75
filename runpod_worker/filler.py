"""A short sentence of thinking while an answer is slow: made once in a voice, heard once a turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog

from penny.errors import EngineError
from penny.realtime.commands import AudioDelta, PhraseDelta
from runpod_worker.stages import TTS_RATE_HZ, Tts, Voice


log = structlog.get_logger()

BYTES_PER_S = TTS_RATE_HZ * 2
PIECE_S = 0.1
LEAD_S = 0.2
"""Sent ahead of its time, so that a network does not make holes in it."""
FINISHED_S = 0.3
"""So little of a sentence is said to its end though the answer is there: half a word is worse."""


class Filling:
    """When the filler of one turn is heard, piece by piece. Pure: seconds of one clock come in."""

    def __init__(self, begins_s: float) -> None:
        self._begins_s = begins_s
        self._pcm = b""
        self._sent = 0
        self.over = False
        """Nothing more of it is to be heard."""

    def begin(self, pcm: bytes) -> None:
        self._pcm = pcm
        self.over = not pcm

    def due_s(self) -> float:
        """When the next piece is to be sent."""
        return self._begins_s + max(0.0, self._sent / BYTES_PER_S - LEAD_S)

    def take(self) -> bytes:
        """The next piece."""
        return self._cut(PIECE_S)

    def stop(self) -> bytes:
        """The answer is there: the little that is still said of a sentence begun, or nothing."""
        left_s = (len(self._pcm) - self._sent) / BYTES_PER_S
        rest = self._cut(left_s) if self._sent and left_s <= FINISHED_S else b""
        self.over = True
        return rest

    def _cut(self, length_s: float) -> bytes:
        start, self._sent = self._sent, self._sent + 2 * round(length_s * TTS_RATE_HZ)
        self.over = self._sent >= len(self._pcm)
        return self._pcm[start : self._sent]


class Fillers:
    """Sentences in the voices of a worker's sessions, each made when it is first wanted.

    Args:
        sentences: by language; they take turns.
    """

    def __init__(self, tts: Tts, sentences: Mapping[str, Sequence[str]]) -> None:
        self._tts = tts
        self._sentences = sentences
        self._made: dict[Voice, list[tuple[str, bytes]]] = {}
        self._next = 0

    async def prepare(self, voice: Voice) -> None:
        """Make what this voice lacks. A failure is logged; there is no filler then."""
        if voice in self._made:
            return
        made = self._made[voice] = []
        try:
            for text in self._sentences.get(voice.language[:2], ()):
                pcm = b"".join([piece async for piece in self._tts.synthesize(text, voice)])
                made.append((text, pcm))
        except EngineError as error:
            log.warning("filler_failed", code=error.code)

    def take(self, voice: Voice) -> tuple[str, bytes]:
        """The next sentence and its PCM16 at 24 kHz; ('', b'') while there is none."""
        made = self._made.get(voice)
        if not made:
            return "", b""
        chosen = made[self._next % len(made)]
        self._next += 1
        return chosen


class ThinkingAloud:
    """The fillers of one connection: at most one a turn, until the answer begins.

    Args:
        after_ms: silence after the caller's last word before it; 0 is never.
        report: takes what is said and how it sounds, as of an answer.
    """

    def __init__(
        self, fillers: Fillers, after_ms: int, report: Callable[[PhraseDelta | AudioDelta], None]
    ) -> None:
        self._fillers = fillers
        self._after_ms = after_ms
        self._report = report
        self._fillings: dict[str, Filling] = {}

    async def prepare(self, voice: Voice) -> None:
        if self._after_ms:
            await self._fillers.prepare(voice)

    async def run(self, response_id: str, voice: Callable[[], Voice], silent_ms: int) -> None:
        """Wait, and be heard; cancelled when the response ends.

        ``silent_ms``: how long the caller has been silent already.
        """
        if not self._after_ms:
            return
        clock = asyncio.get_running_loop().time
        filling = Filling(clock() + (self._after_ms - silent_ms) / 1000)
        self._fillings[response_id] = filling
        try:
            await asyncio.sleep(filling.due_s() - clock())
            if filling.over:
                return
            text, pcm = self._fillers.take(voice())
            filling.begin(pcm)
            if pcm:
                self._report(PhraseDelta(response_id, f"{text} "))
            while not filling.over:
                await asyncio.sleep(filling.due_s() - clock())
                if not filling.over:
                    self._report(AudioDelta(response_id, filling.take()))
        finally:
            self._fillings.pop(response_id, None)

    def stop(self, response_id: str) -> None:
        """The answer begins."""
        filling = self._fillings.pop(response_id, None)
        if filling is not None and (rest := filling.stop()):
            self._report(AudioDelta(response_id, rest))
