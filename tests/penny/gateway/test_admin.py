"""The operator's routes: what is live, what is said, and the hang-up."""

from __future__ import annotations

import json
import time
from pathlib import Path

import aiohttp
import pytest

from penny.trust.keys import KeyFile
from tests.doubles.caller import calling
from tests.doubles.house import running_penny


pytestmark = pytest.mark.engines


async def test_a_live_session_is_listed_followed_and_hung_up() -> None:
    async with running_penny() as url, aiohttp.ClientSession() as http, calling(url) as caller:
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
        async with http.get(f"{url}/admin/v1/sessions") as answer:
            assert (await answer.json())["sessions"] == []
        async with http.post(f"{url}/admin/v1/sessions/{session_id}/hang-up") as again:
            assert again.status == 404


async def test_only_an_admin_key_opens_the_operators_routes(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.sqlite", time.time)
    plain, _ = keys.create("default", "web")
    admin, _ = keys.create("default", "operator", admin=True)
    settings = {"file": str(tmp_path / "keys.sqlite"), "required": "always"}
    async with running_penny(keys=settings) as url, aiohttp.ClientSession() as http:
        for key, status in (("", 401), (plain, 403), (admin, 200)):
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            for path in ("/admin/v1/sessions",):
                async with http.get(f"{url}{path}", headers=headers) as answer:
                    assert answer.status == status
