"""faster-whisper itself, with the small Whisper that comes with the sources."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from penny.errors import EngineError
from runpod_worker.engines.faster_whisper import FasterWhisper, WhisperSettings
from runpod_worker.engines.whisper_closed import ARCHIVE, unpack
from runpod_worker.engines.whisper_decoder import Passage, fill_window
from runpod_worker.stages import SttOptions, Voice
from tests.runpod_worker.engines.speech import speak


pytestmark = pytest.mark.engines

PHRASES = (
    "quiero hablar con una persona",
    "he olvidado la contraseña",
    "cuál es el horario de atención",
    "no sale agua del grifo",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(ARCHIVE, tmp_path_factory.mktemp("models"))


def load(folder: Path, **settings: object) -> FasterWhisper:
    chosen = {"model": str(folder), "device": "cpu", "compute_type": "int8", **settings}
    return FasterWhisper(WhisperSettings(**chosen))  # type: ignore[arg-type]


async def test_callers_of_the_same_moment_are_heard_in_one_run_as_each_alone(folder: Path) -> None:
    whisper = load(folder, batch_window_ms=1000)
    spoken = [await speak(phrase, Voice()) for phrase in PHRASES]
    options = SttOptions(language="es")
    alone = [await whisper.transcribe(pcm, options) for pcm in spoken]
    for _ in spoken:
        whisper.batch.enter()
    together = await asyncio.gather(*(whisper.transcribe(pcm, options) for pcm in spoken))
    await whisper.aclose()

    assert whisper.batch.batches == {1: 4, 4: 1}
    assert [transcript.text for transcript in together] == list(PHRASES)
    assert [transcript.text for transcript in alone] == list(PHRASES)
    for one, other in zip(alone, together, strict=True):
        assert other.understood
        assert other.confidence == pytest.approx(one.confidence, abs=0.02)


async def test_a_turn_that_ends_at_its_pause_is_not_decoded_again(folder: Path) -> None:
    whisper = load(folder)
    pcm = await speak(PHRASES[0], Voice())
    utterance = whisper.begin(SttOptions(language="es"))
    utterance.feed(pcm)
    utterance.pause()
    utterance.feed(bytes(16_000))
    transcript = await utterance.finish()
    await whisper.aclose()

    assert transcript.text == PHRASES[0]
    assert whisper.batch.batches == {1: 1}


async def test_the_rest_of_a_window_is_silent_audio_as_whisper_hears_it() -> None:
    speech = np.frombuffer(await speak(PHRASES[0], Voice()), "<i2").astype(np.float32) / 32768
    extract, frames = FeatureExtractor(), 1500
    filled = fill_window(extract(speech), frames)
    whole = extract(np.pad(speech, (0, frames * 160 - len(speech))))[:, :frames]
    speech_frames = len(speech) // 160 + 3
    np.testing.assert_allclose(filled[:, speech_frames:], whole[:, speech_frames:], atol=1e-4)


async def test_each_caller_keeps_language_and_silence_apart(folder: Path) -> None:
    whisper = load(folder)
    decoder = whisper._decoder
    speech = np.frombuffer(await speak(PHRASES[1], Voice()), "<i2").astype(np.float32) / 32768
    silence = np.zeros(32_000, np.float32)
    known, detected, prompted = (
        Passage(speech, SttOptions(language="es")),
        Passage(speech, SttOptions()),
        Passage(speech, SttOptions(language="es", hot_words=("contraseña",))),
    )
    assert len({decoder.group(passage) for passage in (known, detected, prompted)}) == 3
    long = Passage(np.zeros(31 * 16_000, np.float32), SttOptions(language="es"))
    assert decoder.group(long) != decoder.group(known)

    heard, nothing = decoder.decode([detected, Passage(silence, SttOptions())])
    await whisper.aclose()

    assert (heard.text, heard.language) == (PHRASES[1], "es")
    assert (nothing.text, nothing.understood) == ("", False)


async def test_text_below_the_threshold_is_tried_warmer_and_then_not_understood(
    folder: Path,
) -> None:
    whisper = load(folder, log_prob=-0.001, temperatures=(0.0, 0.2))
    spoken = [await speak(phrase, Voice()) for phrase in PHRASES[:2]]
    for _ in spoken:
        whisper.batch.enter()
    options = SttOptions(language="es")
    heard = await asyncio.gather(*(whisper.transcribe(pcm, options) for pcm in spoken))
    await whisper.aclose()

    assert [transcript.understood for transcript in heard] == [False, False]


def test_a_folder_without_a_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="does not load") as caught:
        load(tmp_path)
    assert not caught.value.retryable


async def test_a_shorter_window_hears_the_same_words(folder: Path) -> None:
    whole, short = load(folder), load(folder, window_s=10)
    options = SttOptions(language="es")
    spoken = [await speak(phrase, Voice()) for phrase in PHRASES]

    for pcm in spoken:
        assert (await short.transcribe(pcm, options)).text == (
            await whole.transcribe(pcm, options)
        ).text
    await whole.aclose()
    await short.aclose()


async def test_the_window_grows_with_the_speech_up_to_what_the_encoder_takes(folder: Path) -> None:
    whisper = load(folder, window_s=10)
    decoder = whisper._decoder
    lengths_s = (2, 9.5, 12, 29.5)

    frames = [decoder._frames([passage(seconds)]) for seconds in lengths_s]

    assert frames == [1000, 1100, 1300, 3000]
    assert decoder._frames([passage(2), passage(12)]) == 1300
    assert not decoder._fits_short_window(passage(31))
    await whisper.aclose()


async def test_the_text_is_bounded_by_the_length_of_the_speech(folder: Path) -> None:
    whisper = load(folder, window_s=10)
    decoder = whisper._decoder
    model = _Listening(decoder._model.model)
    decoder._model.model = model

    decoder.decode([passage(2)])
    decoder.decode([passage(2), passage(25)])

    prompt = len(decoder._prompt(SttOptions(language="es"), "es"))
    assert model.max_lengths == [prompt + 16 + 12 * 2, prompt + 217]
    await whisper.aclose()


async def test_only_the_languages_that_are_told_apart_are_found(folder: Path) -> None:
    whisper = load(folder, window_s=10, languages=("en",))
    pcm = await speak(PHRASES[0], Voice())

    heard = await whisper.transcribe(pcm, SttOptions())
    await whisper.aclose()

    assert heard.language == "en"


def passage(seconds: float) -> Passage:
    return Passage(np.zeros(int(seconds * 16_000), np.float32), SttOptions(language="es"))


class _Listening:
    """CTranslate2's model, and the bounds it was given."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.max_lengths: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def generate(self, *arguments: Any, max_length: int, **options: Any) -> Any:
        self.max_lengths.append(max_length)
        return self._model.generate(*arguments, max_length=max_length, **options)


