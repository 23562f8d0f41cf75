"""The brain in ``/metrics`` and ``/readyz``: folios, corrections, analyses; its faults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

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
        counts, folios = self._counts, self._counts.effectiveness
        outcomes = {
            "written": folios.folios,
            "in_time": folios.in_time,
            "late": folios.late,
            "stale": folios.stale,
            "kb_only": counts.kb_only,
        }
        corrections = {
            "made": folios.corrections_made,
            "confirmed": folios.corrections_confirmed,
            "ignored": folios.corrections_ignored,
        }
        labelled: tuple[tuple[str, str, str, Mapping[str, int]], ...] = (
            ("penny_folios", "Folios by outcome", "outcome", outcomes),
            ("penny_corrections", "Spoken corrections by outcome", "outcome", corrections),
            ("penny_brain_analyses", "Analyses by outcome", "outcome", counts.analyses),
            ("penny_upstream_replaced", "Upstreams replaced by reason", "reason", counts.rollovers),
            ("penny_actions", "Actions by status", "status", counts.actions),
        )
        for name, about, label, values in labelled:
            family = CounterMetricFamily(name, about, labels=[label])
            for each, value in values.items():
                family.add_metric([each], value)
            yield family
        about = "US dollars spent on folios"
        yield CounterMetricFamily("penny_folio_usd", about, value=folios.usd)


def health_check(counts: BrainCounts) -> str:
    """Which models refuse what they are sent, and why; '' for none."""
    return "; ".join(f"brain: {model} refuses: {why}" for model, why in counts.refused.items())
