"""What the vendors' models cost and which names are retired: the defaults of ``models:``.

The rows are those of ``prices.yaml``; ``penny.yaml`` overrides them one by one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import yaml
from pydantic import Field, TypeAdapter

from penny.section import Section


class TokenPrices(Section):
    """Token prices by modality.

    USD per 1,000,000 tokens; a modality that a model does not have stays null.
    """

    text_in: float | None = Field(None, ge=0, description="text read, not cached")
    text_cached: float | None = Field(None, ge=0, description="text read from the prompt cache")
    text_out: float | None = Field(None, ge=0, description="text written")
    audio_in: float | None = Field(None, ge=0, description="audio heard, not cached")
    audio_cached: float | None = Field(None, ge=0, description="audio read from the prompt cache")
    audio_out: float | None = Field(None, ge=0, description="audio spoken")
    image_in: float | None = Field(None, ge=0, description="images seen, not cached")
    image_cached: float | None = Field(None, ge=0, description="images from the prompt cache")
    cache_write_5m: float | None = Field(None, ge=0, description="text written to a 5 min cache")
    cache_write_1h: float | None = Field(None, ge=0, description="text written to a 1 h cache")


class LongPromptPrices(TokenPrices):
    """The rates of a whole request whose prompt is longer than ``above_tokens``."""

    above_tokens: int = Field(gt=0, description="prompt length from which these rates hold")


class ModelPrices(TokenPrices):
    """USD per 1,000,000 tokens of one model, by modality, and when it is turned off."""

    per_minute: float | None = Field(None, ge=0, description="USD per minute, where time is billed")
    long_prompt: LongPromptPrices | None = Field(None, description="rates of long prompts")
    retires_on: date | None = Field(None, description="day on which the vendor turns it off")


_TABLE = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
PRICES = TypeAdapter(dict[str, ModelPrices]).validate_python(_TABLE["prices"])
ALIASES = TypeAdapter(dict[str, str]).validate_python(_TABLE["aliases"])

FAMILIES = (
    "gpt-realtime-whisper",
    "gpt-realtime",
    "gpt-live-transcribe",
    "gpt-live",
    "gpt-",
    "claude-",
)
"""Beginnings of the vendors' names, the narrowest first: what a name without a row is like."""
_DATED = re.compile(r"(.+?)-(?:\d{8}|\d{4}-\d{2}-\d{2})")


def known_as(model: str, prices: Mapping[str, ModelPrices]) -> str | None:
    """The row that a model's name leads to: its own, or without its date; None where none does."""
    if model in prices:
        return model
    dated = _DATED.fullmatch(model)  # gpt-realtime-2025-08-28
    return dated[1] if dated and dated[1] in prices else None


def find_prices(model: str, prices: Mapping[str, ModelPrices]) -> ModelPrices | None:
    """The prices of a model, or at least as much as it can cost, so that a ceiling holds.

    A name without a row has of each rate the highest in its family. None for a name of no vendor:
    an own server sends no bill.
    """
    name = known_as(model, prices)
    if name is not None:
        return prices[name]
    family = next((each for each in FAMILIES if model.startswith(each)), None)
    kin = [row for name, row in prices.items() if family and name.startswith(family)]
    if not kin:
        return None
    rates = (*TokenPrices.model_fields, "per_minute")
    highest = {rate: max(getattr(row, rate) or 0.0 for row in kin) for rate in rates}
    return ModelPrices.model_validate({rate: usd for rate, usd in highest.items() if usd})
