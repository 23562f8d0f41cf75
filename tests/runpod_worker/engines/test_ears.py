from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from penny.errors import EngineError
from runpod_worker.engines.ears import EmbeddedEars
from runpod_worker.stages import SttOptions, Transcript, Voice
from tests.runpod_worker.engines.speech import speak


pytestmark = pytest.mark.engines
PHRASES = (
    "qué formas de pago aceptan",
    "cómo cambio mi número de cuenta",
    "se puede abonar con tarjeta",
    "quiero cambiar de tarifa",
    "hola",
    "adiós",
)


@pytest.fixture
async def ears() -> AsyncIterator[EmbeddedEars]:
    ears = EmbeddedEars(PHRASES, children=1)
    await ears.start()
    yield ears
    await ears.aclose()


async def hear(ears: EmbeddedEars, pcm: bytes, language: str | None = None) -> Transcript:
    utterance = ears.begin(SttOptions(language=language))
    for start in range(0, len(pcm), 640):
        utterance.feed(pcm[start : start + 640])
    utterance.pause()
    return await utterance.finish()


async def test_ears_hear_their_phrases_refuse_others_and_stay_usable(ears: EmbeddedEars) -> None:
    for phrase in PHRASES[:4]:
        heard = await hear(ears, await speak(phrase, Voice(name="coral")))
        assert (heard.text, heard.language, heard.understood) == (phrase, "es", True)

    other = await speak("los alumnos salieron al patio del colegio", Voice(name="coral"))
    refused = await hear(ears, other, "es")
    assert (refused.text, refused.understood) == ("", False)

    abandoned = ears.begin(SttOptions())
    abandoned.feed(other)
    abandoned.pause()
    abandoned.cancel()

    resumed = ears.begin(SttOptions(language="es"))
    resumed.feed(await speak("hola", Voice(name="coral")))
    resumed.pause()
    resumed.resume()
    resumed.cancel()
    again = await hear(ears, await speak(PHRASES[3], Voice(name="coral")), "es")
    assert again.text == PHRASES[3]


async def test_silence_is_not_understood(ears: EmbeddedEars) -> None:
    heard = await hear(ears, bytes(32_000), "es")

    assert not heard.understood


async def test_english_is_free_when_the_session_is_english(ears: EmbeddedEars) -> None:
    heard = await hear(ears, await speak("hello world", Voice(language="en", name="ash")), "en")

    assert heard.language == "en"
    assert heard.text


async def test_closed_ears_say_so(ears: EmbeddedEars) -> None:
    await ears.aclose()

    with pytest.raises(EngineError, match="closed"):
        ears.begin(SttOptions())
