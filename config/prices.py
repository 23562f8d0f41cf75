"""What the vendors' models cost and which names are retired: the defaults of ``models:``.

Prices are USD per 1,000,000 tokens, by modality, from the vendors' price pages as of 2026-11;
``penny.yaml`` overrides them row by row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from pydantic import Field

from config.section import Section


class TokenPrices(Section):
    """Token prices by modality.

    USD per 1,000,000 tokens; a modality that a model does not have stays null.
    """

    text_in: float | None = Field(default=None, ge=0, description="text read, not cached")
    text_cached: float | None = Field(
        default=None, ge=0, description="text read from the prompt cache"
    )
    text_out: float | None = Field(default=None, ge=0, description="text written")
    audio_in: float | None = Field(default=None, ge=0, description="audio heard, not cached")
    audio_cached: float | None = Field(
        default=None, ge=0, description="audio read from the prompt cache"
    )
    audio_out: float | None = Field(default=None, ge=0, description="audio spoken")
    image_in: float | None = Field(default=None, ge=0, description="images seen, not cached")
    image_cached: float | None = Field(
        default=None, ge=0, description="images from the prompt cache"
    )
    cache_write_5m: float | None = Field(
        default=None, ge=0, description="text written to a 5 min cache"
    )
    cache_write_1h: float | None = Field(
        default=None, ge=0, description="text written to a 1 h cache"
    )


class LongPromptPrices(TokenPrices):
    """The rates of a whole request whose prompt is longer than ``above_tokens``."""

    above_tokens: int = Field(gt=0, description="prompt length from which these rates hold")


class ModelPrices(TokenPrices):
    """USD per 1,000,000 tokens of one model, by modality, and when it is turned off."""

    per_minute: float | None = Field(
        default=None, ge=0, description="USD per minute, where time is billed"
    )
    long_prompt: LongPromptPrices | None = Field(default=None, description="rates of long prompts")
    retires_on: date | None = Field(
        default=None, description="day on which the vendor turns it off"
    )


_REALTIME_RETIREMENT = date(2027, 1, 20)
_TRANSCRIPTION_RETIREMENT = date(2027, 2, 26)

_FLAGSHIP = TokenPrices(
    text_in=4.0,
    text_cached=0.4,
    text_out=24.0,
    audio_in=32.0,
    audio_cached=0.4,
    audio_out=64.0,
    image_in=5.0,
    image_cached=0.5,
).model_dump(exclude_none=True)
_MINI = TokenPrices(
    text_in=0.6,
    text_cached=0.06,
    text_out=2.4,
    audio_in=10.0,
    audio_cached=0.3,
    audio_out=20.0,
    image_in=0.8,
    image_cached=0.08,
).model_dump(exclude_none=True)
_FIRST_GA = TokenPrices(
    text_in=4.0,
    text_cached=0.4,
    text_out=16.0,
    audio_in=32.0,
    audio_cached=0.4,
    audio_out=64.0,
).model_dump(exclude_none=True)
_FIRST_MINI = {key: _MINI[key] for key in _FIRST_GA}


def _claude(
    text_in: float, write_5m: float, write_1h: float, read: float, out: float
) -> ModelPrices:
    return ModelPrices(
        text_in=text_in,
        cache_write_5m=write_5m,
        cache_write_1h=write_1h,
        text_cached=read,
        text_out=out,
    )


PRICES: dict[str, ModelPrices] = {
    "gpt-realtime-2.1": ModelPrices(**_FLAGSHIP),
    "gpt-realtime-2": ModelPrices(**_FLAGSHIP),
    "gpt-realtime-2.1-mini": ModelPrices(**_MINI),
    "gpt-realtime-1.5": ModelPrices(**_FIRST_GA),
    "gpt-realtime": ModelPrices(**_FIRST_GA, retires_on=_REALTIME_RETIREMENT),
    "gpt-realtime-mini": ModelPrices(**_FIRST_MINI, retires_on=_REALTIME_RETIREMENT),
    "gpt-live-1": ModelPrices(per_minute=0.05),
    "gpt-realtime-whisper": ModelPrices(per_minute=0.017),
    "gpt-live-transcribe": ModelPrices(per_minute=0.017),
    "gpt-transcribe": ModelPrices(per_minute=0.0045),
    "claude-haiku-5-5": _claude(0.1, 0.125, 0.2, 0.01, 0.5).model_copy(
        update={
            "long_prompt": LongPromptPrices(
                above_tokens=100_000,
                text_in=0.5,
                cache_write_5m=0.625,
                cache_write_1h=1.0,
                text_cached=0.05,
                text_out=2.5,
            )
        }
    ),
    "claude-sonnet-5-5": _claude(2.0, 2.5, 4.0, 0.1, 10.0),
    "claude-opus-5-5": _claude(4.0, 5.0, 8.0, 0.2, 20.0),
    "claude-haiku-4-5": _claude(1.0, 1.25, 2.0, 0.1, 5.0),
}

ALIASES: dict[str, str] = {
    "gpt-4o-realtime": "gpt-realtime-2.1",
    "gpt-4o-realtime-preview": "gpt-realtime-2.1",
    "gpt-4o-realtime-preview-2024-10-01": "gpt-realtime-2.1",
    "gpt-4o-realtime-preview-2024-12-17": "gpt-realtime-2.1",
    "gpt-4o-realtime-preview-2025-06-03": "gpt-realtime-2.1",
    "gpt-4o-mini-realtime": "gpt-realtime-2.1-mini",
    "gpt-4o-mini-realtime-preview": "gpt-realtime-2.1-mini",
    "gpt-4o-mini-realtime-preview-2024-12-17": "gpt-realtime-2.1-mini",
    "claude-sonnet-4-20250514": "claude-sonnet-5-5",
    "claude-sonnet-4-0": "claude-sonnet-5-5",
    "claude-opus-4-20250514": "claude-opus-5-5",
    "claude-opus-4-0": "claude-opus-5-5",
}

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
