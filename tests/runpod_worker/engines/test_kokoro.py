"""Kokoro's engine on a small checkpoint: real files, real runtime, no mind."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from penny.errors import EngineError
from runpod_worker.engines.espeak_library import EspeakLibrary
from runpod_worker.engines.kokoro import CHUNK_BYTES, KokoroTts
from runpod_worker.engines.loaders import Loading, load_kokoro
from runpod_worker.settings import EngineChoice, EngineSettings, KokoroSettings, WorkerSettings
from runpod_worker.stages import Voice
from tests.checkpoints.tiny_kokoro import SAMPLES_PER_TOKEN, write_checkpoint


pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> KokoroSettings:
    folder = tmp_path_factory.mktemp("weights") / "kokoro"
    write_checkpoint(folder)
    return KokoroSettings(model=folder, threads=1, cores=1, device="cpu")


async def speak(tts: KokoroTts, text: str, voice: Voice | None = None) -> np.ndarray:  # type: ignore[type-arg]
    pieces = [pcm async for pcm in tts.synthesize(text, voice or Voice("es"))]
    assert all(len(piece) <= CHUNK_BYTES for piece in pieces)
    return np.frombuffer(b"".join(pieces), "<i2")


async def test_a_phrase_becomes_sound_of_its_own_length(settings: KokoroSettings) -> None:
    tts = KokoroTts(settings)
    short = await speak(tts, "Hola.")
    long = await speak(tts, "Su factura vence el quince de enero, a las tres.")
    assert len(short) % SAMPLES_PER_TOKEN == 0
    assert len(long) > 4 * len(short) > 0
    assert (await speak(tts, " ")).size == 0
    await tts.aclose()


async def test_what_is_written_sounds_as_what_is_said(settings: KokoroSettings) -> None:
    tts = KokoroTts(settings)
    said = await speak(tts, "Son veintiún euros.")
    assert np.array_equal(await speak(tts, "Son 21 €."), said)
    assert len(said) > len(await speak(tts, "Son euros."))
    await tts.aclose()


async def test_voice_language_and_speed_reach_the_model(settings: KokoroSettings) -> None:
    tts = KokoroTts(settings)
    assert set(tts.voices()) == {"ef_dora", "em_alex", "af_heart"}

    async def loudness(voice: Voice) -> float:
        return float(np.abs(await speak(tts, "Hola", voice)).max()) / 32767

    assert await loudness(Voice("es")) == pytest.approx(0.25, abs=0.01)
    assert await loudness(Voice("es", "em_alex")) == pytest.approx(0.5, abs=0.01)
    assert await loudness(Voice("es", "nobody")) == pytest.approx(0.25, abs=0.01)
    assert await loudness(Voice("en")) == pytest.approx(0.75, abs=0.01)
    assert await loudness(Voice("es", "em_alex", 2.0)) == pytest.approx(0.25, abs=0.01)
    await tts.aclose()


async def test_a_text_longer_than_the_model_takes_is_spoken_in_parts(
    settings: KokoroSettings,
) -> None:
    tts = KokoroTts(settings)
    sentence = "Su factura de enero vence el día quince del mes que viene. "
    whole = await speak(tts, sentence * 30)
    assert len(whole) > 25 * len(await speak(tts, sentence)) * 0.9
    await tts.aclose()


async def test_who_stops_listening_stops_the_voice_and_a_closed_one_says_so(
    settings: KokoroSettings,
) -> None:
    tts = KokoroTts(settings)
    async with aclosing(tts.synthesize("Uno. Dos. Tres.", Voice("es"))) as stream:
        await anext(stream)
    assert (await speak(tts, "Hola")).size > 0
    await tts.aclose()
    with pytest.raises(EngineError):
        await speak(tts, "Hola")


def test_missing_weights_name_the_command_that_brings_them(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="penny models pull kokoro"):
        KokoroTts(KokoroSettings(model=tmp_path))


async def test_the_registry_loads_it_with_the_embedded_voice_behind(
    settings: KokoroSettings,
) -> None:
    chosen = WorkerSettings(
        choice=EngineChoice(tts="kokoro"), engines=EngineSettings(kokoro=settings)
    )
    tts = await load_kokoro(Loading(chosen))
    pcm = b"".join([piece async for piece in tts.synthesize("Hola.", Voice("es"))])
    assert len(pcm) // 2 % SAMPLES_PER_TOKEN == 0
    await tts.aclose()


def test_phonemes_come_clause_by_clause_with_their_marks() -> None:
    clauses = EspeakLibrary().phonemes("¿Cuándo vence? El quince, creo.", "es-419")
    assert [clause.rstrip()[-1] for clause in clauses] == ["?", ",", "."]
    assert clauses[0].startswith("kwˈando")
