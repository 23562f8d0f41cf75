"""What the brains of all sessions share: the model's client, the knowledge base, the breaker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from brain.analysis import Analysis, AnalysisRequest, BrainFailure
from brain.breaker import CircuitBreaker
from brain.desk import Effectiveness
from brain.journal import JournalHealth
from config.brain import BrainSection, Depth
from config.schema import ModelsSection
from kb import KnowledgeBase


log = structlog.get_logger()


class Thinker(Protocol):
    """Who analyses: Claude, or what a replay puts in its place."""

    async def analyse(self, request: AnalysisRequest, model: str, depth: Depth) -> Analysis:
        """Raises BrainFailure."""
        ...

    async def aclose(self) -> None: ...


@dataclass(slots=True)
class BrainCounts:
    """What ``/metrics`` shows of the brain, over all sessions."""

    analyses: Counter[str] = field(default_factory=Counter)
    """By outcome: ``ok``, ``superseded``, or the failure's code."""
    kb_only: int = 0
    worth: Effectiveness = field(default_factory=Effectiveness)
    rollovers: Counter[str] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    journals: JournalHealth = field(default_factory=JournalHealth)

    def add(self, worth: Effectiveness) -> None:
        for name in Effectiveness.__dataclass_fields__:
            setattr(self.worth, name, getattr(self.worth, name) + getattr(worth, name))


class BrainService:
    """One per gateway.

    Args:
        thinker: None when no model can be asked: then every folio is the knowledge base's.
        default_model: for depths that name none.
        clock: the loop's, seconds.
    """

    def __init__(
        self,
        settings: BrainSection,
        models: ModelsSection,
        thinker: Thinker | None,
        base: KnowledgeBase | None,
        default_model: str,
        clock: Callable[[], float],
        timestamp: Callable[[], str],
    ) -> None:
        self.settings = settings
        self.models = models
        self.base = base
        self.clock = clock
        self.timestamp = timestamp
        self.counts = BrainCounts()
        self._thinker = thinker
        self._default_model = default_model
        breaker = settings.breaker
        self._breaker = CircuitBreaker(breaker.failures, breaker.cooldown_s, breaker.max_cooldown_s)

    @property
    def thinks(self) -> bool:
        return self._thinker is not None

    def model_for(self, depth: Depth, wanted: str | None) -> str:
        """The session's own model, else the depth's, else the default; retired names mapped."""
        return self.models.current(wanted or depth.model or self._default_model)

    async def ask(self, request: AnalysisRequest, model: str, depth: Depth) -> Analysis:
        """Ask the model. Raises BrainFailure, counted here; opening the breaker is logged here."""
        if self._thinker is None:
            raise BrainFailure("no model is configured", code="no_brain")
        if not self._breaker.allows(self.clock()):
            self.counts.analyses["breaker_open"] += 1
            raise BrainFailure("the brain rests after failures", code="breaker_open")
        settled = False
        try:
            analysis = await self._thinker.analyse(request, model, depth)
            settled = True
            self._breaker.succeeded()
            self.counts.analyses["ok"] += 1
            return analysis
        except BrainFailure as failure:
            settled = True
            self.counts.analyses[failure.code] += 1
            if self._breaker.failed(self.clock()):
                log.warning("brain_rests", code=failure.code, model=model)
            raise
        finally:
            if not settled:
                self._breaker.abandoned()
                self.counts.analyses["superseded"] += 1

    async def aclose(self) -> None:
        if self._thinker is not None:
            await self._thinker.aclose()
