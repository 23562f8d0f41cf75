"""What ``/metrics`` shows of the brain: folios, corrections, analyses."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric

from brain.service import BrainCounts


class BrainCollector:
    """Reads the mode's own counts when Prometheus asks.

    Shares are ratios of these counters: applied in time is
    ``penny_folios_total{outcome="in_time"} / penny_folios_total{outcome="written"}``.
    """

    def __init__(self, counts: BrainCounts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        worth = self._counts.worth
        folios = CounterMetricFamily("penny_folios", "Folios by outcome", labels=["outcome"])
        for outcome, value in (
            ("written", worth.folios),
            ("in_time", worth.in_time),
            ("late", worth.late),
            ("stale", worth.stale),
            ("kb_only", self._counts.kb_only),
        ):
            folios.add_metric([outcome], value)
        yield folios
        usd = CounterMetricFamily("penny_folio_usd", "US dollars spent on folios")
        usd.add_metric([], worth.usd)
        yield usd
        corrections = CounterMetricFamily(
            "penny_corrections", "Spoken corrections by outcome", labels=["outcome"]
        )
        for outcome, value in (
            ("made", worth.corrections_made),
            ("confirmed", worth.corrections_confirmed),
            ("ignored", worth.corrections_ignored),
        ):
            corrections.add_metric([outcome], value)
        yield corrections
        analyses = CounterMetricFamily(
            "penny_brain_analyses", "Analyses by outcome", labels=["outcome"]
        )
        for outcome, count in sorted(self._counts.analyses.items()):
            analyses.add_metric([outcome], count)
        yield analyses
        yield CounterMetricFamily(
            "penny_journal_entries_lost",
            "Entries of sessions' journals that the disk did not take",
            value=self._counts.journals.entries_lost,
        )
        rollovers = CounterMetricFamily(
            "penny_upstream_replaced", "Upstreams replaced by reason", labels=["reason"]
        )
        for reason, count in sorted(self._counts.rollovers.items()):
            rollovers.add_metric([reason], count)
        yield rollovers
        actions = CounterMetricFamily("penny_actions", "Actions by status", labels=["status"])
        for status, count in sorted(self._counts.actions.items()):
            actions.add_metric([status], count)
        yield actions
