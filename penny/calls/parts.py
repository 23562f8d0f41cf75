"""What one call adds to the figures: whole numbers by name, so that sums of them are exact. Pure.

A name is a word, or ``family:label`` (``topic:billing``, ``ms:total:181``). Money is counted in
millionths of a dollar, sentiment in thousandths. Latencies are counted in buckets that are each
``GAMMA`` times as wide as the one before (DDSketch: Masson, Rim, Lee, VLDB 2019), so that counts of
any two calls can be added: a quantile read from them is within ``ERROR`` of the exact one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import ceil, log
from typing import Any


Json = dict[str, Any]
Parts = dict[str, int]

VERSION = 1
"""Of what is counted: calls that an earlier one counted are counted again."""
ERROR = 0.02
GAMMA = (1 + ERROR) / (1 - ERROR)
STAGES = ("stt", "llm", "tts", "total")
"""Of a turn, as the user's documents name them: until the words, the first token, the first sound;
and all of it, from the end of the caller's speech."""
LEVELS = {
    "very_negative": -1.0,
    "negative": -0.5,
    "neutral": 0.0,
    "positive": 0.5,
    "very_positive": 1.0,
}
"""Sentiment of a call, and what it counts in an average."""


def bucket_of(ms: float) -> int:
    """The bucket of a duration; 0 up to 1 ms."""
    return 0 if ms <= 1 else ceil(log(ms) / log(GAMMA))


def bucket_ms(bucket: int) -> float:
    """The duration that a bucket stands for, within ``ERROR`` of each in it, or a millisecond."""
    return 2 * GAMMA**bucket / (GAMMA + 1) if bucket else 1.0


def quantile(buckets: Mapping[int, int], share: float) -> float | None:
    """The lower quantile in ms; None of nothing."""
    total = sum(buckets.values())
    if not total:
        return None
    rank, seen = int(share * (total - 1)), 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen > rank:
            return bucket_ms(bucket)
    raise AssertionError("the ranks end with the last bucket")


def stage_ms(latency: Mapping[str, int | None]) -> dict[str, int]:
    """How long each of ``STAGES`` of a turn took, where that is known.

    Args:
        latency: ``Turn.latency_ms``.
    """
    transcript, token, audio = (
        latency.get(name) for name in ("transcript", "first_token", "first_audio")
    )
    told = {
        "stt": transcript,
        "llm": token - transcript if None not in (transcript, token) else None,  # type: ignore[operator]
        "tts": audio - token if None not in (token, audio) else None,  # type: ignore[operator]
        "total": audio,
    }
    return {stage: max(0, ms) for stage, ms in told.items() if ms is not None}


def slowest(turns: Sequence[Json]) -> dict[str, int]:
    """The highest bucket of each stage that any turn of a call reached."""
    most: dict[str, int] = {}
    for turn in _spoken(turns):
        for stage, ms in stage_ms(turn["latency_ms"]).items():
            most[stage] = max(most.get(stage, 0), bucket_of(ms))
    return most


def parts_of(row: Json, turns: Sequence[Json], found: Json | None = None) -> Parts:
    """What a call adds.

    Args:
        row: its columns and its ``record``.
        turns: as they are kept (``Turn`` as JSON).
        found: the row of its analysis; None where there is none yet.
    """
    parts: Counter[str] = Counter(calls=1)
    parts[f"end:{row['end_reason'] or row['status']}"] = 1
    parts[f"direction:{row['direction']}"] = 1
    for name, exposed in (row["record"].get("experiments") or {}).items():
        parts[f"arm:{name}:{exposed['phase']}:{exposed['arm']}"] = 1
    if row["status"] == "failed":  # nobody talked
        parts["unanswered"] = 1
        return dict(parts)
    parts.update(
        answered=1,
        duration_ms=row["duration_ms"],
        turns=row["turns"],
        interruptions=row["interruptions"],
    )
    for turn in _spoken(turns):
        for stage, ms in stage_ms(turn["latency_ms"]).items():
            parts[f"ms:{stage}:{bucket_of(ms)}"] += 1
            parts[f"took_ms:{stage}"] += ms
            parts[f"timed:{stage}"] += 1
    marks = Counter(mark["kind"] for turn in turns for mark in turn["marks"])
    parts.update(corrections=marks["correction"], handoffs=marks["handoff"])
    parts.update(_cost(row))
    parts.update(_understood(row, (found or {}).get("sentiment")))
    if found is not None:
        parts.update(_judged(found))
    if found is not None or row["processed"]:
        parts["analysed"] = 1
    if row["outcome"] == "transferred" or row["end_reason"] == "handoff" or marks["handoff"]:
        parts["escalated"] = 1
    return {name: number for name, number in parts.items() if number}


def _spoken(turns: Sequence[Json]) -> Iterator[Json]:
    return (turn for turn in turns if turn["number"] > 0)


def _cost(row: Json) -> Parts:
    if row["cost_usd"] is None:
        return {"cost_unknown": 1}
    by = row["record"].get("cost", {}).get("usd_by") or {}
    return {
        "cost_known": 1,
        "cost_uusd": round(row["cost_usd"] * 1e6),
        **{f"cost_uusd:{name}": round(usd * 1e6) for name, usd in by.items()},
    }


def _understood(row: Json, score: float | None) -> Parts:
    """What was understood of it; what nothing could judge is counted as ``unknown``.

    Args:
        score: its sentiment, -1..1, where that is known closer than by its level.
    """
    derived = row["record"].get("derived", {})
    parts: Counter[str] = Counter()
    # Of the analysis, not of the call: never part of what calls cost.
    parts["analysis_uusd"] = round(
        1e6 * (((derived.get("model") or {}).get("usage") or {}).get("usd") or 0)
    )
    for name in ("outcome", "intent"):
        parts[f"{name}:{row[name] or 'unknown'}"] = 1
    level = row["sentiment"] if row["sentiment"] in LEVELS else None
    parts[f"sentiment:{level or 'unknown'}"] = 1
    if row["outcome"]:
        parts["judged"] = 1
    if level is not None:
        parts["felt"] = 1
        parts["sentiment_thousandths"] = round(1000 * (LEVELS[level] if score is None else score))
    for topic in set(row["topics"] or ()):
        parts[f"topic:{topic}"] = 1
    kinds = {str(alert.get("kind")) for alert in derived.get("alerts") or ()}
    parts.update(f"alert:{kind}" for kind in kinds)
    if kinds:
        parts["alerted"] = 1
    for rule in derived.get("compliance") or ():
        if isinstance(rule, dict) and rule.get("kept") is False:
            parts[f"rule:{rule.get('rule')}"] = 1
    return dict(parts)


def _judged(found: Json) -> Parts:
    """What a call's row of ``call_figures`` adds; None there is counted as neither."""
    parts = {
        name: int(found[name] or 0)
        for name in ("repeated", "promises", "compliance_failed", "clarifications")
    }
    parts["partial"] = int(found["is_partial"])
    parts["compliance_judged"] = 1
    parts["compliance_broken" if found["compliance_failed"] else "compliance_kept"] = 1
    for name, scale in (("quality", 10), ("disagreement", 1000)):
        if found[name] is not None:
            parts |= {f"{name}_known": 1, f"{name}_sum": round(scale * found[name])}
    return parts
