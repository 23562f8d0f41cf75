"""Analysis through a real gateway: an alert while the call lasts, its trend in the record."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.house import running_penny
from tests.doubles.realtime_client import connected_to
from tests.penny.gateway.test_calls import ask, kept_calls


pytestmark = pytest.mark.engines

WAIT_S = 120.0


async def until_alerted(url: str) -> list[dict[str, Any]]:
    """The alerts of the only live session, once there are any."""
    async with asyncio.timeout(WAIT_S):
        while True:
            _, body = await ask(url, "/admin/v1/overview")
            alerts = [alert for live in body["live"].values() for alert in live["alerts"]]
            if alerts:
                return alerts
            await asyncio.sleep(0.05)


async def test_who_wants_out_is_shown_while_they_talk_and_in_the_record(tmp_path: Path) -> None:
    calls = {"folder": str(tmp_path), "url": f"sqlite:///{tmp_path / 'calls.sqlite'}"}
    async with running_penny(calls=calls, analysis={"vectors": False}) as url:
        async with connected_to(url) as client:
            await client.say("quiero darme de baja")
            await client.send("response.create")
            assert await until_alerted(url) == [{"kind": "intent", "turns": [1]}]
            await client.until("response.done")
        (row,) = await kept_calls(url)
        assert row["alert"]
        _, call = await ask(url, f"/v1/calls/{row['id']}")
        (alert,) = call["derived"]["alerts"]
        assert (alert["kind"], alert["reason"]) == ("intent", "cancellation")
        assert len(call["derived"]["mood"]["trend"]) == 1
        status, stats = await ask(url, "/processing/stats")
        assert status == 200
        assert (stats["enabled"], stats["state"], stats["waiting"]) == (False, "off", 1)
        assert stats["oldest_waiting_s"] is not None
