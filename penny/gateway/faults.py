"""What of the house is out of order while calls go on: for `/readyz` and `/metrics`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from brain.service import BrainCounts
from penny.gateway.kb import OPENING, SharedKb
from penny.logs import LossyStream


class HouseFaults:
    """Args:
    counts: the brain's, where there is one. stderr: where log lines go, when that is ours to say.
    """

    def __init__(
        self, kb: SharedKb, counts: BrainCounts | None, stderr: LossyStream | None
    ) -> None:
        self._kb = kb
        self._journals = counts.journals if counts is not None else None
        self._stderr = stderr

    def tellers(self) -> tuple[Callable[[], str], ...]:
        """Each tells its fault, or ''."""
        return (self.knowledge_base, self.journal, self.log)

    def knowledge_base(self) -> str:
        fault = self._kb.fault()
        return f"knowledge base: {fault}" if fault and fault != OPENING else ""

    def journal(self) -> str:
        reason = self._journals.reason if self._journals is not None else ""
        return f"journals of sessions are not written: {reason}" if reason else ""

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
