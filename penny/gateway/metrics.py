"""Every Prometheus metric of the gateway, once. Few labels: mode, reason, stage."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from penny.aio.allow_list import AllowList
from penny.aio.tasks import failed_tasks
from penny.gateway.held_sessions import HeldSessions
from penny.gateway.trust import Trust
from penny.session.broker import Broker
from penny.trust.resilient_store import ResilientStore


if TYPE_CHECKING:
    from penny.tracing.exporter import SpanCounter

STAGE_BUCKETS_S = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
LAG_BUCKETS_S = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class BrokerCollector:
    """Prometheus collector of sessions: reads the broker's own counts when asked."""

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
        yield _counter("penny_sessions_started", "Sessions opened", counts.started, "mode")
        yield _counter("penny_sessions_ended", "Sessions ended", counts.ended, "mode", "reason")
        moved = "Live sessions that went on in another mode"
        yield _counter("penny_sessions_moved", moved, counts.moved, "before", "mode")
        yield _counter("penny_sessions_refused", "Sessions refused", counts.refused, "reason")


class TrustCollector:
    """Prometheus collector of refusals, limits and the shared store, from their own counts."""

    def __init__(self, trust: Trust, held: HeldSessions) -> None:
        self._trust = trust
        self._held = held

    def collect(self) -> Iterator[Metric]:
        refused, limited = self._trust.gate.refused, self._trust.admission.denials
        callers = "Callers refused before a session"
        yield _counter("penny_callers_refused", callers, refused, "reason")
        yield _counter("penny_sessions_limited", "Sessions that a limit refused", limited, "limit")
        yield GaugeMetricFamily(
            "penny_tasks",
            "Tasks of the event loop: grows for ever when one is forgotten",
            value=len(asyncio.all_tasks()),
        )
        failed = "Tasks that ended with an error; the log has them as task_failed"
        yield _counter("penny_tasks_failed", failed, failed_tasks, "owner")
        yield _counter("penny_sessions_resumed", "Lost clients that came back", self._held.resumed)
        if isinstance(self._trust.store, ResilientStore):
            state = self._trust.store.state
            up = float(state.shared)
            yield GaugeMetricFamily("penny_shared_store_up", "Whether Redis answers", value=up)
            yield _counter("penny_shared_store_losses", "Times Redis was lost", state.losses)
            alone = "Sessions admitted under this gateway's limits alone"
            yield _counter("penny_sessions_admitted_alone", alone, state.admitted_alone)


class SpanCollector:
    """Prometheus collector of the trace spans of a gateway that traces, by what became of them."""

    def __init__(self, spans: SpanCounter) -> None:
        self._spans = spans

    def collect(self) -> Iterator[Metric]:
        yield _counter("penny_spans", "Trace spans by outcome", self._spans.read(), "outcome")


class EgressCollector:
    """Prometheus collector of connections refused to private sessions. Zero is what it should be.

    It reads the allow-list's own count when Prometheus asks.
    """

    def __init__(self, hosts: AllowList) -> None:
        self._hosts = hosts

    def collect(self) -> Iterator[Metric]:
        refused = "Connections that private sessions were refused"
        yield _counter("penny_private_egress_refused", refused, sum(self._hosts.refused.values()))


def _counter(
    name: str,
    told: str,
    counts: int | Mapping[str, int] | Mapping[tuple[str, str], int],
    *labels: str,
) -> Metric:
    """A counter, or one a label's value (or pair of values)."""
    if isinstance(counts, int):
        return CounterMetricFamily(name, told, value=counts)
    family = CounterMetricFamily(name, told, labels=labels)
    for key, count in counts.items():
        family.add_metric([key] if isinstance(key, str) else list(key), count)
    return family


class Metrics:
    """The gateway's Prometheus registry, and the histograms that are written as things happen."""

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
        """Prometheus collector of what was read."""

        def collect(self) -> Iterable[Metric]:
            return families.values()

    registry = CollectorRegistry()
    registry.register(Merged())
    return generate_latest(registry)
