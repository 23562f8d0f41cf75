"""A gateway with tracing off is the gateway it was."""

from __future__ import annotations

import pytest

from config.schema import Config
from penny.gateway.app import Gateway
from penny.gateway.tracing import TracedBroker
from penny.session.broker import Broker


pytestmark = pytest.mark.socket


def make_gateway(**tracing: object) -> Gateway:
    endpoint = {"endpoint": "ws://127.0.0.1:1/v1/realtime"}
    sections = {"penny": {"modes": {"SELF_HOSTED": endpoint}}, "tracing": tracing}
    return Gateway(Config.model_validate(sections))


async def test_no_observer_of_traces_looks_at_a_frame_while_tracing_is_off() -> None:
    gateway = make_gateway()
    await gateway.start("127.0.0.1", 0)
    try:
        assert type(gateway.broker) is Broker
    finally:
        await gateway.stop(0.0)


async def test_a_traced_gateway_begins_a_trace_for_each_session() -> None:
    gateway = make_gateway(enabled=True, endpoint="http://127.0.0.1:1/v1/traces")
    await gateway.start("127.0.0.1", 0)
    try:
        assert isinstance(gateway.broker, TracedBroker)
    finally:
        await gateway.stop(0.0)
