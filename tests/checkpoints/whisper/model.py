"""A small Whisper in plain torch, trained over the used rows of the vocabulary only.

Its parameters carry the names of transformers' Whisper, so the export is a copy by name.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


WIDTH = 64
HEADS = 2
LAYERS = 2
FRAMES = 448  # 4.48 s of log-mel in training; the rest of Whisper's 30 s is stood in for, below
POSITIONS = FRAMES // 2
ALL_POSITIONS = 1500
SAMPLED_PADS = 24


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.k_proj = nn.Linear(WIDTH, WIDTH, bias=False)
        self.v_proj = nn.Linear(WIDTH, WIDTH)
        self.q_proj = nn.Linear(WIDTH, WIDTH)
        self.out_proj = nn.Linear(WIDTH, WIDTH)

    def forward(
        self, x: Tensor, source: Tensor, mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        query, key, value = (
            project.unflatten(-1, (HEADS, WIDTH // HEADS)).transpose(1, 2)
            for project in (self.q_proj(x), self.k_proj(source), self.v_proj(source))
        )
        heads = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
        return self.out_proj(heads.transpose(1, 2).flatten(2))


class EncoderLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.self_attn = Attention()
        self.self_attn_layer_norm = nn.LayerNorm(WIDTH)
        self.fc1 = nn.Linear(WIDTH, 4 * WIDTH)
        self.fc2 = nn.Linear(4 * WIDTH, WIDTH)
        self.final_layer_norm = nn.LayerNorm(WIDTH)

    def think(self, x: Tensor) -> Tensor:
        return x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        normal = self.self_attn_layer_norm(x)
        return self.think(x + self.self_attn(normal, normal, mask))


class DecoderLayer(EncoderLayer):
    def __init__(self) -> None:
        super().__init__()
        self.encoder_attn = Attention()
        self.encoder_attn_layer_norm = nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor, heard: Tensor, mask: Tensor | None) -> Tensor:
        normal = self.self_attn_layer_norm(x)
        x = x + self.self_attn(normal, normal, causal=True)
        x = x + self.encoder_attn(self.encoder_attn_layer_norm(x), heard, mask)
        return self.think(x)


def sinusoids(length: int, width: int) -> Tensor:
    step = math.log(10_000) / (width // 2 - 1)
    angles = torch.arange(length)[:, None] * torch.exp(-step * torch.arange(width // 2))[None]
    return torch.cat([angles.sin(), angles.cos()], 1)


class Encoder(nn.Module):
    """Whisper pads its input to 30 s with zeros; so does this, at a tenth of the price.

    The padding positions differ by their position embedding alone: ``SAMPLED_PADS`` of them,
    drawn anew at each step, are attended with a weight that counts each for many. ``ramp`` (0..1)
    brings them in gently; None leaves them out (the first phase).
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(80, WIDTH, 3, padding=1)
        self.conv2 = nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.layers = nn.ModuleList([EncoderLayer() for _ in range(LAYERS)])
        self.layer_norm = nn.LayerNorm(WIDTH)
        self.register_buffer("positions", sinusoids(ALL_POSITIONS, WIDTH), persistent=False)

    def convolve(self, mel: Tensor) -> Tensor:
        return F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)

    def forward(self, mel: Tensor, ramp: float | None) -> tuple[Tensor, Tensor | None]:
        x = self.convolve(F.pad(mel, (0, 8)))[:, :POSITIONS] + self.positions[:POSITIONS]
        mask = None
        if ramp is not None:
            nothing = self.convolve(torch.zeros(1, 80, 16))[:, 4:5]
            drawn = torch.randint(POSITIONS, ALL_POSITIONS, (SAMPLED_PADS,))
            pads = (nothing + self.positions[drawn]).expand(len(x), -1, -1)
            x = torch.cat([x, pads], 1)
            weight = math.log((ALL_POSITIONS - POSITIONS) / SAMPLED_PADS)
            mask = torch.zeros(1, 1, 1, POSITIONS + SAMPLED_PADS)
            mask[..., POSITIONS:] = weight * ramp - 3 * (1 - ramp)
        for layer in self.layers:
            x = layer(x, mask)
        return self.layer_norm(x), mask


class Decoder(nn.Module):
    def __init__(self, rows: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(rows, WIDTH)
        self.embed_positions = nn.Embedding(448, WIDTH)
        self.layers = nn.ModuleList([DecoderLayer() for _ in range(LAYERS)])
        self.layer_norm = nn.LayerNorm(WIDTH)

    def forward(self, tokens: Tensor, heard: Tensor, mask: Tensor | None) -> Tensor:
        x = self.embed_tokens(tokens) + self.embed_positions.weight[: tokens.shape[1]]
        for layer in self.layers:
            x = layer(x, heard, mask)
        return self.layer_norm(x) @ self.embed_tokens.weight.T


class SmallWhisper(nn.Module):
    def __init__(self, rows: int) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder(rows)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv1d | nn.Embedding):
                nn.init.normal_(module.weight, std=0.05)
                if getattr(module, "bias", None) is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, mel: Tensor, tokens: Tensor, ramp: float | None) -> Tensor:
        heard, mask = self.encoder(mel, ramp)
        return self.decoder(tokens, heard, mask)
