from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from penny.errors import EngineError
from runpod_worker.engines.faster_whisper import FasterWhisper, WhisperSettings
from runpod_worker.engines.whisper_closed import ARCHIVE, load, open_closed_whisper, unpack
from runpod_worker.stages import SttOptions, Voice
from tests.runpod_worker.engines.speech import speak


pytestmark = pytest.mark.engines
PHRASE = "qué formas de pago aceptan"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(ARCHIVE, tmp_path_factory.mktemp("models"))


async def test_small_whisper_hears_its_phrase_and_leaves_silence_empty(folder: Path) -> None:
    whisper = load(folder)
    hearing = whisper.begin(SttOptions())
    hearing.feed(await speak(PHRASE, Voice(name="coral")))
    hearing.pause()
    assert (await hearing.finish()).text == PHRASE

    silent = whisper.begin(SttOptions())
    silent.feed(bytes(32_000))
    assert (await silent.finish()).text == ""
    await whisper.aclose()


async def test_speculation_is_thrown_away_when_the_caller_goes_on(folder: Path) -> None:
    whisper = FasterWhisper(
        WhisperSettings(str(folder), device="cpu", compute_type="int8", beam_size=1, log_prob=-2.0)
    )
    first, second = (
        await speak("hola", Voice(name="coral")),
        await speak(PHRASE, Voice(name="coral")),
    )

    utterance = whisper.begin(SttOptions(language="es"))
    utterance.feed(first)
    utterance.pause()
    utterance.resume()
    utterance.cancel()
    utterance.feed(second)
    utterance.pause()
    transcript = await utterance.finish()

    assert transcript.text == PHRASE
    assert transcript.language == "es"
    assert transcript.understood
    assert 0 < (transcript.confidence or 0) <= 1
    assert whisper.count_tokens("hola") >= 1
    await whisper.aclose()
    with pytest.raises(EngineError, match="closed"):
        await whisper.begin(SttOptions()).finish()


def test_a_python_without_extraction_filters_unpacks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Debian 12 has Python 3.11.2, and filters came with 3.11.4.
    extract = tarfile.TarFile.extractall
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    monkeypatch.setattr(
        tarfile.TarFile, "extractall", lambda packed, folder: extract(packed, folder)
    )

    assert (unpack(ARCHIVE, tmp_path) / "model.bin").is_file()


def test_unpacking_twice_gives_the_same_folder_and_leaves_nothing_beside(tmp_path: Path) -> None:
    first = unpack(ARCHIVE, tmp_path)

    assert unpack(ARCHIVE, tmp_path) == first
    assert [path.name for path in tmp_path.iterdir()] == [first.name]


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    archive = tmp_path / ARCHIVE.name
    archive.write_bytes(b"no archive")
    shutil.copy(f"{ARCHIVE}.sha256", f"{archive}.sha256")

    with pytest.raises(EngineError, match="damaged"):
        unpack(archive, tmp_path / "models")


def test_without_an_archive_there_is_no_second_ear(tmp_path: Path) -> None:
    assert open_closed_whisper(tmp_path, tmp_path / "none.tar.xz") is None


def test_a_folder_without_a_model_is_an_engine_error(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="does not load"):
        FasterWhisper(WhisperSettings(str(tmp_path), device="cpu"))
