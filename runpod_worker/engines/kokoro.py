"""Kokoro on ONNX Runtime: a natural voice whose licence (Apache-2.0) allows business use.

82 million parameters, Spanish and English voices, no cloning, no torch. A phrase is computed
whole; phrases follow each other, so the first sounds as soon as it is done. eSpeak NG writes the
phonemes, as for the embedded voice.
"""

from __future__ import annotations

import asyncio
import json
import queue
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import numpy as np
import numpy.typing as npt
import onnxruntime

from penny.errors import EngineError
from runpod_worker.engines.espeak_library import EspeakLibrary
from runpod_worker.engines.espeak_voices import espeak_language
from runpod_worker.machine import usable_cores
from runpod_worker.settings import KokoroSettings
from runpod_worker.spoken_text import write_for_speech
from runpod_worker.stages import TTS_RATE_HZ, EngineInfo, Voice


MODEL_FILE = "onnx/model.onnx"
STYLE_FLOATS = 256
MAX_TOKENS = 509
"""The model's positions (512) less its two margins; voices have one style for each length."""
CHUNK_BYTES = TTS_RATE_HZ * 2 // 10
FIRST_PHRASE_CHARS = 40
"""Two and a half seconds of speech: about one second of work on two cores with AVX2."""
ENGLISH = "ab"
"""First letters of the names of American and British voices; each speaks only its own language."""
QUIET = 0.01
KEPT_QUIET = TTS_RATE_HZ // 40
"""Of the 0.2 s of silence before each phrase, 25 ms stay: the rest would only be waited for."""
MERGED = {"tʃ": "ʧ", "dʒ": "ʤ"}
"""Sounds that eSpeak NG writes with two letters and the model's vocabulary with one."""

Floats = npt.NDArray[np.float32]
Given = TypeVarTuple("Given")
Made = TypeVar("Made")


class KokoroTts:
    """Tts with Kokoro on ONNX Runtime.

    One session of the model; ``threads`` phrases at once, more wait in order.
    """

    def __init__(self, settings: KokoroSettings) -> None:
        """Raises EngineError if the weights are not there or do not load."""
        self.info = EngineInfo(
            name="kokoro", languages=("es", "en"), first_phrase_chars=FIRST_PHRASE_CHARS
        )
        self._settings = settings
        try:
            self._session = _load_session(settings)
            self._vocabulary = _load_vocabulary(settings.model / "tokenizer.json")
            self._voices = _load_voices(settings.model / "voices")
        except Exception as error:  # onnxruntime raises its own classes, by no common name
            raise EngineError(
                f"worker.engines.kokoro.model: {settings.model} does not load: {error}; "
                "get it: python -m penny models pull kokoro",
                stage="tts",
                code="weights_missing",
                retryable=False,
            ) from error
        self._inputs = {entry.name: entry.type for entry in self._session.get_inputs()}
        self._phonemes: queue.SimpleQueue[EspeakLibrary] = queue.SimpleQueue()
        for _ in range(settings.threads):
            self._phonemes.put(EspeakLibrary())
        self._threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="kokoro")

    def voices(self) -> Sequence[str]:
        """The voice of sessions that ask for no other comes first."""
        return tuple(sorted(self._voices, key=lambda name: name != self._settings.voice))

    async def synthesize(self, phrase: str, voice: Voice) -> AsyncIterator[bytes]:
        """PCM16 at 24 kHz, in pieces; closing the iterator stops the computation.

        Raises:
            EngineError: the model failed, or the engine is closed.
        """
        text = write_for_speech(phrase, voice.language)
        if not text.strip():
            return
        stop = onnxruntime.RunOptions()
        try:
            for tokens in await self._in_thread(self._read, text, voice.language):
                pcm = await self._in_thread(self._speak, tokens, voice, stop)
                for at in range(0, len(pcm), CHUNK_BYTES):
                    yield pcm[at : at + CHUNK_BYTES]
        finally:
            stop.terminate = True

    async def aclose(self) -> None:
        """Stop taking phrases. Callers close their iterators first, so threads end at once."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[*Given], Made], *arguments: *Given) -> Made:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        except RuntimeError as error:
            raise EngineError(f"kokoro failed: {error}", stage="tts") from error

    def _read(self, text: str, language: str) -> list[list[int]]:
        """The text as tokens, in parts that the model takes."""
        library = self._phonemes.get()
        try:
            clauses = library.phonemes(text, espeak_language(language))
        finally:
            self._phonemes.put(library)
        parts: list[list[int]] = [[]]
        for clause in clauses:
            for two, one in MERGED.items():
                clause = clause.replace(two, one)
            tokens = [self._vocabulary[sound] for sound in clause if sound in self._vocabulary]
            if parts[-1] and len(parts[-1]) + len(tokens) > MAX_TOKENS:
                parts.append([])
            parts[-1] += tokens[:MAX_TOKENS]
        return [part for part in parts if part]

    def _speak(self, tokens: list[int], voice: Voice, stop: onnxruntime.RunOptions) -> bytes:
        style = self._style(voice, len(tokens))
        speed_type = np.float32 if self._inputs.get("speed") == "tensor(float)" else np.int32
        ids_name = "input_ids" if "input_ids" in self._inputs else "tokens"
        feed = {
            ids_name: np.array([[0, *tokens, 0]], dtype=np.int64),
            "style": style,
            "speed": np.array([voice.speed], dtype=speed_type),
        }
        try:
            [wave, *_] = self._session.run(None, feed, stop)
        except Exception as error:  # as above
            raise EngineError(f"kokoro failed: {error}", stage="tts") from error
        samples = np.clip(np.asarray(wave, dtype=np.float32).reshape(-1), -1.0, 1.0)
        loud = int(np.argmax(np.abs(samples) > QUIET))
        samples = samples[max(0, loud - KEPT_QUIET) :]
        return (samples * 32767).astype("<i2").tobytes()

    def _style(self, voice: Voice, length: int) -> Floats:
        """The voice's style for this many tokens, shape (1, 256)."""
        english = voice.language[:2] == "en"
        own = self._settings.english_voice if english else self._settings.voice
        chosen = self._voices.get(voice.name)
        if chosen is None or (voice.name[0] in ENGLISH) != english:
            chosen = self._voices.get(own, next(iter(self._voices.values())))
        style: Floats = chosen[min(length, len(chosen) - 1)]
        return style


def _load_session(settings: KokoroSettings) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.cores or usable_cores()
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    if settings.device != "cpu" and "CUDAExecutionProvider" in (
        onnxruntime.get_available_providers()
    ):
        providers.insert(0, "CUDAExecutionProvider")
    path = settings.model / MODEL_FILE
    return onnxruntime.InferenceSession(str(path), options, providers=providers)


def _load_vocabulary(path: Path) -> dict[str, int]:
    vocabulary: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))["model"]["vocab"]
    return vocabulary


def _load_voices(folder: Path) -> dict[str, Floats]:
    """Name -> styles, shape (lengths, 1, 256)."""
    voices = {
        path.stem: np.fromfile(path, dtype="<f4").reshape(-1, 1, STYLE_FLOATS)
        for path in sorted(folder.glob("*.bin"))
    }
    if not voices:
        raise FileNotFoundError(f"no voices in {folder}")
    return voices
