"""A call back that was agreed on is written down by the dialer, once, for its moment."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from config.schema import Config
from penny.gateway.callbacks import CallBacks
from penny.gateway.dialer import Dialer
from penny.telephony.dial_book import Dial


pytestmark = pytest.mark.socket

MADRID = ZoneInfo("Europe/Madrid")
NOW = datetime(2026, 11, 30, 12, 0, tzinfo=MADRID)
DIALING = {
    "prefixes": ["+34"], "caller_ids": ["+34910000000"], "from_hour": 9, "to_hour": 21,
}  # fmt: skip


class Never:
    """A carrier that a scheduled call has not come to yet."""

    async def place(self, dial: Dial, section: Any) -> str:
        raise AssertionError


def done(call_id: str, status: str = "completed", **arguments: str) -> dict[str, Any]:
    return {
        "type": "penny.tool_call", "call_id": call_id, "name": "schedule_callback",
        "status": status, "arguments": arguments,
    }  # fmt: skip


async def agreed(folder: Path, *events: dict[str, Any], until: int = 1) -> dict[str, Dial]:
    """What the dialer has written down of these, by the id of each, once there are so many."""
    telephony = {"folder": str(folder), "dialing": {"default": DIALING}}
    config = Config.model_validate({"telephony": telephony})
    dialer = Dialer(config, lambda _call: None, lambda *_call: None, NOW.timestamp)
    dialer.placer = Never()
    call_backs = CallBacks(dialer, lambda _tenant: NOW, "ES")
    watch = call_backs.watch("sess_1", "default", "+34611111111", "es")
    for event in (*events, done("last")):
        watch.speaker_event(event, 0.0)
    found: dict[str, Dial] = {}
    async with asyncio.timeout(60):
        while "last" not in found or len(found) < until:
            await asyncio.sleep(0.02)
            for name in {event["call_id"] for event in events} | {"last"}:
                if dial := dialer.book.of_key("default", f"sess_1:{name}"):
                    found[name] = dial
    await call_backs.aclose()
    await dialer.aclose()
    return found


async def test_a_call_back_waits_for_its_moment_and_its_number(tmp_path: Path) -> None:
    wish = {"telefono": "600 123 456", "cuando": "mañana a las cinco"}
    found = await agreed(tmp_path, done("c1", **wish), done("c1", **wish), until=2)
    first, last = found["c1"], found["last"]
    assert first.number == "+34600123456"
    assert first.due_s == datetime(2026, 12, 1, 17, tzinfo=MADRID).timestamp()
    assert last.number == "+34611111111"
    assert last.due_s == (NOW + timedelta(hours=1)).timestamp()
    assert first.id != last.id


@pytest.mark.parametrize(
    "event",
    [
        done("c1", status="started"),
        done("c1", status="failed", cuando="mañana a las cinco"),
        done("c1", cuando="cuando puedan"),
        done("c1", telefono="12"),
        done("c1", telefono="+5215512345678"),
        {**done("c1"), "name": "cancel_service"},
    ],
)
async def test_no_call_is_placed_at_a_guess_or_where_the_tenant_may_not(
    tmp_path: Path, event: dict[str, Any]
) -> None:
    assert set(await agreed(tmp_path, event)) == {"last"}
