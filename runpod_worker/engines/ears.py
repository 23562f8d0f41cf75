"""The embedded ears: free English, and in Spanish the phrases that the knowledge base expects.

Both languages are tried at once. A Spanish phrase is believed when the grammar explains the sound
about as well as free phones do, or when the small Whisper hears the same; else English words are,
when they look like English; else the caller was not understood, and is told so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from penny.errors import EngineError
from penny.realtime.usage import estimate_tokens
from runpod_worker.engines.spanish_phones import is_pronounceable
from runpod_worker.engines.sphinx import SphinxPool, SphinxUtterance
from runpod_worker.engines.sphinx_judgement import (
    ENGLISH_GIVEN,
    ENGLISH_SURE,
    Heard,
    PhraseBook,
    rate_english,
    time_words,
)
from runpod_worker.stages import EngineInfo, Stt, SttOptions, Transcript, Utterance


log = structlog.get_logger()

NOTICE = {
    "es": "Los oídos incluidos entienden inglés libre y, en español, solo las preguntas de la "
    "base de conocimiento y unas órdenes; el español libre lo entiende el perfil natural. "
    "Escribir funciona en ambos idiomas.",
    "en": "The built-in ears understand free English and, in Spanish, only the knowledge base's "
    "own questions and a few commands; profile natural understands free Spanish. Typing works "
    "in both.",
}
_LANGUAGES = ("es", "en")


class EmbeddedEars:
    """Stt for a closed set of phrases, on PocketSphinx, without weights of its own.

    Stt. ``start`` loads the decoders; ``phrases`` are written as transcripts shall have them.
    ``second_ear`` hears every utterance that may be Spanish.
    """

    def __init__(
        self, phrases: Sequence[str], *, children: int = 2, second_ear: Stt | None = None
    ) -> None:
        self.info = EngineInfo(
            name="pocketsphinx", languages=_LANGUAGES, notice=NOTICE, closed_set=("es",)
        )
        known = [phrase for phrase in phrases if is_pronounceable(phrase)]
        if len(known) < len(phrases):
            log.warning("phrases_not_pronounceable", count=len(phrases) - len(known))
        self._book = PhraseBook(known)
        self._pool = SphinxPool(known, size=children)
        self._second_ear = second_ear

    async def start(self) -> None:
        """Raises EngineError if pocketsphinx does not come up."""
        try:
            await self._pool.start()
        except BaseException:
            await self._pool.aclose()
            raise

    def begin(self, options: SttOptions) -> EarsUtterance:
        """Raises EngineError when closed."""
        wanted = (options.language or "").lower()[:2]
        language = wanted if wanted in _LANGUAGES else "auto"
        hearing = None
        if self._second_ear is not None and language != "en":
            hearing = self._second_ear.begin(SttOptions(language="es"))
        return EarsUtterance(self._book, self._pool.begin(language), hearing, language)

    def count_tokens(self, text: str) -> int:
        return estimate_tokens(text)

    async def aclose(self) -> None:
        await self._pool.aclose()
        if self._second_ear is not None:
            await self._second_ear.aclose()


class EarsUtterance:
    """Utterance of EmbeddedEars.

    Utterance. Decoding starts at each pause, so the words are mostly there at the end.
    """

    def __init__(
        self,
        book: PhraseBook,
        sphinx: SphinxUtterance,
        hearing: Utterance | None,
        language: str,
    ) -> None:
        self._book = book
        self._sphinx = sphinx
        self._hearing = hearing
        self._both = (sphinx,) if hearing is None else (sphinx, hearing)
        self._language = language

    def feed(self, pcm: bytes) -> None:
        for each in self._both:
            each.feed(pcm)

    def pause(self) -> None:
        for each in self._both:
            each.pause()

    def resume(self) -> None:
        for each in self._both:
            each.resume()

    def partial(self) -> str:
        """English as it comes when the session is English; else what the last pause told."""
        if self._sphinx.early is not None:
            transcript = self._decide(self._sphinx.early, None)
            return transcript.text if transcript.understood else ""
        return self._sphinx.partial

    async def finish(self) -> Transcript:
        """Raises EngineError if the decoder failed."""
        try:
            if self._hearing is None:
                return self._decide(await self._sphinx.finish(), None)
            heard, second = await asyncio.gather(self._sphinx.finish(), self._second())
            return self._decide(heard, second)
        finally:
            self.cancel()

    def cancel(self) -> None:
        for each in self._both:
            each.cancel()

    async def _second(self) -> str | None:
        """The second ear only ever confirms: without it the turn goes on."""
        assert self._hearing is not None
        try:
            return (await self._hearing.finish()).text
        except EngineError as error:
            log.warning("second_ear_failed", code=error.code)
            return None

    def _decide(self, heard: Heard, second: str | None) -> Transcript:
        if self._language != "en":
            phrase = self._book.accept(heard, second)
            if phrase is not None:
                timed = time_words(heard.spanish)
                return Transcript(phrase, "es", understood=True, words=timed)
        rating = rate_english(heard.english, heard.loop)
        least = ENGLISH_GIVEN if self._language == "en" else ENGLISH_SURE
        if self._language != "es" and rating >= least:
            timed = time_words(heard.english)
            return Transcript(heard.english.text, "en", understood=True, words=timed)
        guess = self._language if self._language != "auto" else "en" if rating > 0.5 else "es"
        return Transcript("", guess, understood=False)
