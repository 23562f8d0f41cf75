"""What a Whisper model of faster-whisper makes of several callers' audio in one run.

faster-whisper's own batching cuts one file into pieces that share a prompt and a language, and
ignores the temperature fallback. Calls differ in all three, so a batch is put together here:
prompt and language per caller, and a caller whose text does not pass the thresholds is decoded
again alone. A batch of one is faster-whisper's plain ``transcribe``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

import numpy as np
import numpy.typing as npt
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import TranscriptionOptions, get_compression_ratio

from runpod_worker.stages import STT_RATE_HZ, SttOptions, TimedWord, Transcript, has_words


Floats = npt.NDArray[np.float32]

WINDOW_S = 30
"""Whisper's encoder takes exactly this much; longer audio is walked through, alone."""
FRAMES_PER_S = 100
AFTER_SPEECH_S = 1
"""Silence that a short window leaves after the speech: without any, last words go wrong."""
SILENCE_BELOW_PEAK = 2.0
"""Eight decades of power, a quarter of their logarithm: Whisper's features hear nothing fainter."""
TOKENS_PER_S, TOKENS_MORE = 12, 16
"""More than anybody says: a text that goes on beyond is the model's own, and noise has a bound."""
RETRIES_WITHIN_S = 2.0
"""A run that has taken so long tries no other temperature: noise holds up everybody."""
SURELY_NO_SPEECH = 0.9
"""However likely its words look, a text heard in this is not trusted."""
MAX_NEW_TOKENS = 217
"""What hot words and prompt together leave of the decoder's 448 positions."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How to search and what to trust; the thresholds are Whisper's own."""

    beam_size: int = 5
    temperatures: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    compression_ratio_threshold: float = 2.4
    log_prob_threshold: float = -1.0
    no_speech_threshold: float = 0.6
    window_s: int = WINDOW_S
    """Audio that the encoder is given at least. Its cost grows with it; it was trained on 30 s."""
    languages: tuple[str, ...] = ()
    """Languages that are told apart; empty: all that the model knows."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One caller's audio, float32 at 16 kHz, and how to hear it."""

    audio: Floats
    options: SttOptions
    is_wanted: Callable[[], bool] = lambda: True
    """False once the caller's deadline has passed, or the caller is gone."""


@dataclass(frozen=True, slots=True)
class _Decoded:
    """One decoding of a passage, with the numbers by which it is trusted."""

    tokens: list[int]
    text: str
    avg_logprob: float
    no_speech_prob: float


