"""The sentences of waiting, recorded anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from modes.self_hosted.waiting.recordings import Recordings
from modes.self_hosted.waiting.sentences import SENTENCES
from penny.cli.fillers import record
from runpod_worker.settings import WorkerSettings


pytestmark = pytest.mark.engines


async def test_every_sentence_is_recorded_in_the_profiles_voice_and_comes_first(
    tmp_path: Path,
) -> None:
    seconds = await record(WorkerSettings(), tmp_path, "cedar")
    own, given = Recordings(tmp_path), Recordings()
    assert seconds > 30
    for language, sentences in SENTENCES.items():
        for name, text in sentences.items():
            recording = own.find(language, name)
            assert recording.text == text
            assert len(recording.pcm24k) > 24_000
            assert recording.pcm24k != given.find(language, name).pcm24k


def test_a_file_that_is_no_sound_leaves_the_words(tmp_path: Path) -> None:
    (tmp_path / "es").mkdir()
    (tmp_path / "es/soon.wav").write_bytes(b"no sound")
    recording = Recordings(tmp_path).find("es", "soon")
    assert (recording.text, recording.pcm24k) == (SENTENCES["es"]["soon"], b"")
