"""The sentences of waiting and their recordings."""

from __future__ import annotations

from pathlib import Path

import pytest

from modes.self_hosted.waiting.sentences import SENTENCES, Recordings
from penny.audio.wav import write_wav


pytestmark = pytest.mark.pure


@pytest.mark.parametrize("language", sorted(SENTENCES))
def test_every_sentence_has_its_recording_and_none_is_long(language: str) -> None:
    for name in SENTENCES[language]:
        recording = Recordings().find(language, name)
        assert recording.text == SENTENCES[language][name]
        assert 1 < recording.seconds < 8, name


def test_an_unknown_language_is_spoken_to_in_spanish() -> None:
    assert Recordings().find("fr-FR", "preparing").text == SENTENCES["es"]["preparing"]


def test_an_operators_own_recording_comes_first(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    write_wav(tmp_path / "en/sorry.wav", b"\x01\x00" * 24_000, 24_000)
    own = Recordings(tmp_path)
    assert own.find("en-GB", "sorry").seconds == pytest.approx(1.0)
    assert own.find("en", "moved") == Recordings().find("en", "moved")


def test_a_file_that_is_no_sound_leaves_the_words(tmp_path: Path) -> None:
    (tmp_path / "es").mkdir()
    (tmp_path / "es/sorry.wav").write_bytes(b"no sound")
    recording = Recordings(tmp_path).find("es", "sorry")
    assert (recording.text, recording.pcm24k) == (SENTENCES["es"]["sorry"], b"")
