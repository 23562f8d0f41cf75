"""Every Prometheus metric of the gateway, once. Few labels: mode, reason, stage."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from penny.session.broker import Broker


STAGE_BUCKETS_S = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)


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
        refused = CounterMetricFamily(
            "penny_sessions_refused", "Sessions refused", labels=["reason"]
        )
        for reason, count in counts.refused.items():
            refused.add_metric([reason], count)
        yield refused


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

    def record_stage(self, stage: str, ms: int) -> None:
        self.turn_stage.labels(stage).observe(ms / 1000)
