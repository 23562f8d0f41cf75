"""The brain in ``/metrics`` and ``/readyz``: folios, corrections, analyses; its faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, Metric

from brain.service import BrainCounts


class BrainCollector:
    """Prometheus collector of the brain: reads the mode's own counts when asked.

    Shares are ratios of these counters: applied in time is
    ``penny_folios_total{outcome="in_time"} / penny_folios_total{outcome="written"}``.
    """

    def __init__(self, counts: BrainCounts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        effectiveness = self._counts.effectiveness
        folios = CounterMetricFamily("penny_folios", "Folios by outcome", labels=["outcome"])
        for outcome, value in (
            ("written", effectiveness.folios),
            ("in_time", effectiveness.in_time),
            ("late", effectiveness.late),
            ("stale", effectiveness.stale),
            ("kb_only", self._counts.kb_only),
        ):
            folios.add_metric([outcome], value)
        yield folios
        usd = CounterMetricFamily("penny_folio_usd", "US dollars spent on folios")
        usd.add_metric([], effectiveness.usd)
        yield usd
        corrections = CounterMetricFamily(
            "penny_corrections", "Spoken corrections by outcome", labels=["outcome"]
        )
        for outcome, value in (
            ("made", effectiveness.corrections_made),
            ("confirmed", effectiveness.corrections_confirmed),
            ("ignored", effectiveness.corrections_ignored),
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


def health_checks(counts: BrainCounts) -> tuple[Callable[[], str], ...]:
    """Checks of what of the brain works less well than usual; each returns its fault, or ''."""

    def models() -> str:
        return "; ".join(f"brain: {model} refuses: {why}" for model, why in counts.refused.items())

    def journals() -> str:
        reason = counts.journals.reason
        return f"journals of sessions are not written: {reason}" if reason else ""

    return models, journals
