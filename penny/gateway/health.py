"""Degraded-health checks, reported by `/readyz` and `/metrics`; none of them stops calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from penny.gateway.kb import OPENING, SharedKb
from penny.logs import LossyStream


class HealthChecks:
    """Checks of what calls can do without: knowledge base, log, and the rooms' own.

    Args:
        stderr: where log lines go; None where that is not this process's to say.
        others: each returns its fault, or ''.
    """

    def __init__(
        self, kb: SharedKb, stderr: LossyStream | None, others: Sequence[Callable[[], str]]
    ) -> None:
        self._kb = kb
        self._stderr = stderr
        self._others = others

    def tellers(self) -> tuple[Callable[[], str], ...]:
        """Each returns its fault, or ''."""
        return (self.knowledge_base, *self._others, self.log)

    def knowledge_base(self) -> str:
        fault = self._kb.fault()
        return f"knowledge base: {fault}" if fault and fault != OPENING else ""

    def log(self) -> str:
        failing = self._stderr is not None and self._stderr.is_failing
        return "log lines cannot be written" if failing else ""

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "penny_knowledge_base_up",
            "Whether the knowledge base is served and keeps up with the documents",
            value=float(not self._kb.fault()),
        )
        yield CounterMetricFamily(
            "penny_log_lines_lost",
            "Log lines that could not be written",
            value=self._stderr.lost if self._stderr is not None else 0,
        )
