"""What the brains of all sessions share: the model's client, the knowledge base, the breakers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from brain.analysis import Analysis, AnalysisRequest, BrainFailure
from brain.claude import Bill, Claude
from brain.outcomes import Effectiveness
from config.brain import BrainSection, Depth
from config.schema import ModelsSection
from kb import KnowledgeBase
from penny.aio.breaker import CircuitBreaker


log = structlog.get_logger()

KIND_OF_FAILURE = {
    "overloaded": "server",
    "server_error": "server",
    "connection": "server",
    "deadline": "slow",
    "rate_limited": "rate",
    "credentials": "credentials",
    "broken_json": "answers",
}
"""Failure code -> the breaker it counts for. What only this request is to blame for (a refusal, an
answer cut short, and above all a request of ours that the vendor does not take) counts for none."""
OUR_MISTAKE = frozenset({"invalid_request", "credentials"})
"""Codes that no wait mends: told to the operator and to every session."""


@dataclass(slots=True)
class BrainCounts:
    """What ``/metrics`` and ``/readyz`` show of the brain, over all sessions.

    ``analyses``: by outcome: ``ok``, ``aborted``, or the failure's code. ``refused``: model -> why
    the vendor refuses what it is sent; empty while it takes it.
    """

    analyses: Counter[str] = field(default_factory=Counter)
    kb_only: int = 0
    effectiveness: Effectiveness = field(default_factory=Effectiveness)
    rollovers: Counter[str] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    refused: dict[str, str] = field(default_factory=dict)
    not_understood: Counter[str] = field(default_factory=Counter)
    """Events of the speaker's that were passed over, by type."""


class BrainService:
    """One per gateway.

    Args:
        thinker: None when no model can be asked: then every folio is the knowledge base's.
        default_model: for depths that name none.
        clock: the loop's, seconds.
        now: wall clock, with its zone.
        counts: of the mode, over all sessions.
    """

    def __init__(
        self,
        settings: BrainSection,
        models: ModelsSection,
        thinker: Claude | None,
        base: KnowledgeBase | None,
        default_model: str,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        counts: BrainCounts,
    ) -> None:
        self.settings = settings
        self.models = models
        self.base = base
        self.clock = clock
        self.now = now
        self.counts = counts
        self._thinker = thinker
        self._default_model = default_model
        self._breakers: dict[tuple[str, str], CircuitBreaker] = {}

    def model_for(self, depth: Depth, wanted: str | None) -> str:
        """The session's own model, else the depth's, else the default; retired names mapped."""
        return self.models.current(wanted or depth.model or self._default_model)

    async def ask(self, request: AnalysisRequest, model: str, depth: Depth, bill: Bill) -> Analysis:
        """Ask the model. Raises BrainFailure, counted here; what opens a breaker is logged here."""
        if self._thinker is None:
            raise BrainFailure("no model is configured", code="no_brain")
        if not self._allows(model):
            self.counts.analyses["breaker_open"] += 1
            raise BrainFailure("the model rests after failures", code="breaker_open")
        outcome = "aborted"
        try:
            analysis = await self._thinker.analyse(request, model, depth, bill)
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
        if self._thinker is not None:
            await self._thinker.aclose()
