"""One navigation over all pages: what a key may do; set-up and the API before a real house."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urljoin

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from penny.gateway.pages import ROOMS
from penny.trust.keys import KeyFile
from tests.doubles.house import running_penny
from tests.doubles.operator import HOUSE_KEY
from tests.penny.web.conftest import Tab
from tests.penny.web.test_accessibility import find_violations


pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]


@pytest_asyncio.fixture(loop_scope="session")
async def page(tab: Tab, tmp_path: Path) -> AsyncIterator[Page]:
    section = {"folder": str(tmp_path), "url": f"sqlite:///{tmp_path / 'calls.sqlite'}"}
    keys = {"file": str(tmp_path / "keys.sqlite")}
    async with running_penny(calls=section, keys=keys) as base:
        await tab.open(f"{base}/set-up")
        yield tab.page
        await tab.close()


async def look_at(page: Page) -> None:
    """Both widths, both themes: nothing wider than the window, no violation."""
    for width in (390, 1280):
        await page.set_viewport_size({"width": width, "height": 900})
        for _ in range(2):
            assert await find_violations(page) == []
            wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
            assert not await page.evaluate(wider)
            await page.locator("#theme").click()


async def test_rooms_are_those_of_the_key_and_lead_on_by_keyboard(page: Page) -> None:
    await expect(page.locator("#entry")).to_be_visible(timeout=90_000)
    await expect(page.locator("#rooms a")).to_have_text(["Hablar", "API"])
    await page.get_by_label("Clave").fill(HOUSE_KEY)
    await page.keyboard.press("Enter")
    await expect(page.locator("#parts li")).to_have_count(8, timeout=90_000)
    await expect(page.locator("#rooms a")).to_have_text(
        ["Puesta a punto", "Hablar", "Centralita", "Panel", "Experimentos"]
        + ["Llamadas", "Avisos", "Documentos", "Teléfonos", "API"]
    )
    await expect(page.locator("#rooms [aria-current]")).to_have_text("Puesta a punto")
    parts = page.locator("#parts")
    await expect(parts).to_contain_text("por defecto · perfil")
    await expect(parts).to_contain_text("webhooks.url está vacío")
    await expect(parts).to_contain_text("falta la variable OPENAI_API_KEY")
    await page.get_by_role("button", name="English").click()
    await expect(parts).to_contain_text("default · profile")
    await expect(parts).to_contain_text("OPENAI_API_KEY is not set")
    await page.get_by_role("button", name="Español").click()
    await look_at(page)
    await page.locator("#rooms a", has_text="API").press("Enter")
    await expect(page.locator(".route").first).to_be_visible(timeout=90_000)
    await page.get_by_role("button", name="English").click()
    await expect(page.locator("#rooms [aria-current]")).to_have_text("API")
    await page.locator("summary", has_text="/v1/calls/{id}/metrics").press("Enter")
    await expect(page.locator("details[open]")).to_contain_text("avg_stt_latency_ms")
    await look_at(page)


async def test_notice_is_closed_on_every_page_that_asks_for_a_key(page: Page) -> None:
    for path in [room.path for room in ROOMS if room.asks_key]:
        await page.goto(urljoin(page.url, path))
        await page.get_by_label("Clave").fill("penny_wrong")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_be_visible()
        await expect(page.get_by_role("alert")).to_contain_text("Esa clave no existe o se ha")
        await page.get_by_role("button", name="English").click()
        await expect(page.get_by_role("alert")).to_contain_text("There is no such key, or it was")
        await page.get_by_role("button", name="Español").click()
        await page.get_by_role("button", name="Cerrar el aviso").click()
        await expect(page.get_by_role("alert")).to_be_hidden()


async def test_a_key_without_the_right_and_a_sign_in_that_ended_are_told_on_every_page(
    page: Page, tmp_path: Path
) -> None:
    value, _ = KeyFile(tmp_path / "keys.sqlite", time.time).create("default", "web")
    alert = page.get_by_role("alert")
    lacks = re.compile("Su clave no tiene el derecho [a-z]+:[a-z]+")
    for path in [room.path for room in ROOMS if room.asks_key]:
        await page.context.clear_cookies()
        await page.goto(urljoin(page.url, path))
        await expect(page.locator("#entry")).to_be_visible()
        await expect(alert).to_be_hidden()
        await page.get_by_label("Clave").fill(value)
        await page.keyboard.press("Enter")
        await expect(alert).to_contain_text(lacks)
        await page.reload()
        await expect(alert).to_contain_text(lacks)
    await page.goto(urljoin(page.url, "/calls"))
    await page.get_by_label("Clave").fill(HOUSE_KEY)
    await page.keyboard.press("Enter")
    await expect(page.locator("#count")).to_have_text("No hay llamadas.")
    await page.context.clear_cookies()
    await page.get_by_role("button", name="Buscar").click()
    await expect(alert).to_contain_text("Su sesión ha terminado.")
    await expect(page.locator("#entry")).to_be_visible()
    await page.get_by_role("button", name="English").click()
    await expect(alert).to_contain_text("You are signed out.")
    await look_at(page)
