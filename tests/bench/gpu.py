"""The four models at full size on a GPU, with random weights: what their computing costs.

    python -m tests.bench.gpu     (make bench-gpu; needs torch with CUDA and a GPU)

Computing time does not depend on the values of the weights, so nothing is downloaded: Whisper
large-v3, Qwen2.5-7B and XTTS-v2 are made by their published sizes. Random models do not stop by
themselves; lengths are fixed to what a turn needs.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import torch


ROUNDS = 10
UTTERANCE_TOKENS = 24
"""A question of some five seconds."""
PROMPT_TOKENS, ANSWER_TOKENS = 1500, 40
BATCHES = (1, 4, 8)
XTTS_PIECE_TOKENS = 20


def timed(work: Callable[[], object]) -> float:
    """Median milliseconds of ``ROUNDS``, after two to warm up."""
    spent = []
    for index in range(ROUNDS + 2):
        torch.cuda.synchronize()
        begun_s = time.perf_counter()
        work()
        torch.cuda.synchronize()
        if index >= 2:
            spent.append((time.perf_counter() - begun_s) * 1000)
    return statistics.median(spent)


def memory_gb() -> float:
    return torch.cuda.max_memory_allocated() / 2**30


def bench_vad() -> Iterator[tuple[str, float]]:
    from onnxruntime import InferenceSession  # Silero stays on the CPU, as in the worker

    from runpod_worker.engines import silero

    session = InferenceSession(str(silero._model_path()), providers=["CPUExecutionProvider"])
    import numpy as np

    inputs = {
        "input": np.zeros((1, silero.CONTEXT_SAMPLES + silero.WINDOW_SAMPLES), np.float32),
        "state": np.zeros(silero.STATE_SHAPE, np.float32),
        "sr": np.array(16_000, np.int64),
    }
    yield "Silero, one window (CPU)", timed(lambda: session.run(None, inputs))


def bench_whisper() -> Iterator[tuple[str, float]]:
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    # openai/whisper-large-v3's published sizes
    config = WhisperConfig(
        vocab_size=51_866,
        num_mel_bins=128,
        d_model=1280,
        encoder_layers=32,
        decoder_layers=32,
        encoder_attention_heads=20,
        decoder_attention_heads=20,
        encoder_ffn_dim=5120,
        decoder_ffn_dim=5120,
    )
    model = make(lambda: WhisperForConditionalGeneration(config))
    for batch in BATCHES:
        mel = torch.randn(batch, 128, 3000, device="cuda", dtype=torch.float16)

        def transcribe(mel: torch.Tensor = mel) -> object:
            return model.generate(
                mel, num_beams=5, max_new_tokens=UTTERANCE_TOKENS, min_new_tokens=UTTERANCE_TOKENS
            )

        yield (
            f"Whisper large-v3, encoder, batch {batch}",
            timed(lambda mel=mel: model.model.encoder(mel)),
        )
        yield (
            f"Whisper large-v3, beam 5, {UTTERANCE_TOKENS} tokens, batch {batch}",
            timed(transcribe),
        )


def bench_qwen() -> Iterator[tuple[str, float]]:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    # Qwen/Qwen2.5-7B-Instruct's published sizes
    config = Qwen2Config(
        vocab_size=152_064,
        hidden_size=3584,
        intermediate_size=18_944,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
        max_position_embeddings=32_768,
        tie_word_embeddings=False,
    )
    model = make(lambda: Qwen2ForCausalLM(config))
    for batch in BATCHES:
        prompt = torch.randint(0, 150_000, (batch, PROMPT_TOKENS), device="cuda")
        mask = torch.ones_like(prompt)

        def answer(tokens: int, prompt: torch.Tensor = prompt, mask: torch.Tensor = mask) -> object:
            return model.generate(
                prompt,
                attention_mask=mask,
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                do_sample=False,
                pad_token_id=0,
            )

        first_ms = timed(lambda answer=answer: answer(1))
        whole_ms = timed(lambda answer=answer: answer(ANSWER_TOKENS))
        yield f"Qwen2.5-7B, first token of {PROMPT_TOKENS}, batch {batch}", first_ms
        yield f"Qwen2.5-7B, a token, batch {batch}", (whole_ms - first_ms) / (ANSWER_TOKENS - 1)


def bench_xtts() -> Iterator[tuple[str, float]]:
    if find_spec("TTS") is None or find_spec("torchaudio") is None:
        print("XTTS-v2 left out: coqui-tts or torchaudio is not installed", file=sys.stderr)
        return
    from TTS.tts.layers.xtts.gpt import GPT
    from TTS.tts.layers.xtts.hifigan_decoder import HifiDecoder
    from TTS.tts.models.xtts import XttsArgs

    sizes = XttsArgs(gpt_number_text_tokens=6681, gpt_start_text_token=261, gpt_stop_text_token=0)
    gpt = make(
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
    decoder = make(lambda: HifiDecoder(decoder_input_dim=sizes.decoder_input_dim), torch.float32)
    hidden = torch.randn(1, 120, sizes.gpt_n_model_channels, device="cuda")
    latents = torch.randn(1, XTTS_PIECE_TOKENS, sizes.decoder_input_dim, device="cuda")
    embedding = torch.randn(1, 512, 1, device="cuda")
    yield "XTTS-v2, one audio token without cache", timed(lambda: gpt.gpt(inputs_embeds=hidden))
    yield (
        f"XTTS-v2, vocoder, {XTTS_PIECE_TOKENS} tokens",
        timed(lambda: decoder(latents, g=embedding)),
    )


def make(
    build: Callable[[], torch.nn.Module], dtype: torch.dtype = torch.float16
) -> torch.nn.Module:
    """A model of random weights, made on the GPU in ``dtype``: no copy on the host."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device("cuda"):
            return build().eval()
    finally:
        torch.set_default_dtype(before)


def main() -> int:
    if not torch.cuda.is_available():
        print("bench-gpu: no GPU that torch can use on this machine; nothing was measured.")
        return 1
    print(f"machine: {torch.cuda.get_device_name()}, torch {torch.__version__}\n")
    print("| work | median ms | GB so far |")
    print("|---|---|---|")
    with torch.inference_mode():
        for bench in (bench_vad, bench_whisper, bench_qwen, bench_xtts):
            for name, spent_ms in bench():
                print(f"| {name} | {spent_ms:.1f} | {memory_gb():.1f} |", flush=True)
            torch.cuda.empty_cache()
    return 0


if __name__ == "__main__":
    sys.exit(main())
