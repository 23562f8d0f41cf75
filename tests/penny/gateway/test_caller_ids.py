"""Row 13.15 at the gateway: each alarm told once, shown to who may read calls, and over again."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from config.telephony import TelephonySection
from penny.gateway.caller_ids import CallerIds
from penny.telephony.number_health import NumberHealth
from tests.doubles.operator import OPERATOR
from tests.doubles.twilio_stream import AUTH_TOKEN
from tests.penny.gateway.test_dialer import FROM, desk


NUMBER = "+34910000000"


class Book:
    """Answers as the book of calls does."""

    def __init__(self, short: int) -> None:
        self.short = short
        self.asked_since_s: list[float] = []

    def health(self, since_s: float) -> list[NumberHealth]:
        self.asked_since_s.append(since_s)
        return [NumberHealth("default", NUMBER, 100, 60, self.short)]


def reasons(watch: CallerIds) -> list[dict[str, str]]:
    return [sample.labels for family in watch.collect() for sample in family.samples]


@pytest.mark.pure
async def test_13_15_an_alarm_is_told_once_and_its_end() -> None:
    book = Book(short=30)
    watch = CallerIds(book, TelephonySection(), lambda: 10_000_000.0)  # type: ignore[arg-type]
    with capture_logs() as logs:
        await watch.look()
        await watch.look()
    assert [(each["event"], each["reason"]) for each in logs] == [
        ("caller_id_alarm", "short_calls")
    ]
    assert reasons(watch) == [{"number": NUMBER, "reason": "short_calls"}]
    assert book.asked_since_s[0] == 10_000_000.0 - 7 * 86_400
    book.short = 3
    with capture_logs() as logs:
        await watch.look()
    assert [each["event"] for each in logs] == ["caller_id_alarm_over"]
    assert reasons(watch) == []


@pytest.mark.engines
async def test_13_15_the_numbers_of_a_tenant_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", AUTH_TOKEN)
    async with desk(tmp_path) as at:
        await at.place()
        assert await at.tell(at.api.placed[0], "no-answer") == 204
        async with at.http.get(f"{at.url}/v1/caller-ids", headers=OPERATOR) as answer:
            told = await answer.json()
        async with at.http.get(f"{at.url}/v1/caller-ids") as answer:
            assert answer.status == 403
    assert told == {
        "data": [
            {"number": FROM, "calls": 1, "answered": 0, "short": 0, "answer_rate": 0.0}
            | {"short_share": 0.0, "alarms": []}
        ]
    }
