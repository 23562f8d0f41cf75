"""An XTTS-v2 of random weights, small on disk, that coqui-tts loads and streams as the real one.

    python -m tests.checkpoints.tiny_xtts FOLDER

It speaks noise: what is tested is loading, streaming, cancelling and cloning. The vocoder and the
speaker encoder have sizes that the library fixes; their tensors are stored as one value each,
expanded, which the library copies out when it loads (92 MB become 3). The vocoder's channels are
cut to 16 (``tests/worker_torch/stand_ins/sitecustomize.py`` does the same where it is loaded), or
its first piece would take a second and a half of computing.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from TTS.tts.configs.xtts_config import XttsConfig
from TTS.tts.models import xtts
from TTS.tts.models.xtts import XttsArgs, XttsAudioConfig


WIDTH = 64
CHANNELS = 16
LANGUAGES = (
    *("en", "es", "fr", "de", "it", "pt", "pl", "tr", "ru"),
    *("nl", "cs", "ar", "zh-cn", "hu", "ko", "ja", "hi"),
)
LETTERS = "abcdefghijklmnopqrstuvwxyzáéíóúüñ.,;:!?¿¡'-"


def narrow_vocoder() -> None:
    """Both who saves and who loads must agree on the vocoder's width."""
    xtts.HifiDecoder = functools.partial(
        xtts.HifiDecoder, upsample_initial_channel_decoder=CHANNELS
    )


def write_vocabulary(path: Path) -> dict[str, int]:
    special = ["[STOP]", "[UNK]", "[SPACE]", "[START]", *(f"[{code}]" for code in LANGUAGES)]
    vocabulary = {token: number for number, token in enumerate([*special, *LETTERS])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(special)
    tokenizer.save(str(path))
    return vocabulary


def configure(folder: Path, vocabulary: dict[str, int]) -> Any:
    arguments = XttsArgs(
        gpt_layers=2,
        gpt_n_model_channels=WIDTH,
        gpt_n_heads=2,
        gpt_num_audio_tokens=66,
        gpt_start_audio_token=64,
        gpt_stop_audio_token=65,
        # Random weights may never say stop; this ends them.
        gpt_max_audio_tokens=120,
        gpt_use_perceiver_resampler=True,
        decoder_input_dim=WIDTH,
        gpt_number_text_tokens=len(vocabulary),
        gpt_start_text_token=vocabulary["[START]"],
        gpt_stop_text_token=0,
        tokenizer_file=str(folder / "vocab.json"),
    )
    return XttsConfig(model_args=arguments, audio=XttsAudioConfig())


def shrink(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """One stored value per tensor of the fixed parts; the small parts stay random."""
    if not name.startswith("hifigan_decoder.") or tensor.numel() < 1024:
        return tensor
    value = torch.full((1,) * tensor.dim(), 0.01 if tensor.is_floating_point() else 0)
    return value.to(tensor.dtype).expand(tensor.shape)


def write(folder: Path) -> None:
    torch.manual_seed(7)
    narrow_vocoder()
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = write_vocabulary(folder / "vocab.json")
    config = configure(folder, vocabulary)
    config.save_json(str(folder / "config.json"))
    model = xtts.Xtts(config)
    model.tokenizer = xtts.VoiceBpeTokenizer(str(folder / "vocab.json"))
    model.init_models()
    weights = {name: shrink(name, tensor) for name, tensor in model.state_dict().items()}
    torch.save({"model": weights, "config": config.to_dict()}, folder / "model.pth")
    speakers = {
        name: {
            "gpt_cond_latent": torch.randn(1, 32, WIDTH),
            "speaker_embedding": torch.nn.functional.normalize(torch.randn(1, 512, 1), dim=1),
        }
        for name in ("Penny", "Carlos")
    }
    torch.save(speakers, folder / "speakers_xtts.pth")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