class WhisperDecoder:
    """Decodes passages with one Whisper model.

    Not for two threads at once.
    """

    def __init__(self, model: WhisperModel, decoding: Decoding) -> None:
        self._model = model
        self._decoding = decoding
        self._tokenizers: dict[str, Tokenizer] = {}

    def group(self, passage: Passage) -> Hashable:
        """Passages of one group may share a batch.

        CTranslate2 wants the start token at the same place in all prompts of a batch; audio beyond
        the window is never batched.
        """
        if len(passage.audio) > WINDOW_S * STT_RATE_HZ:
            return id(passage)
        language = passage.options.language
        # The length does not depend on the language: its token is one in every language.
        return language, len(self._prompt(passage.options, language or self._any_language()))

    def decode(self, passages: Sequence[Passage]) -> list[Transcript]:
        """A transcript per passage, in order; the passages are of one group."""
        if len(passages) == 1 and not self._fits_short_window(passages[0]):
            return [self._decode_alone(passages[0], passages[0].options.language)]
        frames = self._frames(passages)
        features = np.stack([self._features(passage.audio, frames) for passage in passages])
        encoded = self._model.encode(features)
        language = passages[0].options.language
        sure: list[float | None] = [None] * len(passages)
        if language is None:
            spoken, sure = self._detect(encoded, len(passages))
            if len(set(spoken)) > 1:
                each = zip(passages, spoken, sure, strict=True)
                return [
                    replace(self._decode_alone(passage, language), language_probability=known)
                    for passage, language, known in each
                ]
            language = spoken[0]
        decoded = self._generate(encoded, features, passages, language)
        heard = [
            self._judge(one, language, known) for one, known in zip(decoded, sure, strict=True)
        ]
        if not any(passage.options.words for passage in passages):
            return heard
        timed = self._time_words(encoded, decoded, passages, language)
        return [
            replace(one, words=words if one.text else ())
            for one, words in zip(heard, timed, strict=True)
        ]

    def count_tokens(self, text: str) -> int:
        return len(self._tokenizer(self._any_language()).encode(text)) if text else 0

    # -- one caller alone -----------------------------------------------------------------------

    def _decode_alone(self, passage: Passage, language: str | None) -> Transcript:
        decoding, options = self._decoding, passage.options
        segments, info = self._model.transcribe(
            passage.audio,
            language=language,
            beam_size=decoding.beam_size,
            temperature=list(decoding.temperatures),
            compression_ratio_threshold=decoding.compression_ratio_threshold,
            log_prob_threshold=decoding.log_prob_threshold,
            no_speech_threshold=decoding.no_speech_threshold,
            condition_on_previous_text=False,
            initial_prompt=options.prompt or None,
            hotwords=" ".join(options.hot_words) or None,
            max_new_tokens=_most_tokens(passage),
            word_timestamps=options.words,
        )
        found = list(takewhile(lambda _: passage.is_wanted(), segments))  # decoded one by one
        text = "".join(segment.text for segment in found).strip()
        trusted = all(
            segment.avg_logprob >= decoding.log_prob_threshold
            and segment.compression_ratio <= decoding.compression_ratio_threshold
            and segment.no_speech_prob <= SURELY_NO_SPEECH
            for segment in found
        )
        logprob = np.mean([segment.avg_logprob for segment in found]) if found else -math.inf
        return Transcript(
            text,
            info.language,
            understood=bool(text) and trusted,
            confidence=math.exp(float(logprob)),
            language_probability=info.language_probability if language is None else None,
            words=tuple(
                _timed(word.word, word.start, word.end, word.probability)
                for segment in found
                for word in segment.words or ()
            ),
        )

    # -- several callers ------------------------------------------------------------------------

    def _fits_short_window(self, passage: Passage) -> bool:
        least = self._decoding.window_s
        return least < WINDOW_S and len(passage.audio) <= WINDOW_S * STT_RATE_HZ

    def _frames(self, passages: Sequence[Passage]) -> int:
        """Length of the window, in frames: whole seconds, so that few lengths occur."""
        longest_s = max(math.ceil(len(one.audio) / STT_RATE_HZ) for one in passages)
        window_s = max(self._decoding.window_s, longest_s + AFTER_SPEECH_S)
        return FRAMES_PER_S * min(WINDOW_S, window_s)

    def _features(self, audio: Floats, frames: int) -> Floats:
        return fill_window(self._model.feature_extractor(audio)[:, :frames], frames)

    def _detect(self, encoded: Any, count: int) -> tuple[list[str], list[float | None]]:
        """The language of each passage and how probable it is among those told apart."""
        if not self._model.model.is_multilingual:
            return ["en"] * count, [None] * count
        known = self._decoding.languages
        languages: list[str] = []
        sure: list[float | None] = []
        for ranked in self._model.model.detect_language(encoded):
            named = [(token.strip("<|>"), probability) for token, probability in ranked]
            named = [(name, p) for name, p in named if not known or name in known]
            languages.append(named[0][0])
            sure.append(named[0][1] / (sum(p for _, p in named) or 1.0))
        return languages, sure

    def _generate(
        self, encoded: Any, features: Floats, passages: Sequence[Passage], language: str
    ) -> list[_Decoded]:
        began_s = time.monotonic()
        options = self._options((self._decoding.temperatures[0],))
        prompts = [self._prompt(passage.options, language) for passage in passages]
        most = len(prompts[0]) + max(_most_tokens(passage) for passage in passages)
        tokenizer = self._tokenizer(language)
        results = self._model.model.generate(
            encoded,
            prompts,
            beam_size=options.beam_size,
            patience=options.patience,
            length_penalty=options.length_penalty,
            max_length=min(self._model.max_length, most),
            suppress_blank=options.suppress_blank,
            suppress_tokens=options.suppress_tokens,
            max_initial_timestamp_index=round(
                options.max_initial_timestamp / self._model.time_precision
            ),
            return_scores=True,
            return_no_speech_prob=True,
        )
        decoded = [_read(result, tokenizer) for result in results]
        for i, first in enumerate(decoded):
            # One temperature at a time: between two the caller may have gone, or waited enough.
            for temperature in self._decoding.temperatures[1:]:
                late = time.monotonic() - began_s > RETRIES_WITHIN_S
                if self._passes(decoded[i]) or late or not passages[i].is_wanted():
                    break
                again = self._try(features[i], prompts[i], tokenizer, temperature, passages[i])
                if again.avg_logprob > first.avg_logprob or self._passes(again):
                    decoded[i] = again
        return decoded

    def _time_words(
        self,
        encoded: Any,
        decoded: Sequence[_Decoded],
        passages: Sequence[Passage],
        language: str,
    ) -> list[tuple[TimedWord, ...]]:
        """Each word's place and probability: one more run of the decoder over what it wrote."""
        tokenizer = self._tokenizer(language)
        tokens = [[each for each in one.tokens if each < tokenizer.eot] for one in decoded]
        longest = max(len(passage.audio) for passage in passages)
        frames = math.ceil(longest * FRAMES_PER_S / STT_RATE_HZ)
        aligned = self._model.find_alignment(tokenizer, tokens, encoded, frames)
        return [
            tuple(
                _timed(word["word"], word["start"], word["end"], word["probability"])
                for word in words
                if has_words(word["word"])
            )
            for words in aligned
        ]

    def _try(
        self,
        features: Floats,
        prompt: list[int],
        tokenizer: Tokenizer,
        temperature: float,
        passage: Passage,
    ) -> _Decoded:
        """One caller's audio at another temperature, no longer than it can have been spoken."""
        options = replace(self._options((temperature,)), max_new_tokens=_most_tokens(passage))
        result, _, _, _ = self._model.generate_with_fallback(
            self._model.encode(features), prompt, tokenizer, options
        )
        return _read(result, tokenizer)

    def _passes(self, decoded: _Decoded) -> bool:
        decoding = self._decoding
        if self._is_silence(decoded):
            return True
        return (
            has_words(decoded.text)
            and decoded.avg_logprob >= decoding.log_prob_threshold
            and get_compression_ratio(decoded.text) <= decoding.compression_ratio_threshold
        )

    def _is_silence(self, decoded: _Decoded) -> bool:
        return (
            decoded.no_speech_prob > self._decoding.no_speech_threshold
            and decoded.avg_logprob < self._decoding.log_prob_threshold
        )

    def _judge(self, decoded: _Decoded, language: str, sure: float | None) -> Transcript:
        text = "" if self._is_silence(decoded) else decoded.text
        is_speech = decoded.no_speech_prob <= SURELY_NO_SPEECH
        return Transcript(
            text,
            language,
            understood=bool(text) and is_speech and self._passes(decoded),
            confidence=math.exp(decoded.avg_logprob),
            language_probability=sure,
        )

    # -- prompts --------------------------------------------------------------------------------

    def _prompt(self, options: SttOptions, language: str) -> list[int]:
        tokenizer = self._tokenizer(language)
        previous = tokenizer.encode(" " + options.prompt.strip()) if options.prompt else []
        prompt: list[int] = self._model.get_prompt(
            tokenizer, previous, hotwords=" ".join(options.hot_words) or None
        )
        return prompt

    def _tokenizer(self, language: str) -> Tokenizer:
        if language not in self._tokenizers:
            self._tokenizers[language] = Tokenizer(
                self._model.hf_tokenizer,
                self._model.model.is_multilingual,
                task="transcribe",
                language=language,
            )
        return self._tokenizers[language]

    def _any_language(self) -> str:
        return "es" if self._model.model.is_multilingual else "en"

    def _options(self, temperatures: tuple[float, ...]) -> TranscriptionOptions:
        decoding = self._decoding
        return TranscriptionOptions(
            beam_size=decoding.beam_size,
            best_of=5,
            patience=1,
            length_penalty=1,
            repetition_penalty=1,
            no_repeat_ngram_size=0,
            log_prob_threshold=decoding.log_prob_threshold,
            no_speech_threshold=decoding.no_speech_threshold,
            compression_ratio_threshold=decoding.compression_ratio_threshold,
            condition_on_previous_text=False,
            prompt_reset_on_temperature=0.5,
            temperatures=list(temperatures),
            initial_prompt=None,
            prefix=None,
            suppress_blank=True,
            suppress_tokens=[-1],
            without_timestamps=False,
            max_initial_timestamp=1.0,
            word_timestamps=False,
            prepend_punctuations="",
            append_punctuations="",
            multilingual=False,
            max_new_tokens=None,
            clip_timestamps="0",
            hallucination_silence_threshold=None,
            hotwords=None,
        )


