"""The operator's routes: what is live, what is said, and the hang-up."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import aiohttp
import pytest

from penny.trust.keys import KeyFile
from tests.doubles.caller import calling
from tests.doubles.house import running_penny
from tests.doubles.operator import OPERATOR


pytestmark = pytest.mark.engines


async def test_a_live_session_is_listed_followed_and_hung_up() -> None:
    async with (
        running_penny() as url,
        aiohttp.ClientSession(headers=OPERATOR) as http,
        calling(url) as caller,
    ):
        await caller.send("session_start")
        session_id = (await caller.until("session_started"))["session_id"]
        async with http.get(f"{url}/admin/v1/sessions") as answer:
            (session,) = (await answer.json())["sessions"]
        assert session["session_id"] == session_id
        assert (session["mode"], session["edge"], session["tenant"]) == (
            "SELF_HOSTED",
            "socket",
            "default",
        )
        async with http.get(f"{url}/admin/v1/sessions/{session_id}/events") as events:
            assert events.content_type == "text/event-stream"
            await caller.send("text_input", text="hola")
            async with http.post(f"{url}/admin/v1/sessions/{session_id}/hang-up") as hung_up:
                assert hung_up.status == 202
            lines = [line async for line in events.content]
            shown = [
                json.loads(line.removeprefix(b"data: "))
                for line in lines
                if line.startswith(b"data: ")
            ]
        assert (await caller.until("session_ended"))["reason"] == "operator"
        kinds = [one["event"]["type"] for one in shown]
        assert "conversation.item.create" in kinds
        assert kinds[-1] == "ended"
        async with asyncio.timeout(60):  # its worker is told after the caller
            while True:
                async with http.get(f"{url}/admin/v1/sessions") as answer:
                    if (await answer.json())["sessions"] == []:
                        break
        async with http.post(f"{url}/admin/v1/sessions/{session_id}/hang-up") as again:
            assert again.status == 404


async def test_only_an_admin_key_opens_the_operators_routes(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.sqlite", time.time)
    plain, _ = keys.create("default", "web")
    admin, _ = keys.create("default", "operator", role="house")
    settings = {"file": str(tmp_path / "keys.sqlite"), "required": "always"}
    async with running_penny(keys=settings) as url, aiohttp.ClientSession() as http:
        for key, status in (("", 401), (plain, 403), (admin, 200)):
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            for path in ("/admin/v1/sessions", "/admin/v1/overview"):
                async with http.get(f"{url}{path}", headers=headers) as answer:
                    assert answer.status == status


async def test_readiness_tells_its_details_to_the_operator_alone(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.sqlite", time.time)
    plain, _ = keys.create("default", "web")
    admin, _ = keys.create("default", "operator", role="house")
    settings = {"file": str(tmp_path / "keys.sqlite"), "required": "always"}
    async with running_penny(keys=settings) as url, aiohttp.ClientSession() as http:
        for key, is_told in (("", False), (plain, False), ("penny_wrong", False), (admin, True)):
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            async with http.get(f"{url}/readyz", headers=headers) as answer:
                assert answer.status == 200
                told = await answer.json()
            assert told["ready"] is True
            assert ("knowledge_base" in told) is is_told
            assert ("degraded" in told) is is_told
            assert is_told or set(told) == {"ready", "reasons"}


@pytest.mark.parametrize("key", ["", "penny_house_of_another_house"])
async def test_being_on_this_machine_makes_nobody_an_operator(key: str) -> None:
    """A proxy here looks like somebody here: without the house's key nothing is told or ended."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with running_penny() as url, aiohttp.ClientSession(headers=headers) as http:
        for path in (
            "/admin/v1/sessions",
            "/admin/v1/overview",
            "/admin/v1/sessions/sess_1/events",
        ):
            async with http.get(f"{url}{path}") as answer:
                assert answer.status == (401 if key else 403)
        async with http.get(f"{url}/readyz") as answer:
            assert set(await answer.json()) == {"ready", "reasons"}


async def read_events(url: str, http: aiohttp.ClientSession, said: str, query: str) -> list[str]:
    """Everything that an operator reads of a call in which ``said`` is typed."""
    async with calling(url) as caller:
        await caller.send("session_start")
        session_id = (await caller.until("session_started"))["session_id"]
        path = f"{url}/admin/v1/sessions/{session_id}/events{query}"
        async with http.get(path) as events:
            if events.status != 200:
                return [str(events.status), (await events.json())["error"]["code"]]
            await caller.send("text_input", text=said)
            await caller.until("response_done")
            await caller.send("session_end")
            return [line.decode() async for line in events.content]


@pytest.mark.parametrize("allowed", [False, True])
async def test_words_are_shown_only_where_allowed_and_asked_for(allowed: bool) -> None:
    said = "mi clave es murciélago"
    async with (
        running_penny(admin={"show_transcripts": allowed}) as url,
        aiohttp.ClientSession(headers=OPERATOR) as http,
    ):
        plain = await read_events(url, http, said, "")
        asked = await read_events(url, http, said, "?transcripts=true")

    assert said not in "".join(plain)
    assert "response.output_audio_transcript.delta" in "".join(plain)
    if allowed:
        assert said in "".join(asked)
    else:
        assert asked == ["403", "transcripts_off"]


async def test_overview_tells_modes_readiness_live_calls_and_answer_times() -> None:
    async with (
        running_penny() as url,
        aiohttp.ClientSession(headers=OPERATOR) as http,
        calling(url) as caller,
    ):
        await caller.send("session_start")
        session_id = (await caller.until("session_started"))["session_id"]
        await caller.send("text_input", text="hola")
        await caller.until("turn_metrics")
        async with http.get(f"{url}/admin/v1/overview") as answer:
            overview = await answer.json()

    assert overview["readiness"]["ready"] is True
    (mode,) = [mode for mode in overview["modes"] if mode["name"] == "SELF_HOSTED"]
    assert (mode["available"], mode["live"], mode["started"]) == (True, 1, 1)
    assert mode["workers"] == [{"name": "127.0.0.1", "state": "configured", "detail": ""}]
    live = overview["live"][session_id]
    assert live["turns"] == 1
    assert live["latency_ms"]["p50"] > 0
    assert overview["series"]["sessions"][-1] == 1
    assert overview["series"]["latency_p50_ms"][-1] == live["latency_ms"]["p50"]
    assert overview["errors"] == []


async def test_operators_page_is_served_under_the_same_strict_policy() -> None:
    async with (
        running_penny() as url,
        aiohttp.ClientSession() as http,
        http.get(f"{url}/admin") as answer,
    ):
        page = await answer.text()

    assert answer.content_type == "text/html"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "/web/admin.js" in page
