"""Every Prometheus metric of the gateway, once. Few labels: mode, reason, stage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from penny.aio.allow_list import AllowList
from penny.aio.tasks import failed_tasks
from penny.gateway.held_sessions import HeldSessions
from penny.gateway.kb import SharedKb
from penny.gateway.trust import Trust
from penny.logs import LossyStream
from penny.session.broker import Broker
from penny.trust.resilient_store import ResilientStore


if TYPE_CHECKING:
    from penny.tracing.exporter import SpanCounter

STAGE_BUCKETS_S = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
LAG_BUCKETS_S = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


Figures = Callable[[], Iterable[Metric]]
"""Tells of counts that somebody keeps anyway, whenever Prometheus asks."""


class FiguresCollector(Collector):
    """Prometheus collector of all ``figures``."""

    def __init__(self, *figures: Figures) -> None:
        self.figures = list(figures)

    def collect(self) -> Iterator[Metric]:
        for tell in self.figures:
            yield from tell()


def tell_sessions(broker: Broker) -> Iterator[Metric]:
    """Sessions, from the broker's own counts."""
    live = GaugeMetricFamily("penny_sessions", "Live sessions", labels=["mode"])
    by_mode = dict.fromkeys(broker.modes, 0)
    for session in broker.sessions.values():
        by_mode[session.mode] = by_mode.get(session.mode, 0) + 1
    for mode, count in by_mode.items():
        live.add_metric([mode], count)
    yield live
    counts = broker.counts
    yield _counter("penny_sessions_started", "Sessions opened", counts.started, "mode")
    yield _counter("penny_sessions_ended", "Sessions ended", counts.ended, "mode", "reason")
    moved = "Live sessions that went on in another mode"
    yield _counter("penny_sessions_moved", moved, counts.moved, "before", "mode")
    yield _counter("penny_sessions_refused", "Sessions refused", counts.refused, "reason")


def tell_trust(trust: Trust, held: HeldSessions) -> Iterator[Metric]:
    """Refusals, limits and the shared store, from their own counts."""
    refused, limited = trust.gate.refused, trust.admission.denials
    yield _counter("penny_callers_refused", "Callers refused before a session", refused, "reason")
    yield _counter("penny_sessions_limited", "Sessions that a limit refused", limited, "limit")
    tasks = "Tasks of the event loop: grows for ever when one is forgotten"
    yield GaugeMetricFamily("penny_tasks", tasks, value=len(asyncio.all_tasks()))
    failed = "Tasks that ended with an error; the log has them as task_failed"
    yield _counter("penny_tasks_failed", failed, failed_tasks, "owner")
    yield _counter("penny_sessions_resumed", "Lost clients that came back", held.resumed)
    if isinstance(trust.store, ResilientStore):
        state = trust.store.state
        up = float(state.shared)
        yield GaugeMetricFamily("penny_shared_store_up", "Whether Redis answers", value=up)
        yield _counter("penny_shared_store_losses", "Times Redis was lost", state.losses)
        alone = "Sessions admitted under this gateway's limits alone"
        yield _counter("penny_sessions_admitted_alone", alone, state.admitted_alone)


def tell_house(kb: SharedKb, stderr: LossyStream | None) -> Iterator[Metric]:
    """What calls can do without."""
    served = "Whether the knowledge base is served and keeps up with the documents"
    yield GaugeMetricFamily("penny_knowledge_base_up", served, value=float(not kb.fault()))
    lost = stderr.lost if stderr is not None else 0
    yield _counter("penny_log_lines_lost", "Log lines that could not be written", lost)


def tell_spans(spans: SpanCounter) -> Iterator[Metric]:
    """Trace spans of a gateway that traces, by what became of them."""
    yield _counter("penny_spans", "Trace spans by outcome", spans.read(), "outcome")


def tell_egress(hosts: AllowList) -> Iterator[Metric]:
    """Connections refused to private sessions. Zero is what it should be."""
    refused = "Connections that private sessions were refused"
    yield _counter("penny_private_egress_refused", refused, sum(hosts.refused.values()))


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
    """The gateway's Prometheus registry: ``figures`` that are told when it is asked, and histograms
    that are written as things happen."""

    def __init__(self, broker: Broker) -> None:
        self.registry = CollectorRegistry()
        collector = FiguresCollector(partial(tell_sessions, broker))
        self.registry.register(collector)
        self.figures = collector.figures
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

        self.phone_late = Histogram(
            "penny_phone_slot_late_seconds",
            "How late the 20 ms slots of telephone calls were",
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
    registry = CollectorRegistry()
    registry.register(FiguresCollector(families.values))
    return generate_latest(registry)
