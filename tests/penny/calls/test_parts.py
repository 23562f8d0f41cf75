"""What a call adds, and quantiles read from counts."""

from __future__ import annotations

import math
import random

import pytest

from penny.calls.parts import ERROR, STAGES, bucket_ms, bucket_of, parts_of, quantile, stage_ms
from penny.calls.rows import row_of, turn_rows
from tests.penny.calls.calls import a_call, a_turn


pytestmark = pytest.mark.pure


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95, 0.99, 1.0])
def test_a_quantile_is_within_the_stated_error_of_the_exact_one(share: float) -> None:
    chance = random.Random(7)
    for spread in (0.1, 1.0, 2.0):
        values = sorted(math.ceil(chance.lognormvariate(6.5, spread)) for _ in range(2000))
        buckets: dict[int, int] = {}
        for value in values:
            buckets[bucket_of(value)] = buckets.get(bucket_of(value), 0) + 1
        exact = values[int(share * (len(values) - 1))]
        found = quantile(buckets, share)
        assert found is not None
        assert abs(found - exact) <= ERROR * exact


def test_every_duration_lies_within_the_error_of_its_bucket() -> None:
    for ms in (2, 3, 7, 99, 100, 101, 450, 2100, 59_999, 3_600_000):
        assert abs(bucket_ms(bucket_of(ms)) - ms) <= ERROR * ms + 1e-9
    assert bucket_of(0) == bucket_of(1) == 0
    assert quantile({}, 0.5) is None


def test_stages_follow_each_other() -> None:
    latency = {"transcript": -20, "first_token": 300, "first_audio": 450, "done": None}
    assert stage_ms(latency) == {"stt": 0, "llm": 320, "tts": 150, "total": 450}
    assert stage_ms({"first_audio": 450}) == {"total": 450}


def test_what_a_call_adds() -> None:
    mark = {"kind": "handoff", "at_ms": 1.0, "fields": {}}
    call = a_call(
        turns=[a_turn(marks=[mark]), a_turn(number=2), a_turn(number=0)],
        cost={"total_usd": 0.0125, "usd_by": {"cerebro": 0.0125}},
        end_reason="handoff",
        derived={"alerts": [{"kind": "frustration"}, {"kind": "frustration"}]},
        processed=True,
    )
    call.metrics |= {"final_sentiment": "negative", "topics": ["alta"], "outcome": "transferred"}
    parts = parts_of(row_of(call), [row["raw"] for row in turn_rows(call)])
    assert parts == {
        "calls": 1,
        "answered": 1,
        "direction:inbound": 1,
        "end:handoff": 1,
        "duration_ms": 30_000,
        "turns": 2,
        f"ms:stt:{bucket_of(200)}": 2,
        f"ms:llm:{bucket_of(100)}": 2,
        f"ms:tts:{bucket_of(150)}": 2,
        f"ms:total:{bucket_of(450)}": 2,
        "took_ms:stt": 400,
        "took_ms:llm": 200,
        "took_ms:tts": 300,
        "took_ms:total": 900,
        **{f"timed:{stage}": 2 for stage in STAGES},
        "handoffs": 1,
        "judged": 1,
        "felt": 1,
        "cost_known": 1,
        "cost_uusd": 12_500,
        "cost_uusd:cerebro": 12_500,
        "outcome:transferred": 1,
        "intent:unknown": 1,
        "sentiment:negative": 1,
        "sentiment_thousandths": -500,
        "topic:alta": 1,
        "alert:frustration": 1,
        "alerted": 1,
        "escalated": 1,
        "analysed": 1,
    }


def test_a_call_that_nobody_talked_in_adds_nothing_to_what_was_talked() -> None:
    call = a_call(status="failed", end_reason="busy", direction="outbound")
    parts = parts_of(row_of(call), [row["raw"] for row in turn_rows(call)])
    assert parts == {"calls": 1, "unanswered": 1, "end:busy": 1, "direction:outbound": 1}
