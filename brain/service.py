"""What the brains of all sessions share: the model's client, the knowledge base, the breakers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING

import structlog
from prometheus_client.core import CounterMetricFamily, Metric

from brain.analysis import Analysis, AnalysisRequest, BrainFailure
from brain.folio import Outcome
from config.brain import BrainSection, Depth
from config.schema import ModelsSection
from kb import KnowledgeBase
from penny.aio.breaker import CircuitBreaker


if TYPE_CHECKING:
    from brain.claude import Bill, Claude


log = structlog.get_logger()

KIND_OF_FAILURE = {
    **dict.fromkeys(("overloaded", "server_error", "connection"), "server"),
    "deadline": "slow",
    "rate_limited": "rate",
    "credentials": "credentials",
    "broken_json": "answers",
}
"""Failure code -> the breaker it counts for; what only this request is to blame for has none."""
OUR_MISTAKE = frozenset({"invalid_request", "credentials"})
"""Codes that no wait mends: told to the operator and to every session."""


@dataclass(slots=True)
class Effectiveness:
    """Counts of what became of folios. ``in_time``: used at the latest for the turn after their
    own; ``stale``: gone before, because they came too late or a newer one was there."""

    folios: int = 0
    in_time: int = 0
    late: int = 0
    stale: int = 0
    usd: float = 0.0
    corrections_made: int = 0
    corrections_confirmed: int = 0
    corrections_ignored: int = 0

    def take(self, outcome: Outcome, *, is_new: bool, was_used: bool) -> None:
        """Count one outcome of a folio; ``is_new``: its first, ``was_used``: by a response."""
        folio = outcome.folio
        if is_new:
            self.folios += 1
            self.usd += folio.usd
        if outcome.state == "used" and not was_used:
            in_time = outcome.turn - folio.turn <= 1
            self.in_time += in_time
            self.late += not in_time
        elif outcome.state == "in_force":
            self.corrections_made += folio.kind == "correction" and not folio.urgent
        elif outcome.state == "gone":
            self.stale += outcome.reason in ("stale", "superseded") and not was_used
            self.corrections_confirmed += outcome.reason == "withdrawn:confirmed"
            self.corrections_ignored += outcome.reason == "withdrawn:ignored"

    def add(self, other: Effectiveness) -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def as_json(self) -> dict[str, float]:
        done = max(1, self.folios)
        same = ("folios", "corrections_made", "corrections_confirmed", "corrections_ignored")
        return {
            "applied_in_time_pct": round(100 * self.in_time / done, 1),
            "stale_pct": round(100 * self.stale / done, 1),
            "usd_per_folio": round(self.usd / done, 6),
            **{name: getattr(self, name) for name in same},
        }


@dataclass(slots=True)
class BrainCounts:
    """What ``/metrics`` and ``/readyz`` show of EXTERNAL, over all sessions.

    ``analyses``: by outcome: ``ok``, ``aborted``, or the failure's code. ``refused``: model -> why
    the vendor refuses what it is sent; empty while it takes it. ``not_understood``: events of the
    speaker's that were passed over, by type.
    """

    analyses: Counter[str] = field(default_factory=Counter)
    kb_only: int = 0
    effectiveness: Effectiveness = field(default_factory=Effectiveness)
    rollovers: Counter[str] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    refused: dict[str, str] = field(default_factory=dict)
    not_understood: Counter[str] = field(default_factory=Counter)

    def fault(self) -> str:
        """Which models refuse what they are sent, and why; '' for none."""
        return "; ".join(f"brain: {model} refuses: {why}" for model, why in self.refused.items())

    def collect(self) -> Iterator[Metric]:
        """Prometheus' figures. Shares are ratios of them: applied in time is
        ``penny_folios_total{outcome="in_time"} / penny_folios_total{outcome="written"}``."""
        folios = self.effectiveness
        outcomes = {name: getattr(folios, name) for name in ("in_time", "late", "stale")}
        outcomes |= {"written": folios.folios, "kb_only": self.kb_only}
        corrections = {
            name: getattr(folios, f"corrections_{name}")
            for name in ("made", "confirmed", "ignored")
        }
        labelled: tuple[tuple[str, str, str, Mapping[str, int]], ...] = (
            ("penny_folios", "Folios by outcome", "outcome", outcomes),
            ("penny_corrections", "Spoken corrections by outcome", "outcome", corrections),
            ("penny_brain_analyses", "Analyses by outcome", "outcome", self.analyses),
            ("penny_upstream_replaced", "Upstreams replaced by reason", "reason", self.rollovers),
            ("penny_actions", "Actions by status", "status", self.actions),
        )
        for name, about, label, values in labelled:
            family = CounterMetricFamily(name, about, labels=[label])
            for each, value in values.items():
                family.add_metric([each], value)
            yield family
        yield CounterMetricFamily("penny_folio_usd", "US dollars spent on folios", value=folios.usd)


@dataclass(slots=True)
class BrainService:
    """One per gateway.

    Args:
        thinker: None when no model can be asked: then every folio is the knowledge base's.
        default_model: for depths that name none.
        clock: the loop's, seconds. now: wall clock, with its zone.
        counts: of the mode, over all sessions.
    """

    settings: BrainSection
    models: ModelsSection
    thinker: Claude | None
    base: KnowledgeBase | None
    default_model: str
    clock: Callable[[], float]
    now: Callable[[], datetime]
    counts: BrainCounts
    _breakers: dict[tuple[str, str], CircuitBreaker] = field(default_factory=dict)

    def model_for(self, depth: Depth, wanted: str | None) -> str:
        """The session's own model, else the depth's, else the default; retired names mapped."""
        return self.models.current(wanted or depth.model or self.default_model)

    async def ask(self, request: AnalysisRequest, model: str, depth: Depth, bill: Bill) -> Analysis:
        """Ask the model. Raises BrainFailure, counted here; what opens a breaker is logged here."""
        if self.thinker is None:
            raise BrainFailure("no model is configured", code="no_brain")
        if not self._allows(model):
            self.counts.analyses["breaker_open"] += 1
            raise BrainFailure("the model rests after failures", code="breaker_open")
        outcome = "aborted"
        try:
            analysis = await self.thinker.analyse(request, model, depth, bill)
            outcome = "ok"
        except BrainFailure as failure:
            outcome = failure.code
            if failure.code in OUR_MISTAKE and self.counts.refused.get(model) != failure.message:
                self.counts.refused[model] = failure.message
                log.error("brain_request_refused", model=model, reason=failure.message)  # noqa: TRY400
            raise
        finally:
            self.counts.analyses[outcome] += 1
            self._settle(model, outcome)
        self.counts.refused.pop(model, None)
        return analysis

    def _allows(self, model: str) -> bool:
        mine = [each for (name, _), each in self._breakers.items() if name == model]
        passed = [each for each in mine if each.allows(self.clock())]
        if len(passed) == len(mine):
            return True
        for each in passed:
            each.abandoned()
        return False

    def _settle(self, model: str, outcome: str) -> None:
        kind = KIND_OF_FAILURE.get(outcome)
        if kind is not None and (model, kind) not in self._breakers:
            rest = self.settings.breaker
            self._breakers[model, kind] = CircuitBreaker(
                rest.failures, rest.cooldown_s, rest.max_cooldown_s
            )
        for (name, each), breaker in self._breakers.items():
            if name != model:
                continue
            if outcome == "ok":
                breaker.succeeded()
            elif each != kind:
                breaker.abandoned()
            elif breaker.failed(self.clock()):
                log.warning("brain_rests", model=model, code=outcome)

    async def aclose(self) -> None:
        if self.thinker is not None:
            await self.thinker.aclose()
