"""Trains the small Whisper in two phases of fixed length, then writes a transformers folder.

    python -m tests.checkpoints.whisper.train FOLDER

The order of difficulties is what makes it converge: first clear speech without padding, then
padding, strong augmentation and unknown speech together.
"""

from __future__ import annotations

import math
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from tests.checkpoints.whisper.augment import NOTHING, UNKNOWN, Augmenter, Example, load_clips
from tests.checkpoints.whisper.model import SmallWhisper
from tests.checkpoints.whisper.sentences import closed_set


@dataclass(frozen=True)
class Phase:
    """``strength`` and ``unknown``: from -> to of the augmentation over two thirds of it."""

    name: str
    steps: int
    batch: int
    rate: float
    strength: tuple[float, float]
    unknown: tuple[float, float]
    padded: bool


PHASES = (
    Phase(
        "clear", int(os.environ.get("STEPS_A", "1200")), 48, 2e-3, (0.4, 0.6), (0.05, 0.05), False
    ),
    Phase(
        "real", int(os.environ.get("STEPS_B", "3600")), 32, 1.2e-3, (0.6, 1.0), (0.10, 0.22), True
    ),
)


class Vocabulary:
    """The rows of Whisper's vocabulary that the closed set uses, and how to write targets."""

    def __init__(self, tokenizer: Tokenizer, phrases: list[str]) -> None:
        named = ("startoftranscript", "endoftext", "es", "transcribe", "notimestamps", "nospeech")
        ids = [tokenizer.token_to_id(f"<|{name}|>") for name in named]
        self.start, self.end, self.es, self.task, self.untimed, self.silent = ids
        self.time_zero = tokenizer.token_to_id("<|0.00|>")
        self.texts = [
            tokenizer.encode(f" {text}", add_special_tokens=False).ids for text in phrases
        ]
        times = range(self.time_zero, self.time_zero + 251)
        self.used = sorted({*ids, *times, *(row for text in self.texts for row in text)})
        self.row = {token: row for row, token in enumerate(self.used)}
        self.full_size = tokenizer.get_vocab_size()

    def write(self, example: Example, chance: float) -> list[int]:
        head = [self.start, self.es, self.task]
        if example.phrase == NOTHING and chance < 0.34:
            return [self.start, self.silent, self.end]
        if example.phrase in (NOTHING, UNKNOWN):
            return [*head, self.time_zero if chance < 0.67 else self.untimed, self.end]
        text = self.texts[example.phrase]
        if chance < 0.6:
            times = (self.time_zero + example.lead // 2, self.time_zero + example.end // 2)
            return [*head, times[0], *text, times[1], self.end]
        return [*head, self.untimed, *text, self.end]


def make_batch(
    augmenter: Augmenter, vocabulary: Vocabulary, size: int, time_weight: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    examples = [augmenter.draw() for _ in range(size)]
    targets = [vocabulary.write(example, augmenter.random.random()) for example in examples]
    longest = max(map(len, targets)) - 1
    given = torch.full((size, longest), vocabulary.row[vocabulary.end])
    wanted = torch.full((size, longest), -100)
    weights = torch.ones(size, longest)
    for i, target in enumerate(targets):
        rows = torch.tensor([vocabulary.row[token] for token in target])
        given[i, : len(rows) - 1], wanted[i, : len(rows) - 1] = rows[:-1], rows[1:]
        for j, token in enumerate(target[1:]):
            if token >= vocabulary.time_zero:
                weights[i, j] = time_weight
    mel = torch.stack([torch.from_numpy(example.mel) for example in examples])
    return mel, given, wanted, weights


def train_phase(
    model: SmallWhisper, augmenter: Augmenter, vocabulary: Vocabulary, phase: Phase
) -> None:
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=phase.rate, weight_decay=0.02, betas=(0.9, 0.98)
    )
    # The unused rows of the full table are zero, so each adds exp(0) to the softmax: one constant
    # column makes the loss exactly that of the full-size model.
    unused = math.log(vocabulary.full_size - len(vocabulary.used))
    loss_mean = right_mean = 0.0
    began = time.process_time()
    for step in range(1, phase.steps + 1):
        done = step / phase.steps
        grow = min(1.0, done * 1.5)
        augmenter.strength = phase.strength[0] + (phase.strength[1] - phase.strength[0]) * grow
        augmenter.unknown_share = phase.unknown[0] + (phase.unknown[1] - phase.unknown[0]) * grow
        cooling = 0.5 * (1 + math.cos(math.pi * done)) + 0.02 if phase.padded else 1.0
        for group in optimizer.param_groups:
            group["lr"] = phase.rate * min(1.0, step / 100) * cooling
        weight = 0.5 if phase.padded else 0.999
        mel, given, wanted, weights = make_batch(augmenter, vocabulary, phase.batch, weight)
        logits = model(mel, given, min(1.0, done * 2.5) if phase.padded else None)
        logits = torch.cat([logits, torch.full((*logits.shape[:-1], 1), unused)], -1)
        kept = wanted != -100
        losses = F.cross_entropy(logits[kept], wanted[kept], reduction="none")
        loss = (losses * weights[kept]).sum() / weights[kept].sum()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        right = ((logits.argmax(-1) == wanted) | ~kept | (weights < 1)).all(1).float().mean().item()
        share = max(0.02, 1 / step)
        loss_mean += share * (loss.item() - loss_mean)
        right_mean += share * (right - right_mean)
        if step % 100 == 0:
            spent = time.process_time() - began
            print(
                f"{phase.name} {step} loss {loss_mean:.3f} right {right_mean:.3f} {spent:.0f} s",
                flush=True,
            )


def export(model: SmallWhisper, vocabulary: Vocabulary, tokenizer: Tokenizer, folder: Path) -> None:
    """Write the transformers folder that the CTranslate2 converter reads."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    config = WhisperConfig(
        vocab_size=vocabulary.full_size, num_mel_bins=80, d_model=64, encoder_layers=2,
        decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=256, decoder_ffn_dim=256, max_source_positions=1500,
        max_target_positions=448, pad_token_id=vocabulary.end, bos_token_id=vocabulary.end,
        eos_token_id=vocabulary.end, decoder_start_token_id=vocabulary.start,
        begin_suppress_tokens=None, suppress_tokens=None,
    )  # fmt: skip
    large = WhisperForConditionalGeneration(config)
    state = large.state_dict()
    for name, value in model.state_dict().items():
        if "embed_tokens" in name:
            state[f"model.{name}"].zero_()
            state[f"model.{name}"][vocabulary.used] = value
            state["proj_out.weight"].copy_(state[f"model.{name}"])
        else:
            state[f"model.{name}"].copy_(value)
    large.load_state_dict(state)
    generation = large.generation_config
    generation.suppress_tokens = generation.begin_suppress_tokens = []
    generation.no_timestamps_token_id = vocabulary.untimed
    generation.is_multilingual = True
    large.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)


def main(folder: Path) -> None:
    threads = int(os.environ.get("THREADS", "2"))
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    vocabulary = Vocabulary(tokenizer, closed_set())
    known = load_clips(folder / "clips.npz", "train")
    unknown = load_clips(folder / "clips.npz", "negative")
    augmenter = Augmenter(known, unknown, seed=0)
    model = SmallWhisper(len(vocabulary.used))
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"{len(known)} known, {len(unknown)} unknown clips, {count} parameters", flush=True)
    for phase in PHASES:
        train_phase(model, augmenter, vocabulary, phase)
        torch.save(model.state_dict(), folder / f"{phase.name}.pt")
    export(model, vocabulary, tokenizer, folder / "transformers")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
