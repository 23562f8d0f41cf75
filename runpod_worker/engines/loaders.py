"""How each engine is made from the settings; its file is imported only here, when it is chosen."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import structlog

from kb.base import KnowledgeBase, open_warm
from kb.normal.analysis import guess_language
from kb.passage import UnknownCollection
from penny.errors import EngineError
from runpod_worker.commands import SPANISH_COMMANDS
from runpod_worker.hot_words import choose_hot_words
from runpod_worker.settings import WorkerSettings
from runpod_worker.stages import Llm, Stt, Tts, TurnDetector, Vad


if TYPE_CHECKING:
    from runpod_worker.engines.faster_whisper import FasterWhisper

log = structlog.get_logger()

READ_FOR_HOT_WORDS = 200
"""Questions whose passages are read for names; a search takes half a millisecond."""
HUNG_S = 1.5
"""A voice in another process that stands still so long is hung: the caller hears the other."""
COMPUTING_S = 3.0
"""One that computes a phrase whole, in this process, may take longer and cannot hang."""


class Loading:
    """What the loaders share: the settings, and the knowledge base opened once."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self._base: KnowledgeBase | None = None

    async def knowledge_base(self) -> KnowledgeBase:
        if self._base is None:
            library = self.settings.library
            settings = library.kb_settings(os.environ)
            self._base = await asyncio.to_thread(
                open_warm, settings, watch=library.watch, ref=library.default_ref
            )
        return self._base

    def close(self) -> None:
        if self._base is not None:
            self._base.close()


async def load_silero(loading: Loading) -> Vad:
    from runpod_worker.engines.silero import SileroVad

    gather_ms = loading.settings.engines.silero.batch_window_ms
    return await asyncio.to_thread(SileroVad, gather_ms=gather_ms)


async def load_ears(loading: Loading) -> Stt:
    from runpod_worker.engines.ears import EmbeddedEars
    from runpod_worker.engines.whisper_closed import open_closed_whisper

    base = await loading.knowledge_base()
    try:
        questions = base.questions(loading.settings.library.default_ref, "es")
    except UnknownCollection:  # an empty library still leaves the commands and English
        log.warning("kb_collection_missing", ref=loading.settings.library.default_ref)
        questions = []
    wishes = [each for each in loading.settings.phrases if guess_language(each, "es") == "es"]
    listed = [question.text for question in questions]
    phrases = list(dict.fromkeys([*listed, *SPANISH_COMMANDS, *wishes]))
    second_ear = await asyncio.to_thread(open_closed_whisper, loading.settings.models)
    children = loading.settings.engines.embedded.threads
    ears = EmbeddedEars(phrases, children=children, second_ear=second_ear)
    await ears.start()
    return ears


async def load_faster_whisper(loading: Loading) -> FasterWhisper:
    from runpod_worker.engines.faster_whisper import FasterWhisper, WhisperSettings

    chosen = loading.settings.engines.faster_whisper
    folder = loading.settings.models / chosen.model
    settings = WhisperSettings(
        model=str(folder if folder.is_dir() else chosen.model),
        device=chosen.device,
        compute_type=chosen.compute_type,
        cpu_threads=chosen.cpu_threads,
        window_s=chosen.window_s,
        languages=chosen.languages,
        beam_size=chosen.beam_size,
        temperatures=chosen.temperatures,
        log_prob=chosen.log_prob_threshold,
        no_speech=chosen.no_speech_threshold,
        compression_ratio=chosen.compression_ratio_threshold,
        hot_words=await _find_hot_words(loading, chosen.hot_words),
        batch_window_ms=chosen.batch_window_ms,
        max_batch=chosen.max_batch,
    )
    return await asyncio.to_thread(FasterWhisper, settings)


async def load_triton(loading: Loading) -> Stt:
    from runpod_worker.engines.triton_stt import TritonStt
    from runpod_worker.triton.inference import Thresholds

    local = await load_faster_whisper(loading)
    heard = local.settings
    return TritonStt(
        loading.settings.engines.triton,
        local,
        local,
        hot_words=heard.hot_words,
        thresholds=Thresholds(
            heard.temperatures, heard.log_prob, heard.no_speech, heard.compression_ratio
        ),
    )


