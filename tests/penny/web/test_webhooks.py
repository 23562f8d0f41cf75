"""The page of webhooks before a real gateway: tested, filtered, sent again, enabled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Page, expect

from penny.calls.store import CallStore
from penny.webhooks.endpoints import Endpoint
from penny.webhooks.live import RecordTelling
from penny.webhooks.outbox import Outbox
from penny.webhooks.secrets import make_secret
from tests.doubles.house import running_penny
from tests.doubles.operator import HOUSE_KEY
from tests.doubles.webhook_receiver import WebhookReceiver
from tests.penny.calls.calls import a_call
from tests.penny.web.conftest import Tab
from tests.penny.web.test_rooms import look_at


pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

SECRET = make_secret()
GENEROUS_MS = 30_000


@dataclass
class Desk:
    page: Page
    crm: WebhookReceiver


@pytest_asyncio.fixture(loop_scope="session")
async def desk(tab: Tab, tmp_path: Path) -> AsyncIterator[Desk]:
    url = f"sqlite:///{tmp_path / 'calls.sqlite'}"
    async with WebhookReceiver(SECRET) as crm:
        crm.fails = lambda _request: web.Response(status=410, text="<b>gone</b>")
        store = CallStore(url)
        outbox = Outbox(store.database, {"crm": Endpoint("crm", crm.url, (SECRET,))})
        for number in range(2):
            call = a_call(number, modes=["EXTERNAL"], caller=f"+3460000000{number}")
            await store.put(call, partial(RecordTelling(outbox).kept, call=call))
        await store.aclose()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("WEBHOOK_SECRET", SECRET)
            endpoints = {"crm": {"url": crm.url, "concurrency": 1, "payload": "thin"}}
            calls = {"folder": str(tmp_path), "url": url}
            async with running_penny(calls=calls, webhooks={"endpoints": endpoints}) as base:
                await tab.open(f"{base}/webhooks")
                yield Desk(tab.page, crm)
                await tab.close()


async def test_an_endpoint_that_is_gone_is_seen_enabled_and_told(desk: Desk) -> None:
    page = desk.page
    await page.get_by_label("Clave").fill(HOUSE_KEY)
    await page.keyboard.press("Enter")
    row = page.locator("#endpoints li")
    await expect(row).to_have_count(1, timeout=GENEROUS_MS)
    await expect(page.locator("#rooms [aria-current]")).to_have_text("Avisos")
    await expect(page.locator("#deliveries > li")).to_have_count(8)
    find = page.get_by_role("button", name="Buscar")
    async with _patience():
        while "desactivado" not in await row.inner_text():
            await find.press("Enter")
            await page.wait_for_timeout(100)
    await look_at(page)
    await page.get_by_label("Quien llamó").fill("+34600000000")
    await page.get_by_label("Quien llamó").press("Enter")
    await expect(page.locator("#deliveries > li")).to_have_count(4)
    tried = page.locator("#deliveries details").first
    if await tried.count():
        await tried.locator("summary").press("Enter")
        await expect(tried.locator("code")).to_have_text("<b>gone</b>")
    desk.crm.fails = None
    await row.get_by_role("button", name="Enviar una prueba").press("Enter")
    await expect(page.locator("#told")).to_contain_text("aceptó la prueba: 204")
    await row.get_by_role("button", name="Activar y enviar lo perdido").press("Enter")
    await expect(page.locator("#told")).to_contain_text("crm recibe de nuevo")
    async with _patience():
        while len(set(desk.crm.ids)) < 9:  # the test, and four of each call
            await page.wait_for_timeout(50)
    await page.get_by_label("Quien llamó").fill("")
    async with _patience():
        while await page.get_by_role("button", name="Enviar de nuevo").count() < 8:
            await find.press("Enter")
            await page.wait_for_timeout(100)
    before = len(desk.crm.ids)
    await page.get_by_role("button", name="Enviar de nuevo").first.press("Enter")
    async with _patience():
        while len(desk.crm.ids) == before:
            await page.wait_for_timeout(50)
    assert desk.crm.ids[-1] in desk.crm.ids[:-1]
    assert "caller" not in desk.crm.bodies[-1]["data"]
    await page.get_by_role("button", name="English").click()
    await expect(page.locator("#rooms [aria-current]")).to_have_text("Webhooks")
    await look_at(page)


def _patience():  # type: ignore[no-untyped-def]
    import asyncio

    return asyncio.timeout(60)
