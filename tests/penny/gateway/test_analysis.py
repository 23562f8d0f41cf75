"""Analysis through a real gateway: an alert while the call lasts, its trend in the record."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from config.schema import Config
from penny.gateway import analysis
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


async def test_a_process_that_cannot_be_started_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(analysis, "LOOKS_EVERY_S", 0.01)
    program = tmp_path / "penny"
    kept: Any = SimpleNamespace(
        keeper=SimpleNamespace(store=None, kept=1), zone=lambda _tenant: None
    )
    broker: Any = SimpleNamespace(sessions={})
    config = Config.model_validate({"analysis": {"enabled": True, "live": False}})
    one = analysis.CallAnalysis(config, kept, broker, time.time, command=(str(program),))
    started = tmp_path / "started"
    with capture_logs() as logs:
        one.start(SimpleNamespace(), None)  # type: ignore[arg-type]
        async with asyncio.timeout(30):
            while not any(each["event"] == "analysis_process_not_started" for each in logs):
                await asyncio.sleep(0.01)
            program.write_text(f"#!/bin/sh\ntouch {started}\ncat\n")
            program.chmod(0o700)
            while not started.exists():
                await asyncio.sleep(0.01)
        await one.aclose()
