"""Trace context between processes, and spans around work."""

from __future__ import annotations

import pytest

from penny.tracing.current import span, trace_headers
from penny.tracing.settings import TracingSettings
from penny.tracing.trace import derive_span_id, read_traceparent
from penny.tracing.tracing import Tracing
from tests.doubles.kept_spans import KeptSpans


pytestmark = pytest.mark.pure


SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        SAMPLED.upper(),
        SAMPLED + "-more",
        "00-ñ",
        SAMPLED[:-1],
    ],
)
def test_only_a_sampled_well_formed_traceparent_is_joined(header: str) -> None:
    assert read_traceparent(header) is None
    found = read_traceparent(SAMPLED)
    assert found is not None
    assert f"{found.trace_id:032x}" in SAMPLED


async def test_gateway_and_worker_agree_on_a_turn_without_a_word() -> None:
    settings = TracingSettings(enabled=True, endpoint="http://127.0.0.1:1/v1/traces")
    gateway = Tracing(settings, "penny-gateway", None, lambda: 0.0)
    worker = Tracing(settings, "penny-worker", None, lambda: 0.0)
    try:
        trace = gateway.begin({})
        assert trace is not None
        joined = worker.join(trace.traceparent)
        assert joined is not None
        assert joined.turn("item_1").traceparent == trace.turn("item_1").traceparent
        assert joined.turn("item_2").traceparent != trace.turn("item_1").traceparent
        assert trace.turn("item_1").traceparent.split("-")[2] == (
            f"{derive_span_id(trace.id, 'item_1'):016x}"
        )
    finally:
        await gateway.aclose()
        await worker.aclose()


async def test_a_session_that_the_sample_leaves_out_has_no_trace() -> None:
    settings = TracingSettings(enabled=True, sample_ratio=0.0)
    tracing = Tracing(settings, "penny-gateway", None, lambda: 0.0)
    try:
        assert tracing.begin({}) is None
    finally:
        await tracing.aclose()


def test_a_failure_ends_its_span_with_its_code_and_never_with_its_words() -> None:
    kept = KeptSpans()
    with pytest.raises(ValueError, match="canario"), span(kept.trace, "work", item_id="u1"):
        raise ValueError("canario")
    ended = kept.ended["work"]
    assert ended.attributes is not None
    assert ended.attributes["error.type"] == "ValueError"
    assert "canario" not in ended.to_json()


def test_work_inside_work_is_its_child_and_what_outlives_it_is_the_turns() -> None:
    kept = KeptSpans()
    with span(kept.trace, "outer", item_id="u1") as outer:
        assert outer is not None
        with span(kept.trace, "inner", item_id="u1"):
            pass
        outer.end()
        with span(kept.trace, "later", item_id="u1"):
            pass
    kept.trace.turn("u1").end()
    parent = {name: ended.parent.span_id for name, ended in kept.ended.items() if ended.parent}
    assert parent["inner"] == kept.ended["outer"].context.span_id
    assert parent["later"] == kept.ended["turn"].context.span_id


def test_a_vendor_is_sent_the_traceparent_only_where_the_operator_says_so() -> None:
    kept = KeptSpans(frozenset({"orders.example.com"}))
    assert trace_headers("https://orders.example.com/new") == {}
    with span(kept.trace, "work") as working:
        assert working is not None
        told = trace_headers("https://orders.example.com/new")
        assert told == {"traceparent": working.traceparent}
        assert trace_headers("https://api.anthropic.com/v1/messages") == {}
        assert trace_headers(None) == {}


def test_an_untraced_session_pays_a_check() -> None:
    with span(None, "work", item_id="u1") as working:
        assert working is None
        assert trace_headers("https://orders.example.com") == {}
