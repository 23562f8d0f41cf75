"""The four models at full size on a GPU, with random weights: what their computing costs.

    python -m tests.bench.gpu [--device cuda] [--tiny]     (make bench-gpu; needs torch and a GPU)

Computing time does not depend on the values of the weights, so nothing is downloaded: Whisper
large-v3, Qwen2.5-7B and XTTS-v2 are made on the device by their published sizes. Random models do
not stop by themselves; lengths are fixed to what a turn needs. ``--tiny`` runs the same code with
small sizes, on any device: it says whether it works, not how long a turn takes.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch


STAND_INS = Path(__file__).parents[1] / "worker_torch" / "stand_ins"
"""coqui-tts wants torchaudio to be there, which has no build without CUDA."""

SENTENCE_TOKENS = 12
"""The first sentence of an answer, after which XTTS begins."""
PIECE_TOKENS = 20
"""Audio tokens before XTTS gives its first sound."""


@dataclass(frozen=True)
class Sizes:
    """What is built and asked. ``gigabytes`` is what each model needs to be free, by name."""

    whisper: dict[str, int]
    qwen: dict[str, int]
    xtts: dict[str, int]
    gigabytes: dict[str, float]
    utterance_tokens: int = 24
    """A question of some five seconds."""
    prompt_tokens: int = 1500
    answer_tokens: int = 40
    batches: tuple[int, ...] = (1, 4, 8)
    rounds: int = 10


FULL = Sizes(
    # openai/whisper-large-v3's published sizes
    whisper={
        "vocab_size": 51_866,
        "num_mel_bins": 128,
        "d_model": 1280,
        "encoder_layers": 32,
        "decoder_layers": 32,
        "encoder_attention_heads": 20,
        "decoder_attention_heads": 20,
        "encoder_ffn_dim": 5120,
        "decoder_ffn_dim": 5120,
    },
    # Qwen/Qwen2.5-7B-Instruct's published sizes
    qwen={
        "vocab_size": 152_064,
        "hidden_size": 3584,
        "intermediate_size": 18_944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "max_position_embeddings": 32_768,
    },
    # XTTS-v2's own vocabulary; the rest is the library's default
    xtts={
        "gpt_number_text_tokens": 6681,
        "gpt_start_text_token": 261,
        "gpt_stop_text_token": 0,
    },
    gigabytes={"whisper": 8, "qwen": 20, "xtts": 4},
)
TINY = Sizes(
    whisper=FULL.whisper
    | {
        "d_model": 64,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64,
    },
    qwen=FULL.qwen
    | {
        "hidden_size": 56,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 28,
    },
    xtts=FULL.xtts | {"gpt_layers": 1, "gpt_n_model_channels": 64, "gpt_n_heads": 2},
    gigabytes={"whisper": 0.5, "qwen": 0.5, "xtts": 0.5},
    utterance_tokens=2,
    prompt_tokens=32,
    answer_tokens=3,
    batches=(1, 2),
    rounds=2,
)
Row = tuple[str, float]


class Bench:
    """Builds one model after the other on ``device`` and times it."""

    def __init__(self, device: str, sizes: Sizes) -> None:
        self._device = torch.device(device)
        self._sizes = sizes
        # Half precision is what a GPU is rented for; a CPU hardly knows it.
        self._half = torch.float16 if self._device.type == "cuda" else torch.float32

    def free_gb(self) -> float:
        if self._device.type == "cuda":
            return torch.cuda.mem_get_info(self._device)[0] / 2**30
        return psutil.virtual_memory().available / 2**30

    def used_gb(self) -> float:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) / 2**30
        return psutil.Process().memory_info().rss / 2**30

    def refusal(self, model: str) -> str:
        """Why a model cannot be built here, '' when it can."""
        needed, free = self._sizes.gigabytes[model], self.free_gb()
        if free >= needed:
            return ""
        return (
            f"{model} needs {needed:g} GB of free memory on {self._device}, there are {free:.1f}: "
            "end what else uses it, or take a larger machine"
        )

    def run(self, model: str) -> list[Row]:
        """The rows of one model; its memory is free again afterwards."""
        makers: dict[str, Callable[[], Iterator[Row]]] = {
            "silero": self._silero,
            "whisper": self._whisper,
            "qwen": self._qwen,
            "xtts": self._xtts,
        }
        rows = []
        with torch.inference_mode():
            for name, spent_ms in makers[model]():
                rows.append((name, spent_ms))
                print(f"| {name} | {spent_ms:.1f} | {self.used_gb():.1f} |", flush=True)
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        return rows

    def _timed(self, work: Callable[[], object]) -> float:
        """Median milliseconds, after two rounds to warm up."""
        spent = []
        for index in range(self._sizes.rounds + 2):
            self._wait()
            begun_s = time.perf_counter()
            work()
            self._wait()
            if index >= 2:
                spent.append((time.perf_counter() - begun_s) * 1000)
        return statistics.median(spent)

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def _make(self, build: Callable[[], Any], dtype: torch.dtype) -> Any:
        """A model of random weights, made on the device in ``dtype``: no copy on the host."""
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            with self._device:
                return build().eval()
        finally:
            torch.set_default_dtype(before)

    # -- the four models ----------------------------------------------------------------------

    def _silero(self) -> Iterator[Row]:
        from onnxruntime import InferenceSession  # Silero stays on the CPU, as in the worker

        from runpod_worker.engines import silero

        session = InferenceSession(str(silero._model_path()), providers=["CPUExecutionProvider"])
        inputs = {
            "input": np.zeros((1, silero.CONTEXT_SAMPLES + silero.WINDOW_SAMPLES), np.float32),
            "state": np.zeros(silero.STATE_SHAPE, np.float32),
            "sr": np.array(16_000, np.int64),
        }
        yield "Silero, one window (CPU)", self._timed(lambda: session.run(None, inputs))

    def _whisper(self) -> Iterator[Row]:
        from transformers import WhisperConfig, WhisperForConditionalGeneration

        config = WhisperConfig(**self._sizes.whisper)
        model = self._make(lambda: WhisperForConditionalGeneration(config), self._half)
        tokens = self._sizes.utterance_tokens
        for batch in self._sizes.batches:
            mel = torch.randn(batch, 128, 3000, device=self._device, dtype=self._half)
            yield (
                f"Whisper large-v3, encoder, batch {batch}",
                self._timed(lambda mel=mel: model.model.encoder(mel)),
            )
            yield (
                f"Whisper large-v3, beam 5, {tokens} tokens, batch {batch}",
                self._timed(
                    lambda mel=mel: model.generate(
                        mel, num_beams=5, max_new_tokens=tokens, min_new_tokens=tokens
                    )
                ),
            )

    def _qwen(self) -> Iterator[Row]:
        from transformers import Qwen2Config, Qwen2ForCausalLM

        config = Qwen2Config(**self._sizes.qwen, tie_word_embeddings=False)
        model = self._make(lambda: Qwen2ForCausalLM(config), self._half)
        length, answer = self._sizes.prompt_tokens, self._sizes.answer_tokens
        for batch in self._sizes.batches:
            prompt = torch.randint(0, 150_000, (batch, length), device=self._device)

            def generate(tokens: int, prompt: torch.Tensor = prompt) -> object:
                return model.generate(
                    prompt,
                    attention_mask=torch.ones_like(prompt),
                    max_new_tokens=tokens,
                    min_new_tokens=tokens,
                    do_sample=False,
                    pad_token_id=0,
                )

            first_ms = self._timed(lambda generate=generate: generate(1))
            whole_ms = self._timed(lambda generate=generate: generate(answer))
            yield f"Qwen2.5-7B, first token of {length}, batch {batch}", first_ms
            yield f"Qwen2.5-7B, a token, batch {batch}", (whole_ms - first_ms) / (answer - 1)

    def _xtts(self) -> Iterator[Row]:
        if find_spec("torchaudio") is None:
            sys.path.insert(0, str(STAND_INS))
        from TTS.tts.layers.xtts.gpt import GPT
        from TTS.tts.layers.xtts.hifigan_decoder import HifiDecoder
        from TTS.tts.models.xtts import XttsArgs

        sizes = XttsArgs(**self._sizes.xtts)
        gpt = self._make(
            lambda: GPT(
                layers=sizes.gpt_layers,
                model_dim=sizes.gpt_n_model_channels,
                heads=sizes.gpt_n_heads,
                number_text_tokens=sizes.gpt_number_text_tokens,
                start_text_token=sizes.gpt_start_text_token,
                stop_text_token=sizes.gpt_stop_text_token,
                num_audio_tokens=sizes.gpt_num_audio_tokens,
                start_audio_token=sizes.gpt_start_audio_token,
                stop_audio_token=sizes.gpt_stop_audio_token,
            ),
            torch.float32,
        )
        decoder = self._make(
            lambda: HifiDecoder(decoder_input_dim=sizes.decoder_input_dim), torch.float32
        )
        prompt = torch.randn(1, 120, sizes.gpt_n_model_channels, device=self._device)
        token = torch.randn(1, 1, sizes.gpt_n_model_channels, device=self._device)
        cache = gpt.gpt(inputs_embeds=prompt, use_cache=True).past_key_values
        latents = torch.randn(1, PIECE_TOKENS, sizes.decoder_input_dim, device=self._device)
        embedding = torch.randn(1, 512, 1, device=self._device)
        yield "XTTS-v2, the prompt", self._timed(lambda: gpt.gpt(inputs_embeds=prompt))
        yield (
            "XTTS-v2, an audio token",
            self._timed(lambda: gpt.gpt(inputs_embeds=token, past_key_values=cache)),
        )
        yield (
            f"XTTS-v2, vocoder, {PIECE_TOKENS} tokens",
            self._timed(lambda: decoder(latents, g=embedding)),
        )


def add_up(rows: dict[str, float], sizes: Sizes) -> float:
    """Milliseconds from a question's end to the first sound, of a lone caller's computing."""
    return (
        rows[f"Whisper large-v3, beam 5, {sizes.utterance_tokens} tokens, batch 1"]
        + rows[f"Qwen2.5-7B, first token of {sizes.prompt_tokens}, batch 1"]
        + rows["Qwen2.5-7B, a token, batch 1"] * (SENTENCE_TOKENS - 1)
        + rows["XTTS-v2, the prompt"]
        + rows["XTTS-v2, an audio token"] * PIECE_TOKENS
        + rows[f"XTTS-v2, vocoder, {PIECE_TOKENS} tokens"]
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small models: does the bench run?")
    given = parser.parse_args(arguments)
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        print("bench-gpu: no GPU that torch can use on this machine; nothing was measured.")
        return 1
    sizes = TINY if given.tiny else FULL
    bench = Bench(given.device, sizes)
    name = torch.cuda.get_device_name() if given.device.startswith("cuda") else given.device
    print(f"machine: {name}, torch {torch.__version__}{', tiny models' if given.tiny else ''}\n")
    print("| work | median ms | GB at most |")
    print("|---|---|---|")
    rows, refused = dict(bench.run("silero")), []
    for model in sizes.gigabytes:
        if why := bench.refusal(model):
            refused.append(why)
        else:
            rows |= dict(bench.run(model))
    for why in refused:
        print(f"\nleft out: {why}", file=sys.stderr)
    if not refused:
        print(f"| a turn: text, first sentence, first sound | {add_up(rows, sizes):.0f} | |")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
