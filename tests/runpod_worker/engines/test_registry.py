from __future__ import annotations

from pathlib import Path

import pytest

from kb.settings import KbSection
from penny.errors import EngineError
from runpod_worker.engines.registry import load_engines
from runpod_worker.settings import EngineChoice, WorkerSettings
from runpod_worker.stages import SttOptions, Voice
from tests.runpod_worker.engines.speech import speak


pytestmark = pytest.mark.engines


async def test_embedded_profile_loads_and_hears_a_question_of_the_kb(tmp_path: Path) -> None:
    settings = WorkerSettings(
        library=KbSection(index=tmp_path / "index", embedding="none"), models=tmp_path / "models"
    )
    engines = await load_engines(settings)

    utterance = engines.stt.begin(SttOptions())
    utterance.feed(await speak("cómo cambio mi número de cuenta", Voice(name="coral")))
    utterance.pause()
    transcript = await utterance.finish()

    assert (transcript.text, transcript.language) == ("cómo cambio mi número de cuenta", "es")
    assert engines.stt.info.closed_set
    assert "natural" in engines.stt.info.notice["es"]
    await engines.aclose()


async def test_a_voice_whose_licence_was_not_accepted_names_the_key_and_the_others(
    tmp_path: Path,
) -> None:
    settings = WorkerSettings(
        choice=EngineChoice(tts="xtts"),
        library=KbSection(index=tmp_path / "index", embedding="none"),
        models=tmp_path / "models",
    )
    with pytest.raises(EngineError, match="accept_license.*espeak"):
        await load_engines(settings)
