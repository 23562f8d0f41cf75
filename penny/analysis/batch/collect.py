"""What all steps of a call found, as it is written: derived data, metrics and figures. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penny.analysis.batch.graph import Kept, Work
from penny.analysis.batch.jobs import Found


Json = dict[str, Any]


OPTIONAL = ("transcript", "model")
"""Steps that make others better, and whose absence leaves nothing out."""


def collect(work: Work, steps: Sequence[Kept], given_up: str = "") -> Found:
    """What is written of a call.

    Args:
        given_up: why nothing more is tried.
    """
    failed = [step for step in steps if step.state == "failed"]
    state, reason = "completed", ""
    if given_up or failed:
        state, reason = "failed", given_up or f"{failed[0].step}: {failed[0].reason}"
    elif not work.said:
        state, reason = "skipped", "nothing that was said is kept"
    is_partial = any(
        step.state == "failed" or (step.state == "skipped" and step.step not in OPTIONAL)
        for step in steps
    )
    made = work.results
    mood, topics = made.get("sentiment", {}), made.get("topics", {}).get("topics", [])
    outcome = made["outcome"]["outcome"] if work.said and "outcome" in made else None
    score = made.get("quality", {}).get("score")
    metrics: Json = {
        "sentiment_trend": mood.get("trend"),
        "final_sentiment": mood.get("level"),
        "outcome": outcome,
        "topics": topics or None,
        "quality_score": None if score is None else round(score / 100, 3),
    }
    columns: Json = {
        "outcome": outcome,
        "sentiment": mood.get("level"),
        "intent": made.get("intent", {}).get("name"),
        "topics": topics or None,
    }
    told = {"state": state, "reason": reason or None, "is_partial": is_partial}
    derived = {**told, "steps": _steps(steps), **_derived(made)}
    figures = {"is_partial": is_partial, "outcome": outcome, **_figures(work)}
    return Found(steps, derived, metrics, figures, columns, state, reason)


def _steps(steps: Sequence[Kept]) -> Json:
    return {
        step.step: {"state": step.state, "version": step.version, "reason": step.reason or None}
        for step in steps
    }


def _derived(made: dict[str, Json]) -> Json:
    """Of the record; what no step found is None or empty."""
    signs, rules = made.get("signs", {}), made.get("compliance", {}).get("rules", [])
    broken = [
        {
            "kind": "compliance",
            "turns": rule["turns"],
            "reason": f"{rule['rule']}: {rule['reason']}",
        }
        for rule in rules
        if not rule["kept"]
    ]
    return {
        "sentiment": made.get("sentiment"),
        "intent": made.get("intent", {}).get("name"),
        "intents": made.get("intent"),
        "entities": made.get("entities", {}).get("entities", []),
        "topics": made.get("topics", {}).get("topics", []),
        "keywords": made.get("topics", {}).get("keywords", []),
        "promises": made.get("promises", {}).get("promises", []),
        "compliance": rules,
        "signs": signs or None,
        "outcome": made.get("outcome"),
        "summary": made.get("summary"),
        "quality": made.get("quality"),
        "model": _model(made.get("model")),
        "disagreement": made.get("transcript", {}).get("disagreement"),
        "alerts": [*signs.get("alerts", []), *broken],
    }


def _model(told: Json | None) -> Json | None:
    """Who told, what it used, and how much of it no turn held."""
    return told and {name: told[name] for name in ("engine", "usage", "dropped")}


def _figures(work: Work) -> Json:
    """The columns of ``call_figures``."""
    made = work.results
    mood, wants = made.get("sentiment", {}), made.get("intent", {})
    kinds = [sign["kind"] for sign in made.get("signs", {}).get("signs", [])]
    marks = [mark["kind"] for turn in work.call.turns for mark in turn.marks]
    rules = made.get("compliance", {}).get("rules", [])
    return {
        "sentiment": mood.get("score"),
        "sentiment_level": mood.get("level"),
        "sentiment_start": mood.get("start"),
        "sentiment_end": mood.get("end"),
        "intent": wants.get("name"),
        "intent_confidence": wants.get("confidence"),
        "topics": made.get("topics", {}).get("topics", []),
        "quality": made.get("quality", {}).get("score"),
        "disagreement": made.get("transcript", {}).get("disagreement"),
        "escalated": "wants_person" in kinds or "handoff" in marks,
        "repeated": "asked_again" in kinds or "answered_again" in kinds,
        "promises": len(made.get("promises", {}).get("promises", [])),
        "compliance_failed": sum(not rule["kept"] for rule in rules),
        "corrections": marks.count("correction"),
        "clarifications": marks.count("clarification"),
    }
