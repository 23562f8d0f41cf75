"""Every Prometheus metric of the gateway, once. Few labels: mode, reason, stage."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from penny.gateway.held_sessions import HeldSessions
from penny.gateway.trust import Trust
from penny.session.broker import Broker
from penny.trust.resilient_store import ResilientStore


if TYPE_CHECKING:
    from penny.tracing.exporter import SpanCounts

STAGE_BUCKETS_S = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
LAG_BUCKETS_S = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class BrokerCollector:
    """Reads the broker's own counts when Prometheus asks, so nothing is counted twice."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def collect(self) -> Iterator[Metric]:
        live = GaugeMetricFamily("penny_sessions", "Live sessions", labels=["mode"])
        by_mode = dict.fromkeys(self._broker.modes, 0)
        for session in self._broker.sessions.values():
            by_mode[session.mode] = by_mode.get(session.mode, 0) + 1
        for mode, count in by_mode.items():
            live.add_metric([mode], count)
        yield live
        counts = self._broker.counts
        started = CounterMetricFamily("penny_sessions_started", "Sessions opened", labels=["mode"])
        for mode, count in counts.started.items():
            started.add_metric([mode], count)
        yield started
        ended = CounterMetricFamily(
            "penny_sessions_ended", "Sessions ended", labels=["mode", "reason"]
        )
        for (mode, reason), count in counts.ended.items():
            ended.add_metric([mode, reason], count)
        yield ended
        moved = CounterMetricFamily(
            "penny_sessions_moved",
            "Live sessions that went on in another mode",
            labels=["before", "mode"],
        )
        for way, count in counts.moved.items():
            moved.add_metric(list(way), count)
        yield moved
        refused = CounterMetricFamily(
            "penny_sessions_refused", "Sessions refused", labels=["reason"]
        )
        for reason, count in counts.refused.items():
            refused.add_metric([reason], count)
        yield refused


class TrustCollector:
    """Who was refused, which limit said no, and whether the shared store answers."""

    def __init__(self, trust: Trust, held: HeldSessions) -> None:
        self._trust = trust
        self._held = held

    def collect(self) -> Iterator[Metric]:
        refused = CounterMetricFamily(
            "penny_callers_refused", "Callers refused before a session", labels=["reason"]
        )
        for reason, count in self._trust.gate.refused.items():
            refused.add_metric([reason], count)
        yield refused
        limited = CounterMetricFamily(
            "penny_sessions_limited", "Sessions that a limit refused", labels=["limit"]
        )
        for limit, count in self._trust.admission.denials.items():
            limited.add_metric([limit], count)
        yield limited
        yield GaugeMetricFamily(
            "penny_tasks",
            "Tasks of the event loop: grows for ever when one is forgotten",
            value=len(asyncio.all_tasks()),
        )
        yield CounterMetricFamily(
            "penny_sessions_resumed", "Lost clients that came back", value=self._held.resumed
        )
        if isinstance(self._trust.store, ResilientStore):
            state = self._trust.store.state
            yield GaugeMetricFamily(
                "penny_shared_store_up", "Whether Redis answers", value=float(state.shared)
            )
            yield CounterMetricFamily(
                "penny_shared_store_losses", "Times Redis was lost", value=state.losses
            )
            yield CounterMetricFamily(
                "penny_sessions_admitted_alone",
                "Sessions admitted under this gateway's limits alone",
                value=state.admitted_alone,
            )


class SpanCollector:
    """Whether the spans of a gateway that traces arrive."""

    def __init__(self, counts: SpanCounts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        spans = CounterMetricFamily("penny_spans", "Trace spans by outcome", labels=["outcome"])
        for outcome in ("exported", "failed", "dropped"):
            spans.add_metric([outcome], getattr(self._counts, outcome))
        yield spans


class Metrics:
    """The gateway's registry."""

    def __init__(self, broker: Broker) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(BrokerCollector(broker))
        self.turn_stage = Histogram(
            "penny_turn_stage_seconds",
            "From the end of the caller's speech to each stage of the turn",
            ["stage"],
            buckets=STAGE_BUCKETS_S,
            registry=self.registry,
        )

        self.loop_lag = Histogram(
            "penny_loop_lag_seconds",
            "How late the event loop runs",
            buckets=LAG_BUCKETS_S,
            registry=self.registry,
        )

    def count_spans(self, counts: SpanCounts) -> None:
        self.registry.register(SpanCollector(counts))

    def record_stage(self, stage: str, ms: int) -> None:
        self.turn_stage.labels(stage).observe(ms / 1000)


def merge(texts: Mapping[int, str]) -> bytes:
    """One exposition of several processes' own, each sample with the ``process`` it is of."""
    families: dict[str, Metric] = {}
    for number, text in sorted(texts.items()):
        for family in text_string_to_metric_families(text):
            merged = families.setdefault(
                family.name, Metric(family.name, family.documentation, family.type)
            )
            merged.samples += [
                sample._replace(labels={**sample.labels, "process": str(number)})
                for sample in family.samples
            ]

    class Merged(Collector):
        def collect(self) -> Iterable[Metric]:
            return families.values()

    registry = CollectorRegistry()
    registry.register(Merged())
    return generate_latest(registry)
