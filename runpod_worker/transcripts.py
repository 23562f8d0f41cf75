"""The caller's words of one connection: each utterance finished, reported and remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import structlog

from penny.correction.phantoms import is_phantom
from penny.errors import EngineError
from penny.realtime.commands import TranscriptDelta, TranscriptDone, TranscriptFailed
from runpod_worker.stages import Stt, Transcript, Utterance, has_words


log = structlog.get_logger()

FLIP_MS = 1_500
"""Audio of a turn from which a change of language is believed: a second of speech, with what is
kept before it."""
FLIP_PROBABILITY = 0.7
REMEMBERED = 64
"""Finished transcripts whose language and trust are kept for answers that come late."""

_FAULT = EngineError("the stt stage had a fault", stage="stt", code="engine_failed")


class Transcripts:
    """Finishes utterances; an answer waits here for the words it answers to.

    Args:
        limit_s: how long one utterance may take to finish.
        report: takes exactly one TranscriptDone (after its delta) or TranscriptFailed per item.
        announce: tells a finished transcript's ``penny.transcript`` (item id, transcript).
        spawn: starts a named task that the connection owns.
        language: the one spoken so far.
    """

    def __init__(
        self,
        stt: Stt,
        limit_s: float,
        *,
        report: Callable[[TranscriptDelta | TranscriptDone | TranscriptFailed], None],
        announce: Callable[[str, Transcript], None],
        spawn: Callable[..., object],
        language: Callable[[], str] = str,
    ) -> None:
        self._stt = stt
        self._limit_s = limit_s
        self._report = report
        self._announce = announce
        self._spawn = spawn
        self._language = language
        self._coming: dict[str, asyncio.Future[None]] = {}
        self._known: dict[str, tuple[Transcript, EngineError | None]] = {}

    def expect(self, item_id: str) -> None:
        """From now on ``wait`` waits for this item."""
        self._coming[item_id] = asyncio.get_running_loop().create_future()

    def finish(self, item_id: str, utterance: Utterance, audio_ms: int) -> None:
        """Finish an expected utterance in a task of its own."""
        self._spawn(self._finish(item_id, utterance, audio_ms), name=f"transcript {item_id}")

    def note_silence(self, item_id: str) -> None:
        """The item is the silence of a caller who said nothing: understood, without any words."""
        nothing = Transcript("", "", understood=True)
        self._announce(item_id, nothing)
        self._report(TranscriptDone(item_id, "", 0))
        self._remember(item_id, nothing)

    async def wait(self, item_ids: tuple[str, ...]) -> None:
        """Wait until each of the items has its transcript or has failed."""
        for item_id in item_ids:
            coming = self._coming.get(item_id)
            if coming is not None:
                await asyncio.shield(coming)

    def find(self, item_id: str) -> Transcript | None:
        """A finished transcript that is still remembered."""
        known = self._known.get(item_id)
        return known[0] if known else None

    def find_failure(self, item_id: str) -> EngineError | None:
        """Why a remembered item has no transcript; None where it has one."""
        known = self._known.get(item_id)
        return known[1] if known else None

    async def _finish(self, item_id: str, utterance: Utterance, audio_ms: int) -> None:
        transcript = Transcript("", "", understood=False)
        failure: EngineError | None = None
        try:
            transcript = self._settle(await self._read(utterance), audio_ms)
            self._announce(item_id, transcript)
            if transcript.text:
                # Engines that hear whole utterances have one increment: all of it.
                self._report(TranscriptDelta(item_id, transcript.text))
            tokens = self._stt.count_tokens(transcript.text)
            self._report(
                TranscriptDone(item_id, transcript.text, audio_ms, tokens, transcript.language)
            )
        except EngineError as error:
            failure = error
            log.exception("transcription_failed", code=error.code)
            self._report(TranscriptFailed(item_id, error.code, error.told))
        except Exception:
            failure = _FAULT
            # The fault is the owner's to log; the caller's turn must not wait for ever.
            self._report(TranscriptFailed(item_id, _FAULT.code, _FAULT.told))
            raise
        finally:
            self._remember(item_id, transcript, failure)

    def _settle(self, transcript: Transcript, audio_ms: int) -> Transcript:
        """The transcript in the language spoken so far, unless enough speech tells another;
        marks without a word, and what recognisers write of silence, are nothing heard."""
        is_phantom_heard = is_phantom(transcript.text)
        if is_phantom_heard:
            log.warning("phantom_words_dropped", engine=self._stt.info.name)
        if is_phantom_heard or not has_words(transcript.text):
            transcript = replace(transcript, text="", understood=False)
        spoken, sure = self._language(), transcript.language_probability
        is_told = sure is None or (audio_ms >= FLIP_MS and sure >= FLIP_PROBABILITY)
        if is_told or not spoken or transcript.language[:2] == spoken[:2]:
            return transcript
        return replace(transcript, language=spoken)

    async def _read(self, utterance: Utterance) -> Transcript:
        try:
            async with asyncio.timeout(self._limit_s):
                return await utterance.finish()
        except TimeoutError:
            utterance.cancel()
            raise EngineError(
                f"the stt stage took longer than {self._limit_s:.1f} s",
                stage="stt",
                code="stt_timeout",
            ) from None

    def _remember(
        self, item_id: str, transcript: Transcript, failure: EngineError | None = None
    ) -> None:
        self._known[item_id] = transcript, failure
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]
        coming = self._coming.pop(item_id, None)
        if coming is not None and not coming.done():
            coming.set_result(None)
