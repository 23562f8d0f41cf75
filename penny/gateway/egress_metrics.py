"""How often a private session was kept from reaching a host that nobody configured."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric

from penny.aio.allow_list import AllowList


class EgressCollector:
    """Reads the allow-list's own count when Prometheus asks. Zero is what it should stay."""

    def __init__(self, hosts: AllowList) -> None:
        self._hosts = hosts

    def collect(self) -> Iterator[Metric]:
        refused = CounterMetricFamily(
            "penny_private_egress_refused",
            "Connections that private sessions were refused",
            value=sum(self._hosts.refused.values()),
        )
        yield refused
