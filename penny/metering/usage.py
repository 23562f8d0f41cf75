"""From a provider's usage to US dollars, by modality. Pure.

The sources are the usages themselves: ``response.usage`` of every ``response.done`` whatever its
status, ``usage`` of finished transcriptions, and a Messages API usage. Nothing is estimated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from config.prices import ModelPrices, TokenPrices, find_prices


Json = dict[str, Any]
Prices = Mapping[str, ModelPrices]

MILLION = 1_000_000
MODALITIES = ("text", "audio", "image")


@dataclass(frozen=True, slots=True)
class Charge:
    """One line of the bill. ``kind``: e.g. ``audio_in``, ``text_cached``, ``cache_write_5m``.

    ``amount``: tokens, or seconds where time is billed.
    """

    model: str
    kind: str
    amount: float
    usd: float


def price_response(usage: Json, model: str, prices: Prices) -> list[Charge]:
    """A Realtime response. A model of no vendor costs nothing (Penny's own worker)."""
    table = find_prices(model, prices)
    if table is None or not usage:
        return []
    return list(_response_lines(usage, model, table))


def _response_lines(usage: Json, model: str, table: TokenPrices) -> Iterator[Charge]:
    heard = usage.get("input_token_details") or {}
    cached_by = heard.get("cached_tokens_details") or {}
    cached_all = heard.get("cached_tokens") or 0
    told_by_modality = any(cached_by.get(f"{name}_tokens") for name in MODALITIES)
    for name in MODALITIES:
        tokens = heard.get(f"{name}_tokens") or 0
        if told_by_modality:
            cached = cached_by.get(f"{name}_tokens") or 0
        else:
            # Some servers only tell the sum: text stands first in the prompt.
            cached = min(tokens, cached_all)
            cached_all -= cached
        yield from _line(model, table, f"{name}_in", tokens - cached)
        yield from _line(model, table, f"{name}_cached", cached)
    said = usage.get("output_token_details") or {}
    for name in ("text", "audio"):
        yield from _line(model, table, f"{name}_out", said.get(f"{name}_tokens") or 0)


def price_transcription(usage: Json, model: str, prices: Prices) -> list[Charge]:
    """A finished transcription, billed by time or by tokens."""
    table = find_prices(model, prices)
    if table is None or not usage:
        return []
    if usage.get("type") == "duration":
        seconds = float(usage.get("seconds") or 0.0)
        return [Charge(model, "seconds", seconds, seconds / 60 * (table.per_minute or 0.0))]
    return list(_response_lines(_as_response(usage), model, table))


def _as_response(usage: Json) -> Json:
    details = usage.get("input_token_details") or {"audio_tokens": usage.get("input_tokens") or 0}
    said = {"text_tokens": usage.get("output_tokens") or 0}
    return {"input_token_details": details, "output_token_details": said}


def price_messages(usage: Json, model: str, prices: Prices) -> list[Charge]:
    """A Messages API call: ``input_tokens``, ``cache_write_5m_tokens``,
    ``cache_write_1h_tokens``, ``cache_read_tokens``, ``output_tokens``.

    A prompt past the model's ``long_prompt`` mark is billed whole at the long rates.
    """
    row = find_prices(model, prices)
    if row is None:
        return []
    table: TokenPrices = row
    written_5m = usage.get("cache_write_5m_tokens") or 0
    written_1h = usage.get("cache_write_1h_tokens") or 0
    fresh, read = usage.get("input_tokens") or 0, usage.get("cache_read_tokens") or 0
    long_prompt = row.long_prompt
    prompt_tokens = fresh + read + written_5m + written_1h
    if long_prompt is not None and prompt_tokens > long_prompt.above_tokens:
        table = long_prompt
    amounts = {
        "text_in": fresh,
        "cache_write_5m": written_5m,
        "cache_write_1h": written_1h,
        "text_cached": read,
        "text_out": usage.get("output_tokens") or 0,
    }
    return [line for kind, tokens in amounts.items() for line in _line(model, table, kind, tokens)]


def _line(model: str, table: TokenPrices, kind: str, tokens: int) -> Iterator[Charge]:
    if tokens > 0:
        yield Charge(model, kind, tokens, tokens * (getattr(table, kind) or 0.0) / MILLION)


def total_usd(charges: list[Charge]) -> float:
    return sum(charge.usd for charge in charges)
