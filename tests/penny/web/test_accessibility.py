"""The rules of axe, in every state of both pages, light and dark, wide and narrow.

axe-core is a tool of the tests: it never ships.
"""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.doubles import scripted_admin
from tests.doubles.scripted_penny import ANSWER, EXTERNAL_READY
from tests.penny.web.conftest import Tab, Visit


pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

OPTIONS: Any = {"resultTypes": ["violations"]}
SIZES = ({"width": 1280, "height": 800}, {"width": 390, "height": 844})


async def find_violations(page: Page) -> list[str]:
    """What axe finds in both themes at both sizes, told so that it can be mended."""
    found = []
    for theme, size in zip(("light", "dark", "light", "dark"), SIZES * 2, strict=True):
        await page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
        await page.set_viewport_size(size)  # type: ignore[arg-type]
        results = (await Axe().run(page, options=OPTIONS)).response
        found += [
            f"{theme} {size['width']}: {rule['id']}: {node['html']}: {node['failureSummary']}"
            for rule in results["violations"]
            for node in rule["nodes"]
        ]
    return sorted(set(found))


async def test_lobby_with_a_mode_that_cannot_talk(visit: Visit) -> None:
    page = visit.page
    await expect(page.locator(".why")).to_be_visible()
    await page.get_by_role("button", name="Probar el micrófono").click()
    await expect(page.get_by_role("meter")).to_be_visible()
    assert await find_violations(page) == []
    await page.get_by_role("button", name="English").click()
    await expect(page.get_by_role("button", name="When is my bill due?")).to_be_visible()
    assert await find_violations(page) == []


async def test_call_with_the_brain_a_correction_a_cut_answer_and_a_complaint(visit: Visit) -> None:
    page, penny = visit.page, visit.penny
    penny.modes = EXTERNAL_READY
    penny.answer_ms = 200
    await page.reload()
    await page.get_by_role("radio", name="Rápido").check()
    await visit.type("Hola")
    await expect(page.locator(".correction ins")).to_be_visible()
    await page.locator(".latency summary").click()
    await page.locator(".passages summary").first.click()
    penny.answer_ms = 20_000
    await visit.type("¿Y a plazos?")
    await expect(page.get_by_role("status")).to_contain_text("Penny habla")
    await page.keyboard.press("Escape")
    await expect(page.locator(".penny.cut")).to_be_visible()
    await visit.type("falla")
    await expect(page.get_by_role("alert")).to_be_visible()
    assert await find_violations(page) == []
    await page.get_by_role("button", name="El cerebro").click()
    assert await find_violations(page) == []


async def test_call_that_ended(visit: Visit) -> None:
    await visit.type("Hola")
    await expect(visit.page.locator(".penny p")).to_have_text(ANSWER)
    await visit.page.get_by_role("button", name="Colgar").click()
    await expect(visit.page.get_by_role("status")).to_have_text("Llamada terminada.")
    assert await find_violations(visit.page) == []


async def test_operators_page_with_a_call_looked_into_and_its_entry(tab: Tab) -> None:
    async with scripted_admin.serve(scripted_admin.ScriptedAdmin()) as admin:
        page = tab.page
        await tab.open(admin.url)
        await page.get_by_role("button", name="Mirar: sess_1kq3v9").click()
        await expect(page.locator("#events > div")).to_have_count(5)
        assert await find_violations(page) == []
        admin.key = scripted_admin.KEY
        await page.reload()
        await expect(page.get_by_role("button", name="Entrar")).to_be_visible()
        assert await find_violations(page) == []
        await tab.close()
