"""Transcripts in OpenAI's formats."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.audio import TranscriptionVerbose
from pydantic import ValidationError

from penny.gateway.audio_forms import Heard, SpeechWish, TranscriptionWish, cut_text, tell


pytestmark = pytest.mark.pure

WORDS = ({"text": "Hola,", "start_ms": 100, "end_ms": 400, "confidence": None},)
HEARD = [
    Heard("Hola, buenas.", 0.0, 2500.0, "es", 0.5, WORDS),
    Heard("", 2500.0, 3000.0),
    Heard("Adiós.", 3_603_000.0, 3_604_040.4, "es"),
]


def told(**wish: Any) -> Any:
    return tell(HEARD, TranscriptionWish(**wish))


def test_plain_forms() -> None:
    assert told() == {
        "text": "Hola, buenas. Adiós.",
        "usage": {"type": "duration", "seconds": 3605},
    }
    assert told(response_format="text") == "Hola, buenas. Adiós.\n"
    assert tell([], TranscriptionWish())["text"] == ""


def test_subtitles_skip_what_has_no_words() -> None:
    assert told(response_format="srt") == (
        "1\n00:00:00,000 --> 00:00:02,500\nHola, buenas.\n\n"
        "2\n01:00:03,000 --> 01:00:04,040\nAdiós.\n"
    )
    assert told(response_format="vtt").startswith("WEBVTT\n\n00:00:00.000 --> 00:00:02.500\n")


def test_the_verbose_form_is_what_the_sdk_reads() -> None:
    grains = ["word", "segment"]
    verbose = told(response_format="verbose_json", timestamp_granularities=grains)
    read = TranscriptionVerbose.model_validate(verbose, strict=True)
    assert (read.language, read.duration) == ("es", 3604.0404)
    assert read.segments is not None
    assert [(each.start, each.end) for each in read.segments][2] == (3603.0, 3604.0404)
    assert read.segments[0].avg_logprob == pytest.approx(-0.693, abs=0.001)
    assert read.words is not None
    assert [(each.word, each.start, each.end) for each in read.words] == [("Hola,", 0.1, 0.4)]
    assert "words" not in told(response_format="verbose_json")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", "0.4"),
        ("response_format", "diarized_json"),
        ("include", ["logprobs"]),
        ("timestamp_granularities", ["letter"]),
    ],
)
def test_what_these_ears_cannot_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        TranscriptionWish.model_validate({"model": "whisper-1", field: value})


def test_a_voice_is_a_name_or_an_object_with_an_id() -> None:
    assert SpeechWish(input="a", voice={"id": "voice_1"}).voice == "voice_1"  # type: ignore[arg-type]
    assert SpeechWish(input="a", voice="coral").voice == "coral"


def test_a_text_is_cut_behind_sentences_then_words_then_anywhere() -> None:
    assert cut_text("  Hola. ", 50) == ["Hola."]
    assert cut_text("Uno dos. Tres? Cuatro cinco", 16) == ["Uno dos. Tres?", "Cuatro cinco"]
    assert cut_text("uno dos tres", 9) == ["uno dos", "tres"]
    assert cut_text("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]
