"""pocketsphinx's decoders over one whole utterance. Used in child processes only: it holds the GIL.

English: the free decoder with its own language model. Spanish: a grammar of the phrases expected,
in English phones, beside a loop of phones that may say anything; how much better the loop
explains the sound tells how little the grammar's answer is to be trusted.

An utterance is decoded whole, with the mean of its own spectrum taken off: measured against
decoding as it comes, "in being a comparatively modern" instead of "it compared to italy modern".
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pocketsphinx import Decoder, get_model_path

from runpod_worker.engines.spanish_phones import pronounce, split_words
from runpod_worker.engines.sphinx_judgement import Decoded, SpokenWord
from runpod_worker.stages import STT_RATE_HZ


# Digital silence and a hard start wreck the normalisation (measured: 92.7 % -> 42.5 % exact).
PAD_SAMPLES = STT_RATE_HZ * 3 // 10
DITHER_LSB = 8
FRAME_S = 0.01
_MODEL = Path(get_model_path()) / "en-us"
_QUIET = {"samprate": STT_RATE_HZ, "loglevel": "FATAL"}
# A score is handed out as a probability; log(0) stands for the smallest.
_LOWEST = -745.0
_LOOP_SILENCE = "SIL"


def prepare(pcm: bytes) -> bytes:
    """Near silence around and a little dither under the audio; the same for the same audio."""
    samples = np.frombuffer(pcm, np.int16).astype(np.int32)
    padded = np.pad(samples, PAD_SAMPLES)
    noise = np.random.default_rng(0).integers(-DITHER_LSB, DITHER_LSB + 1, len(padded))
    prepared: bytes = np.clip(padded + noise, -32768, 32767).astype(np.int16).tobytes()
    return prepared


def decode(decoder: Decoder, prepared: bytes) -> Decoded:
    decoder.start_utt()
    decoder.process_raw(prepared, full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    if hypothesis is None:
        return Decoded("", _LOWEST, ())
    score = math.log(hypothesis.score) if hypothesis.score > 0 else _LOWEST
    return Decoded(hypothesis.hypstr, score, tuple(_read_words(decoder)))


def _read_words(decoder: Decoder) -> list[SpokenWord]:
    pad_s = PAD_SAMPLES / STT_RATE_HZ
    return [
        SpokenWord(
            segment.word.split("(")[0],
            segment.start_frame * FRAME_S - pad_s,
            (segment.end_frame + 1) * FRAME_S - pad_s,
        )
        for segment in decoder.seg() or ()
        if segment.word[0] not in "<[+(" and segment.word != _LOOP_SILENCE
    ]


def open_english() -> Decoder:
    """The free decoder: 38 MB of model, 0.3-1.2 s to load."""
    return Decoder(cmn="batch", **_QUIET)


def open_english_stream() -> Decoder:
    """The same for audio as it comes: worse words, good enough to show while one speaks."""
    return Decoder(**_QUIET)


def open_phone_loop() -> Decoder:
    """Any phones in any order, weighed by the model's own phone statistics."""
    return Decoder(
        hmm=str(_MODEL / "en-us"),
        allphone=str(_MODEL / "en-us-phone.lm.bin"),
        lm=None,
        dict=None,
        allphone_ci=True,
        beam=1e-20,
        pbeam=1e-20,
        lw=2.0,
        cmn="batch",
        **_QUIET,
    )


def open_grammar(phrases: Sequence[str]) -> Decoder:
    """A decoder that hears one of ``phrases`` or nothing. Takes milliseconds, any set."""
    words = sorted({word for phrase in phrases for word in split_words(phrase)})
    with tempfile.NamedTemporaryFile("w", suffix=".dict", encoding="utf-8") as dictionary:
        dictionary.write(write_dictionary(words))
        dictionary.flush()
        decoder = Decoder(
            hmm=str(_MODEL / "en-us"), dict=dictionary.name, lm=None, cmn="batch", **_QUIET
        )
    decoder.add_jsgf_string("phrases", write_grammar(phrases))
    decoder.activate_search("phrases")
    return decoder


def write_dictionary(words: Sequence[str]) -> str:
    """pocketsphinx's dictionary: ``word PH ONES``, further pronunciations as ``word(2)``."""
    lines = []
    for word in words:
        for number, phones in enumerate(pronounce(word), start=1):
            lines.append(f"{word}{'' if number == 1 else f'({number})'} {phones}\n")
    return "".join(lines)


def write_grammar(phrases: Sequence[str]) -> str:
    choices = " | ".join(" ".join(split_words(phrase)) for phrase in phrases)
    return f"#JSGF V1.0;\ngrammar phrases;\npublic <phrase> = {choices};"
