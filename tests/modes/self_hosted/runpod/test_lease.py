"""What a lease costs and how long a start takes: arithmetic that callers are shown."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from config.runpod import RunpodSection
from modes.self_hosted.runpod.cold_starts import KEPT, ColdStarts, guess_remaining_ms
from modes.self_hosted.runpod.lease import LeaseMeter


pytestmark = pytest.mark.pure


def test_seconds_are_split_among_the_sessions_live_in_them() -> None:
    meter = LeaseMeter(3600.0, started_s=0.0)  # a dollar a second
    meter.open("a", 10.0)
    meter.open("b", 20.0)
    assert meter.close("a", 30.0) == pytest.approx(15.0)
    assert meter.share_usd("b", 40.0) == pytest.approx(15.0)
    assert meter.total_usd(40.0) == pytest.approx(40.0)


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.sampled_from("abcd"), st.booleans()),
        min_size=1,
        max_size=40,
    )
)
def test_no_second_is_charged_twice(steps: list[tuple[float, str, bool]]) -> None:
    meter, now_s, charged, live = LeaseMeter(3600.0, 0.0), 0.0, 0.0, set[str]()
    for passed_s, session, opens in steps:
        now_s += passed_s
        if opens and session not in live:
            meter.open(session, now_s)
            live.add(session)
        elif session in live:
            charged += meter.close(session, now_s)
            live.discard(session)
    charged += sum(meter.close(session, now_s) for session in live)
    assert charged <= meter.total_usd(now_s) + 1e-6


def test_a_guess_is_the_upper_quartile_then_the_slowest_then_none() -> None:
    past = [4.0, 5.0, 6.0, 60.0]
    assert guess_remaining_ms(past, 1.0) == 5000
    assert guess_remaining_ms(past, 10.0) == 50_000
    assert guess_remaining_ms(past, 61.0) is None
    assert guess_remaining_ms([], 0.0) is None


def test_history_is_kept_on_disk_bounded_and_never_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "starts.json"
    path.write_text("not json")
    starts = ColdStarts(path)
    starts.load()
    for number in range(KEPT + 10):
        starts.record("cold", float(number))

    again = ColdStarts(path)
    again.load()
    assert again.remaining_ms("cold", 0.0) == starts.remaining_ms("cold", 0.0)
    assert again.remaining_ms("warm", 0.0) is None
    assert again.remaining_ms("cold", KEPT + 9.0) is None


def test_the_minimum_follows_the_clock_of_its_own_time_zone() -> None:
    section = RunpodSection.model_validate(
        {
            "min_workers": [{"start": "08:00", "end": "20:00", "workers": 2}],
            "timezone": "Europe/Madrid",
        }
    )
    assert (
        section.min_workers_at(datetime(2026, 7, 6, 6, 30, tzinfo=UTC)) == 2
    )  # Monday, 08:30 there
    assert section.min_workers_at(datetime(2026, 7, 6, 5, 30, tzinfo=UTC)) == 0
    assert section.min_workers_at(datetime(2026, 7, 5, 10, 0, tzinfo=UTC)) == 0  # Sunday


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"endpoint_id": "ep1"}, "leased workers dial in"),
        ({"gateway_url": "https://penny.example/worker"}, "starts with ws://"),
        ({"timezone": "Madrid"}, "IANA"),
        ({"min_workers": [{"start": "22:00", "end": "06:00"}]}, "two windows"),
    ],
)
def test_a_wrong_setting_says_what_would_be_right(fields: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        RunpodSection.model_validate(fields)
