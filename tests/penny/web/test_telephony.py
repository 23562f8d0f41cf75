"""The page of phone lines: chosen, filled in and saved by keyboard, in both languages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from config.telephony import TelephonySection
from penny.telephony.reception import read_reception
from penny.telephony.store import TelephonyStore
from tests.doubles.house import running_penny
from tests.doubles.operator import HOUSE_KEY
from tests.doubles.sip_peer import SipPeer, listening_udp
from tests.penny.telephony.shapes import an_fxo
from tests.penny.web.conftest import Tab
from tests.penny.web.test_rooms import look_at


pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]


@pytest_asyncio.fixture(loop_scope="session")
async def page(tab: Tab, tmp_path: Path) -> AsyncIterator[Page]:
    section = {"folder": str(tmp_path / "phones"), "probe_loopback": True}
    async with running_penny(telephony=section) as base:
        await tab.open(f"{base}/telephony")
        await expect(tab.page.locator("#entry")).to_be_visible(timeout=90_000)
        await tab.page.get_by_label("Clave").fill(HOUSE_KEY)
        await tab.page.keyboard.press("Enter")
        await expect(tab.page.locator("#line")).to_be_visible(timeout=90_000)
        yield tab.page
        await tab.close()


async def test_a_number_that_was_refused_is_added_in_one_step(page: Page, tmp_path: Path) -> None:
    store = TelephonyStore(tmp_path / "phones", TelephonySection(), {})
    store.save("default", read_reception(an_fxo()))
    store.note_refused("default", "+525500000001", 1_796_000_000_000)
    store.note_refused("default", "s", 1_796_000_000_000)
    await page.reload()
    await expect(page.locator("#refused li")).to_have_count(2, timeout=30_000)
    await look_at(page)
    await page.get_by_role("button", name="Añadir número: +525500000001").press("Enter")
    await expect(page.locator(":focus")).to_have_value("+525500000001")
    await page.locator("#save").press("Enter")
    await expect(page.locator("#told")).to_have_text("Guardado.")
    await expect(page.locator("#refused li")).to_have_count(1)


async def test_a_trunk_is_saved_and_tested_by_keyboard_alone(page: Page) -> None:
    await expect(page.locator("#banner")).to_contain_text("Desconectada")
    async with listening_udp(SipPeer()) as peer:
        await page.locator('[name="method"][value=""]').focus()
        await page.keyboard.press("ArrowUp")
        await expect(page.locator('[name="method"][value="carrier_grade"]')).to_be_checked()
        await page.keyboard.press("Tab")
        await page.keyboard.type("127.0.0.1")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Control+a")
        await page.keyboard.type(str(peer.port))
        for text in ("", "", "acme", "secreto", "", "", "MX", "", ""):
            await page.keyboard.press("Tab")
            await page.keyboard.type(text)
        await expect(page.locator("#dialled")).to_contain_text("Se marcaría: +52")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")  # add a number: its field has the focus
        await page.keyboard.type("12x")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("Número: de 2 a 15 cifras")
        await expect(page.locator(":focus")).to_have_value("12x")
        await expect(page.locator(":focus")).to_have_attribute("aria-invalid", "true")
        await page.keyboard.press("Control+a")
        await page.keyboard.type("+34910000001")
        await page.keyboard.press("Enter")
        await expect(page.locator("#told")).to_have_text("Guardado.")
        await expect(page.locator("#banner")).to_contain_text("Guardada y sin probar.")
        await expect(page.locator('[name="password"]')).to_have_value("")
        await page.locator("#test").press("Enter")
        await expect(page.locator("#banner")).to_contain_text("Conectada", timeout=90_000)
        await expect(page.locator("#steps li")).to_have_count(3)
        await look_at(page)
    await page.get_by_role("button", name="English").click()
    await expect(page.locator("#banner")).to_contain_text("Connected")
    await page.reload()
    await expect(page.locator('[name="host"]')).to_have_value("127.0.0.1", timeout=90_000)
    await page.get_by_label("FXO gateway").check()
    await expect(page.locator('[name="sip_port"]')).to_have_value("5060")
    await look_at(page)
    await page.get_by_label("No telephone").check()
    await page.get_by_role("button", name="Save configuration").press("Enter")
    await expect(page.locator("#banner")).to_contain_text("Disconnected")
