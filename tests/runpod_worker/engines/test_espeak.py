from __future__ import annotations

import asyncio

import pytest

from penny.audio.level import rms_dbfs
from penny.errors import EngineError
from runpod_worker.engines.espeak import EspeakTts
from runpod_worker.engines.espeak_library import EspeakLibrary
from runpod_worker.engines.espeak_voices import VARIANTS, choose_voice
from runpod_worker.stages import TTS_RATE_HZ, Voice


pytestmark = pytest.mark.engines
SENTENCE = "Claro que sí, ahora mismo le paso con una persona del equipo"


async def say(tts: EspeakTts, text: str, voice: Voice) -> bytes:
    return b"".join([chunk async for chunk in tts.synthesize(text, voice)])


async def test_a_sentence_becomes_audible_speech_of_a_plausible_length() -> None:
    tts = EspeakTts(pool_size=1)

    pcm = await say(tts, SENTENCE, Voice())

    assert 3.0 < len(pcm) / 2 / TTS_RATE_HZ < 5.0
    assert rms_dbfs(pcm) > -30
    await tts.aclose()


async def test_what_is_written_sounds_as_what_is_said() -> None:
    tts = EspeakTts(pool_size=1)

    said = await say(tts, "Son veintiún euros", Voice())

    # Its samples carry noise that differs from call to call; the timing does not.
    assert len(await say(tts, "Son 21 €", Voice())) == len(said)
    assert len(await say(tts, "Son euros", Voice())) < len(said)
    await tts.aclose()


async def test_speed_shortens_speech_and_voices_differ() -> None:
    tts = EspeakTts(pool_size=2)

    normal = await say(tts, SENTENCE, Voice(name="alloy"))
    fast = await say(tts, SENTENCE, Voice(name="alloy", speed=1.5))
    other = await say(tts, SENTENCE, Voice(name="ash"))

    assert len(fast) < 0.8 * len(normal)
    assert other[: len(normal)] != normal[: len(other)]
    await tts.aclose()


async def test_closing_the_iterator_stops_the_library_and_frees_it() -> None:
    tts = EspeakTts(pool_size=1)
    stream = tts.synthesize(SENTENCE * 200, Voice())

    first = await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]

    assert first
    # The one library of the pool is free at once, though most of the text was never spoken.
    assert await asyncio.wait_for(say(tts, "Hola", Voice()), 60)
    await tts.aclose()


async def test_many_phrases_at_once_all_come_out_whole() -> None:
    tts = EspeakTts(pool_size=2)

    spoken = await asyncio.gather(*(say(tts, "Buenos días", Voice()) for _ in range(12)))

    lengths = [len(pcm) for pcm in spoken]
    assert max(lengths) - min(lengths) < TTS_RATE_HZ * 2 // 50
    await tts.aclose()


async def test_nothing_to_say_gives_no_audio_and_a_closed_engine_says_so() -> None:
    tts = EspeakTts(pool_size=1)
    assert await say(tts, "  ", Voice()) == b""

    await tts.aclose()

    with pytest.raises(EngineError, match="closed"):
        await say(tts, "hola", Voice())


def test_every_voice_name_exists_in_the_library_in_both_languages() -> None:
    library = EspeakLibrary()
    for language in ("es", "es-ES", "en", "en-GB"):
        for name in VARIANTS:
            chosen = choose_voice(language, name, 1.0)
            heard = bytearray()

            def keep(pcm: bytes, heard: bytearray = heard) -> bool:
                heard.extend(pcm)
                return True

            library.speak(
                "no", voice=chosen.voice, rate_wpm=chosen.rate_wpm, pitch=chosen.pitch, sink=keep
            )
            assert heard, (language, name)


def test_an_unknown_voice_of_the_library_is_named() -> None:
    library = EspeakLibrary()

    with pytest.raises(EngineError, match="xx-none"):
        library.speak("a", voice="xx-none", rate_wpm=160, pitch=50, sink=lambda _: True)


def test_a_failing_sink_reaches_the_caller() -> None:
    def fail(pcm: bytes) -> bool:
        raise RuntimeError("sink")

    with pytest.raises(RuntimeError, match="sink"):
        EspeakLibrary().speak("hola", voice="es", rate_wpm=160, pitch=50, sink=fail)


def test_unknown_names_and_languages_fall_to_the_defaults() -> None:
    assert choose_voice("fr", "nobody", 1.0) == choose_voice("es", "marin", 1.0)
