"""Which sentence a waiting caller hears when, and when Penny is silent."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import pytest

from modes.self_hosted.waiting.company import LEAD_S, Company, CompanySettings
from modes.self_hosted.waiting.recordings import Recordings
from modes.self_hosted.waiting.sentences import SENTENCES, Sentence
from penny.audio.format import PCM24K
from tests.doubles.speech import silence, speak


Json = dict[str, Any]

PCM = {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 24000}},
                 "output": {"format": {"type": "audio/pcm", "rate": 24000}}}}  # fmt: skip
QUESTION = speak("¿Cuándo vence mi factura?")


class Wait:
    """A wait on a clock of its own: 20 ms at a time, with whatever the caller says."""

    def __init__(self, session: Json | None = None, language: str = "es", **settings: Any) -> None:
        self.company = Company(
            CompanySettings(**settings), Recordings(), language, session or PCM, 0.0
        )
        self.now_s = 0.0
        self.events: list[tuple[float, Json]] = []

    def pass_time(self, seconds: float, pcm: bytes = b"") -> None:
        until_s = self.now_s + seconds
        step = PCM24K.bytes_of(20)
        while self.now_s < until_s - 1e-6:
            chunk, pcm = pcm[:step] or silence(20), pcm[step:]
            append = {"audio": b64encode(chunk).decode()}
            self.company.hear(append, self.now_s)
            self.note(self.company.due(self.now_s))
            self.now_s += 0.02

    def note(self, events: list[Json]) -> None:
        self.events += [(round(self.now_s, 2), event) for event in events]

    def said(self) -> list[tuple[float, str]]:
        """When each sentence began, and which it was."""
        texts = {text: name for name, text in SENTENCES["es"].items()}
        return [
            (at_s, texts[event["delta"]])
            for at_s, event in self.events
            if event["type"] == "response.output_audio_transcript.delta"
        ]

    def ends(self) -> list[str]:
        return [e["response"]["status"] for _, e in self.events if e["type"] == "response.done"]

    def audio(self) -> bytes:
        kind = "response.output_audio.delta"
        return b"".join(b64decode(e["delta"]) for _, e in self.events if e["type"] == kind)


def test_the_first_sentence_comes_at_once_and_silences_grow_between_the_next() -> None:
    wait = Wait(every_s=10.0)
    wait.pass_time(100)
    began = [at_s for at_s, _ in wait.said()]
    assert began[0] == 0.0
    gaps = [later - earlier for earlier, later in zip(began, began[1:], strict=False)]
    assert 12 <= gaps[0] <= 14.5  # its own three seconds, then ten of silence
    assert gaps == sorted(gaps)
    assert gaps[-1] <= 35
    assert set(wait.ends()) == {"completed"}


@pytest.mark.parametrize(
    ("eta_ms", "sentence"),
    [
        (8_000 + 20_000, "soon"),
        (40_000 + 20_000, "under_a_minute"),
        (100_000 + 20_000, "over_a_minute"),
        (None, "patience"),
        (5_000, "patience"),  # past its time by then: nobody knows any more
    ],
)
def test_what_is_said_is_true_of_the_estimate(eta_ms: int | None, sentence: Sentence) -> None:
    wait = Wait(every_s=10.0)
    wait.company.note_progress("loading_models", eta_ms, 0.0)
    wait.pass_time(20)
    assert [name for _, name in wait.said()] == ["preparing", sentence]


def test_a_caller_waits_knowingly_where_no_machine_is_free() -> None:
    wait = Wait(every_s=10.0)
    wait.company.note_progress("no_machine_free", None, 0.0)
    wait.pass_time(45)
    assert [name for _, name in wait.said()] == ["preparing", "no_machine", "patience"]


def test_no_sentence_sounds_over_the_caller_and_their_words_are_acknowledged_once() -> None:
    wait = Wait(every_s=10.0)
    wait.pass_time(6)
    wait.pass_time(5, QUESTION)  # two seconds of speech, then silence
    began = wait.said()
    assert [name for _, name in began] == ["preparing", "heard"]
    spoke_until_s = 6 + PCM24K.ms_of(len(QUESTION)) / 1000
    assert spoke_until_s < began[1][0] < spoke_until_s + 2.0
    wait.pass_time(10)
    assert [name for _, name in wait.said()].count("heard") == 1


def test_a_sentence_stops_when_the_caller_begins_to_speak() -> None:
    wait = Wait()
    wait.pass_time(1.0)
    wait.pass_time(1.5, QUESTION)
    assert wait.ends() == ["cancelled"]
    sent_ms = PCM24K.ms_of(len(wait.audio()))
    assert sent_ms <= 1000 + 300 + LEAD_S * 1000


def test_a_caller_whose_stream_stops_in_mid_word_is_not_waited_for() -> None:
    wait = Wait(every_s=10.0)
    wait.pass_time(5)
    wait.pass_time(0.8, QUESTION)
    for _ in range(100):
        wait.now_s += 0.1
        wait.note(wait.company.due(wait.now_s))
    assert [name for _, name in wait.said()][:2] == ["preparing", "heard"]


def test_the_worker_that_comes_lets_the_sentence_end_at_once() -> None:
    wait = Wait()
    wait.pass_time(0.5)
    wait.note(wait.company.finish(wait.now_s))
    whole = Recordings().find("es", "preparing").pcm24k
    assert abs(len(wait.audio()) - len(whole)) <= PCM24K.bytes_of(10)
    assert wait.ends() == ["completed"]
    assert wait.company.finish(wait.now_s) == []


def test_what_has_to_be_known_is_said_to_its_end_whoever_speaks() -> None:
    wait = Wait()
    wait.note(wait.company.say("moved", 0.0))
    wait.pass_time(8, QUESTION * 3)
    assert wait.ends()[0] == "completed"
    assert wait.said()[0][1] == "moved"


def test_a_telephone_hears_the_sentence_in_its_own_format() -> None:
    session = {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}
    wait = Wait(session)
    wait.pass_time(5)
    expected_ms = PCM24K.ms_of(len(Recordings().find("es", "preparing").pcm24k))
    assert len(wait.audio()) / 8 == pytest.approx(expected_ms, abs=30)


def test_a_session_without_sound_reads_the_sentence() -> None:
    wait = Wait({**PCM, "output_modalities": ["text"]})
    wait.pass_time(1)
    kinds = [event["type"] for _, event in wait.events]
    assert kinds == [
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
    ]


def test_sentences_are_asides_that_no_conversation_holds() -> None:
    wait = Wait()
    wait.pass_time(4)
    created = next(e for _, e in wait.events if e["type"] == "response.created")
    assert created["response"]["conversation_id"] is None
    assert not any(e["type"].startswith("conversation.") for _, e in wait.events)


@pytest.mark.parametrize("language", sorted(SENTENCES))
def test_every_sentence_has_its_recording_and_none_is_long(language: str) -> None:
    for name in SENTENCES[language]:
        recording = Recordings().find(language, name)
        assert 1_000 < PCM24K.ms_of(len(recording.pcm24k)) < 8_000, name


def test_an_unknown_language_is_spoken_to_in_spanish() -> None:
    wait = Wait(language="fr-FR")
    wait.pass_time(1)
    assert wait.said() == [(0.0, "preparing")]