def fill_window(mel: Floats, frames: int) -> Floats:
    """Log-mel of ``frames``: the rest of the window is silence as Whisper was trained with.

    faster-whisper's zeros are no silence there but a noise that begins at the last word, which
    is lost more often where the audio ends soon after it.
    """
    rest = ((0, 0), (0, frames - mel.shape[1]))
    filled: Floats = np.pad(mel, rest, constant_values=mel.max() - SILENCE_BELOW_PEAK)
    return filled


def _timed(word: str, start_s: float, end_s: float, probability: float) -> TimedWord:
    return TimedWord(word.strip(), round(start_s * 1000), round(end_s * 1000), float(probability))


def _most_tokens(passage: Passage) -> int:
    spoken_s = math.ceil(len(passage.audio) / STT_RATE_HZ)
    return min(MAX_NEW_TOKENS, TOKENS_MORE + TOKENS_PER_S * spoken_s)


def _read(result: Any, tokenizer: Tokenizer) -> _Decoded:
    tokens = result.sequences_ids[0]
    text = tokenizer.decode([token for token in tokens if token < tokenizer.eot]).strip()
    # The score is the sum over the tokens and the end, averaged without the end.
    avg_logprob = result.scores[0] * len(tokens) / (len(tokens) + 1)
    return _Decoded(tokens, text, avg_logprob, result.no_speech_prob)