async def load_openai_stt(loading: Loading) -> Stt:
    from runpod_worker.engines.openai_stt import OpenAiStt

    chosen = loading.settings.engines.openai_stt
    return OpenAiStt(chosen, hot_words=await _find_hot_words(loading, chosen.hot_words))


async def load_reader(loading: Loading) -> Llm:
    from runpod_worker.engines.reader import Reader

    library = loading.settings.library
    zone = ZoneInfo(library.timezone)
    base = await loading.knowledge_base()
    return Reader(base, library.default_ref, lambda: datetime.now(zone).date())


async def load_openai_llm(loading: Loading) -> Llm:
    from runpod_worker.engines.openai_llm import OpenAiLlm

    try:
        llm = OpenAiLlm(loading.settings.engines.openai_compatible)
    except FileNotFoundError as error:
        raise EngineError(f"worker.engines.openai_compatible.{error}", stage="llm") from error
    await llm.calibrate()
    return llm


async def load_transformers(loading: Loading) -> Llm:
    from runpod_worker.engines.transformers_llm import TransformersLlm

    return await asyncio.to_thread(TransformersLlm, loading.settings.engines.transformers)


async def load_espeak(loading: Loading) -> Tts:
    from runpod_worker.engines.espeak import EspeakTts

    pool_size = loading.settings.engines.espeak.pool_size
    return await asyncio.to_thread(EspeakTts, pool_size=pool_size)


async def load_kokoro(loading: Loading) -> Tts:
    from runpod_worker.engines.kokoro import KokoroTts

    chosen = loading.settings.engines.kokoro
    folder = loading.settings.models / chosen.model
    if folder.is_dir():
        chosen = chosen.model_copy(update={"model": folder})
    kokoro = await asyncio.to_thread(KokoroTts, chosen)
    return await _stand_behind(kokoro, loading, COMPUTING_S)


async def load_xtts(loading: Loading) -> Tts:
    from runpod_worker.engines.xtts import XttsTts

    tts = XttsTts(loading.settings.engines.xtts)
    await tts.start()
    return await _stand_behind(tts, loading)


async def load_openai_tts(loading: Loading) -> Tts:
    from runpod_worker.engines.openai_tts import OpenAiTts

    return await _stand_behind(OpenAiTts(loading.settings.engines.openai_tts), loading)


async def load_no_turn(_loading: Loading) -> TurnDetector | None:
    return None


async def load_turn_where_present(loading: Loading) -> TurnDetector | None:
    from runpod_worker.engines.smart_turn import find_model

    try:
        find_model(loading.settings.engines.smart_turn.model, loading.settings.models)
    except FileNotFoundError:
        log.info("turn_model_missing", instead="silence alone ends a turn")
        return None
    return await load_smart_turn(loading)


async def load_smart_turn(loading: Loading) -> TurnDetector | None:
    from runpod_worker.engines.smart_turn import SmartTurn

    settings = loading.settings
    return await asyncio.to_thread(SmartTurn, settings.engines.smart_turn, settings.models)


async def _stand_behind(first: Tts, loading: Loading, limit_s: float = HUNG_S) -> Tts:
    """The embedded voice takes a phrase that the natural one cannot say in time."""
    from runpod_worker.engines.fallback_tts import FallbackTts

    return FallbackTts(first, await load_espeak(loading), limit_s=limit_s)


async def _find_hot_words(loading: Loading, limit: int) -> tuple[str, ...]:
    if not limit:
        return ()
    base = await loading.knowledge_base()
    ref = loading.settings.library.default_ref
    try:
        questions = [question.text for question in base.questions(ref, "es")]
        texts = await asyncio.to_thread(_answers, base, ref, questions[:READ_FOR_HOT_WORDS])
    except UnknownCollection:
        log.warning("kb_collection_missing", ref=ref)
        return ()
    return choose_hot_words([*questions, *texts], limit)


def _answers(base: KnowledgeBase, ref: str, questions: list[str]) -> list[str]:
    """The passages behind the questions: names that callers say stand in the answers, too."""
    found = {
        hit.passage.id: "\n".join((*hit.passage.heading, hit.passage.text))
        for question in questions
        for hit in base.search(ref, question, limit=1).hits
    }
    return list(found.values())
