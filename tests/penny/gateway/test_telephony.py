"""``/api/config/telephony`` through a real gateway: saved, told, tested, and by whom."""

from __future__ import annotations

import asyncio
import fcntl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from penny.trust.keys import KeyFile
from tests.doubles.house import running_penny
from tests.doubles.operator import OPERATOR
from tests.doubles.sip_peer import SipPeer, listening_udp
from tests.penny.telephony.shapes import a_trunk, an_fxo


pytestmark = pytest.mark.socket

Json = dict[str, Any]
EMPTY: Json = {"method": "", "fxo_gateway": None, "carrier_grade": None}


class Page:
    """Asks one gateway's routes."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = f"{url}/api/config/telephony"
        self._http = http

    async def get(self) -> Json:
        async with self._http.get(self.url) as answer:
            assert answer.status == 200
            return await answer.json()

    async def dialled(self, **asked: str) -> tuple[int, Json]:
        async with self._http.get(f"{self.url}/dialled", params=asked) as answer:
            return answer.status, await answer.json()

    async def post(self, path: str, body: Any = None, **headers: str) -> tuple[int, Json]:
        async with self._http.post(f"{self.url}/{path}", json=body, headers=headers) as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    section = {"folder": str(tmp_path / "phones"), "probe_loopback": True}
    async with (
        running_penny(telephony=section) as url,
        aiohttp.ClientSession(headers=OPERATOR) as http,
    ):
        yield Page(url, http)


async def test_what_is_saved_is_told_and_the_password_is_not(page: Page, tmp_path: Path) -> None:
    told = await page.get()
    assert {name: told[name] for name in EMPTY} == EMPTY
    assert told["state"]["code"] == "not_configured"

    status, saved = await page.post("save", an_fxo())
    assert status == 200
    assert saved == await page.get()
    assert saved["fxo_gateway"] == {
        "ip": "192.168.1.50",
        "sip_port": 5060,
        "user": "gateway",
        "password": "",
        "password_state": "set",
        "fxo_ports": 4,
        "codec": "alaw",
        "dids": [{"number": "+5255123456", "label": "Ventas", "active": True}],
        "country": "",
        "number_form": "+e164",
        "dial_template": "{number}",
    }
    assert (saved["state"]["status"], saved["state"]["code"]) == ("disconnected", "not_tested")
    # What was told may be sent back as it is.
    assert (await page.post("save", saved)) == (200, saved)
    assert (tmp_path / "phones" / "asterisk" / "penny_pjsip.conf").exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (an_fxo(password="a\n[evil]"), "fxo_gateway.password"),
        (an_fxo(ip="sip.example"), "fxo_gateway.ip"),
        (an_fxo(fxo_ports=0), "fxo_gateway.fxo_ports"),
        (an_fxo(codec="opus"), "fxo_gateway.codec"),
        (an_fxo(dids=[{"number": "12;34"}]), "fxo_gateway.dids.0.number"),
        (an_fxo(shell="x"), "fxo_gateway.shell"),
        (a_trunk(auth_type="ip_auth"), "carrier_grade.match"),
        (a_trunk(password=""), "carrier_grade.password"),
        (a_trunk(port=22), "carrier_grade.port"),
        ({"method": "carrier_grade"}, "carrier_grade"),
        ([], "body"),
    ],
)
async def test_a_refused_save_names_the_field_and_changes_nothing(
    page: Page, tmp_path: Path, body: Json, field: str
) -> None:
    status, told = await page.post("save", body)

    assert (status, told["error"]["param"]) == (400, field)
    assert "evil" not in told["error"]["message"]
    assert not list((tmp_path / "phones").rglob("*.conf"))


async def test_a_file_changed_by_hand_is_shown_before_it_is_overwritten(
    page: Page, tmp_path: Path
) -> None:
    await page.post("save", an_fxo())
    plan = tmp_path / "phones" / "asterisk" / "penny_extensions.conf"
    plan.write_text(plan.read_text() + "; ours\n")
    status, told = await page.post("save", an_fxo())
    assert (status, told["error"]["code"]) == (409, "changed_by_hand")
    assert "-; ours" in told["error"]["diff"]
    assert (await page.post("save?overwrite=true", an_fxo()))[0] == 200


async def test_the_saved_line_is_tested_and_the_banner_follows(page: Page) -> None:
    status, told = await page.post("test")
    assert (status, told["error"]["param"]) == (400, "method")
    async with listening_udp(SipPeer()) as peer:
        await page.post("save", a_trunk(host="127.0.0.1", port=peer.port))
        status, told = await page.post("test", {"host": "10.0.0.1"})
        assert status == 200
        assert told["status"] == "connected"
        assert [step["code"] for step in told["steps"]] == [
            "resolved",
            "reachable",
            "credentials_accepted",
        ]
        assert "numbers" in told["cannot_know"]
        assert peer.methods == ["OPTIONS", "REGISTER", "REGISTER"]
        status, refused = await page.post("test")
        assert (status, refused["error"]["code"]) == (429, "too_often")
        assert len(peer.requests) == 3
    assert (await page.get())["state"]["status"] == "connected"
    # Another password is another line: what was tested holds no more.
    await page.post("save", a_trunk(host="127.0.0.1", port=peer.port, user="otro"))
    assert (await page.get())["state"]["code"] == "not_tested"


async def test_who_may_read_may_not_write_and_a_cookie_needs_its_token(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.sqlite", time.time)
    reader, _ = keys.create("acme", "reads", more=("telephony:read",))
    admin, _ = keys.create("acme", "admin", role="admin")
    operator, _ = keys.create("acme", "operator", role="operator")
    sections: Json = {
        "keys": {"file": str(tmp_path / "keys.sqlite"), "required": "always"},
        "tenants": {"acme": {}},
        "telephony": {"folder": str(tmp_path / "phones")},
    }
    async with running_penny(**sections) as url:
        for key, statuses in ((reader, (200, 403)), (admin, (200, 200)), (operator, (403, 403))):
            headers = {"Authorization": f"Bearer {key}"}
            async with aiohttp.ClientSession(headers=headers) as http:
                page = Page(url, http)
                async with http.get(page.url) as answer:
                    assert answer.status == statuses[0]
                assert (await page.post("save", an_fxo()))[0] == statuses[1]
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as http:
            async with http.post(f"{url}/v1/sign-in", json={"key": admin}) as answer:
                csrf = (await answer.json())["csrf"]
            page = Page(url, http)
            assert (await page.post("save", an_fxo()))[0] == 403
            assert (await page.post("save", an_fxo(), **{"X-Penny-CSRF": csrf}))[0] == 200


async def test_saves_that_wait_for_asterisk_stop_nothing_else(page: Page, tmp_path: Path) -> None:
    await page.post("save", an_fxo())
    with (tmp_path / "phones" / ".lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)  # as another process that saves
        saves = [asyncio.create_task(page.post("save", an_fxo())) for _ in range(40)]
        try:
            async with asyncio.timeout(60):
                for _ in range(20):
                    await page.get()
            assert not any(save.done() for save in saves)
        finally:
            fcntl.flock(other, fcntl.LOCK_UN)
    assert {status for status, _ in await asyncio.gather(*saves)} == {200}


async def test_two_that_save_at_once_leave_one_whole_configuration(page: Page) -> None:
    bodies = [an_fxo(fxo_ports=ports) for ports in range(1, 9)]
    answers = await asyncio.gather(*(page.post("save", body) for body in bodies))

    assert {status for status, _ in answers} == {200}
    told = await page.get()
    assert told["fxo_gateway"]["fxo_ports"] in range(1, 9)
    assert told["fxo_gateway"]["password_state"] == "set"


async def test_2_5_each_form_is_shown_on_an_example_before_it_is_saved(page: Page) -> None:
    shown = {}
    for form in ("+e164", "e164", "00", "national"):
        asked = {"country": "ES", "number_form": form, "dial_template": "9{number}"}
        _, told = await page.dialled(**asked)
        own, abroad = told["examples"]
        assert abroad["number"] == "+33123456789"
        shown[form] = own["dialled"].replace(own["number"].removeprefix("+34"), "N")
    assert shown == {"+e164": "9+34N", "e164": "934N", "00": "90034N", "national": "9N"}
    status, fault = await page.dialled(number_form="national")
    assert (status, fault["error"]["param"]) == (400, "country")
    told = await page.get()
    assert {name: told[name] for name in EMPTY} == EMPTY
