"""A graph of steps over one call: each has a version, and runs again when what it rests on changed.

A step that failed is told with its reason; those that need it are skipped, and no other is.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog

from penny.analysis.dialogue import Said
from penny.calls.record import Call
from penny.errors import PennyError


log = structlog.get_logger()

Json = dict[str, Any]
StepState = Literal["completed", "skipped", "failed"]


class Skipped(Exception):
    """A step has nothing to work with; its text is the reason that is shown."""


class Throttled(PennyError):
    """A model refuses for now: the call is tried again later, and no attempt is counted."""

    code = "analysis_throttled"
    retryable = True


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Args:
        needs: names of steps before it; all must have come to a result, unless they are optional.
        prefers: steps before it that may have been skipped.
        settings: what of the configuration it depends on.
        is_slow: its result is written down before the next step begins.
    """

    name: str
    version: int
    run: Callable[[Work], Json | Awaitable[Json]]
    needs: tuple[str, ...] = ()
    prefers: tuple[str, ...] = ()
    settings: Callable[[Work], object] = lambda _work: None
    is_slow: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a step of a call."""

    step: str
    version: int
    basis: str
    state: StepState
    reason: str = ""
    attempts: int = 0
    result: Json = field(default_factory=dict)


@dataclass(slots=True)
class Work:
    """One call on its way through the graph. ``said`` is by the better transcript once there is
    one; ``tools`` are what steps work with (``steps.Tools``), ``vectors`` those of sentences that
    a step had made: half of an analysis is spent on them."""

    call: Call
    said: list[Said]
    tools: Any
    results: dict[str, Json] = field(default_factory=dict)
    vectors: dict[str, Any] = field(default_factory=dict)


def name_graph(steps: Sequence[Step]) -> str:
    """What tells one graph from another: names and versions."""
    told = ",".join(f"{step.name}:{step.version}" for step in steps)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


async def run_steps(
    steps: Sequence[Step],
    work: Work,
    kept: Mapping[str, Kept],
    keep: Callable[[Kept], Awaitable[None]] | None = None,
) -> list[Kept]:
    """Every step of a call, those that stand left as they are.

    Args:
        keep: told of a step that has just been run, before the next begins.

    Raises:
        Throttled: what was done until then was given to ``keep``.
    """
    done: dict[str, Kept] = {}
    for step in steps:
        basis = _basis(step, work, done)
        before = kept.get(step.name)
        if before is not None and before.state == "completed" and before.basis == basis:
            done[step.name] = before
        else:
            done[step.name] = await _run(step, work, done, basis, before)
            if keep is not None:
                await keep(done[step.name])
        if done[step.name].state == "completed":
            work.results[step.name] = done[step.name].result
    return list(done.values())


async def _run(
    step: Step, work: Work, done: Mapping[str, Kept], basis: str, before: Kept | None
) -> Kept:
    missing = [need for need in step.needs if done[need].state != "completed"]
    attempts = (before.attempts if before is not None and before.basis == basis else 0) + 1

    def told(state: StepState, reason: str = "", result: Json | None = None) -> Kept:
        return Kept(step.name, step.version, basis, state, reason[:256], attempts, result or {})

    if missing:
        return told("skipped", f"it needs {', '.join(missing)}")
    try:
        result = step.run(work)
        return told("completed", result=await result if inspect.isawaitable(result) else result)
    except Skipped as reason:
        return told("skipped", str(reason))
    except Throttled:
        raise
    except Exception as error:
        # Its text may hold what was said.
        log.exception("analysis_step_failed", step=step.name, call_id=work.call.id)
        code = f": {error.code}" if isinstance(error, PennyError) else ""
        return told("failed", f"{type(error).__name__}{code}")


def _basis(step: Step, work: Work, done: Mapping[str, Kept]) -> str:
    below = [f"{done[each].basis}{done[each].state}" for each in (*step.needs, *step.prefers)]
    told = repr((step.name, step.version, step.settings(work), below))
    return hashlib.sha256(told.encode()).hexdigest()[:32]