class Doctored:
    """A loaded model whose results are changed, and which notes how long they may become."""

    def __init__(self, model: Any, no_speech_prob: float) -> None:
        self._model = model
        self._no_speech_prob = no_speech_prob
        self.lengths: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def generate(self, encoded: Any, prompts: Any, **options: Any) -> Any:
        self.lengths.append(options["max_length"] - len(prompts[0]))
        results = self._model.generate(encoded, prompts, **options)
        return [Result(result, self._no_speech_prob) for result in results]


class Result:
    """One result, with another ``no_speech_prob``."""

    def __init__(self, result: Any, no_speech_prob: float) -> None:
        self.sequences_ids, self.scores = result.sequences_ids, result.scores
        self.no_speech_prob = no_speech_prob


@pytest.mark.parametrize(("no_speech_prob", "understood"), [(0.97, False), (0.7, True)])
async def test_words_heard_where_there_is_surely_no_speech_are_not_understood(
    folder: Path, no_speech_prob: float, understood: bool
) -> None:
    whisper = load(folder, window_s=15)
    loaded: Any = whisper._decoder._model
    loaded.model = Doctored(loaded.model, no_speech_prob)
    transcript = await whisper.transcribe(
        await speak(PHRASES[0], Voice()), SttOptions(language="es")
    )
    await whisper.aclose()

    assert transcript.text == PHRASES[0]
    assert transcript.understood is understood


@pytest.mark.parametrize("is_wanted", [True, False])
async def test_noise_is_decoded_no_longer_than_it_lasts_nor_for_a_caller_who_is_gone(
    folder: Path, is_wanted: bool
) -> None:
    """No text passes a log probability of 0: every temperature is tried."""
    whisper = load(folder, window_s=15, temperatures=(0.0, 0.4, 0.8), log_prob=0.0)
    loaded: Any = whisper._decoder._model
    loaded.model = Doctored(loaded.model, 0.1)
    noise = np.random.default_rng(7).normal(0, 0.2, 16_000).astype(np.float32)
    heard = Passage(noise, SttOptions(language="es"), lambda: is_wanted)
    whisper._decoder.decode([heard])
    await whisper.aclose()

    assert len(loaded.model.lengths) == (3 if is_wanted else 1)
    assert max(loaded.model.lengths) <= 28  # a second of speech, generously


async def test_words_have_their_place_and_confidence_where_they_are_asked_for(folder: Path) -> None:
    whisper = load(folder, batch_window_ms=1000)
    spoken = [await speak(phrase, Voice()) for phrase in PHRASES]
    options = SttOptions(language="es", words=True)
    alone = await whisper.transcribe(spoken[0], options)
    for _ in spoken:
        whisper.batch.enter()
    together = await asyncio.gather(*(whisper.transcribe(pcm, options) for pcm in spoken))
    plain = await whisper.transcribe(spoken[0], SttOptions(language="es"))
    await whisper.aclose()

    assert plain.words == ()
    for phrase, transcript in zip((PHRASES[0], *PHRASES), (alone, *together), strict=True):
        assert [word.text for word in transcript.words] == phrase.split()
        for word in transcript.words:
            assert word.confidence is not None
            assert 0.0 < word.confidence <= 1.0
            assert word.start_ms <= word.end_ms
