"""The dashboard before a real gateway: every figure leads to its calls, in all states and sizes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from penny.calls.store import CallStore
from tests.doubles.house import running_penny
from tests.doubles.operator import HOUSE_KEY
from tests.penny.calls.calls import a_call, a_turn
from tests.penny.web.conftest import Tab
from tests.penny.web.test_accessibility import find_violations


pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(400),
]

CALLS = 30
VOICES = {"metric": "resolution", "arms": {"control": {}, "warm": {"voice": "marin"}}}


@pytest_asyncio.fixture(loop_scope="session")
async def page(tab: Tab, tmp_path: Path) -> AsyncIterator[Page]:
    url = f"sqlite:///{tmp_path / 'calls.sqlite'}"
    store, now = CallStore(url), datetime.now(UTC)
    for number in range(CALLS):
        call = a_call(number, turns=[a_turn(), a_turn(number=2)])
        call.started_at = now - timedelta(days=number % 5, minutes=1)
        call.ended_at = call.started_at + timedelta(seconds=40)
        call.modes = ["EXTERNAL" if number % 2 else "SELF_HOSTED"]
        call.metrics |= {"outcome": "resolved" if number % 3 else "abandoned"}
        call.metrics |= {"topics": ["facturación"], "final_sentiment": "positive"}
        if number == 0:
            call.derived = {"alerts": [{"kind": "frustration", "reason": "cancellation"}]}
        await store.put(call)
    await store.put(a_call(99, is_test=True, started_at=now - timedelta(minutes=1)))
    await store.aclose()
    section = {"folder": str(tmp_path), "url": url}
    async with running_penny(calls=section, experiments={"voz": VOICES}) as base:
        await tab.open(f"{base}/dashboard")
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


async def test_figures_trends_and_tables_lead_to_their_calls(page: Page) -> None:
    await expect(page.locator("#entry")).to_be_visible(timeout=90_000)
    await page.get_by_label("Clave").fill(HOUSE_KEY)
    await page.keyboard.press("Enter")
    figures = page.locator("#figures .figure")
    await expect(figures).to_have_count(19, timeout=90_000)
    await expect(page.locator("[data-figure='calls'] .value")).to_have_text(str(CALLS))
    await expect(page.locator("[data-figure='resolution_rate']")).to_contain_text("20 de 30")
    await expect(page.locator("#alerts li")).to_have_count(1)
    await expect(page.locator("#alerts")).to_contain_text("frustración")
    await expect(page.locator("#alerts .why")).to_have_text("baja")
    await expect(page.locator("#trends svg[role='img']")).to_have_count(5)
    await expect(page.locator("#trends .none")).to_have_count(1)  # the cost is not known
    await look_at(page)
    summary = page.locator("[data-trend='calls'] summary")
    await summary.press("Enter")
    rows = page.locator("[data-trend='calls'] tbody tr")
    await expect(rows).to_have_count(7)
    assert sum(int(text) for text in await rows.locator("td").all_inner_texts()) == CALLS
    await look_at(page)

    await page.get_by_role("button", name="English").click()
    await expect(page.locator("[data-figure='resolution_rate'] h3")).to_have_text("Resolved")
    await page.get_by_role("button", name="Español").click()

    await page.locator("#filters [name='mode']").select_option("EXTERNAL")
    await page.get_by_role("button", name="Ver", exact=True).press("Enter")
    await expect(page.locator("[data-figure='calls'] .value")).to_have_text("15")
    assert "mode=EXTERNAL" in page.url
    await page.go_back()
    await expect(page.locator("[data-figure='calls'] .value")).to_have_text(str(CALLS))
    await page.get_by_role("link", name="Hoy").press("Enter")
    await expect(page.locator("[data-figure='calls'] .value")).not_to_have_text(str(CALLS))
    await page.go_back()
    await expect(page.locator("[data-figure='calls'] .value")).to_have_text(str(CALLS))
    csv = page.locator("[data-table='outcomes'] a", has_text="CSV")
    assert await csv.evaluate(
        "async ({ href }) => (await fetch(href)).headers.get('content-type')"
    ) == ("text/csv; charset=utf-8")
    await page.locator("[data-table='outcomes'] tbody a").first.press("Enter")
    await expect(page.locator("#calls li")).to_have_count(20, timeout=90_000)
    await expect(page.locator("#active")).to_contain_text("resuelta")
    await look_at(page)
    await page.get_by_role("button", name="Quitar el filtro Cifra").press("Enter")
    await expect(page.locator("#calls li")).to_have_count(CALLS)


async def test_days_without_calls_show_no_zero_that_nobody_measured(page: Page) -> None:
    await expect(page.locator("#entry")).to_be_visible(timeout=90_000)
    await page.get_by_label("Clave").fill(HOUSE_KEY)
    await page.keyboard.press("Enter")
    await expect(page.locator("#figures .figure")).to_have_count(19, timeout=90_000)
    await page.locator("#filters [name='since']").fill("2020-01-01")
    await page.locator("#filters [name='until']").fill("2020-01-31")
    await page.get_by_role("button", name="Ver", exact=True).click()
    await expect(page.locator("[data-figure='calls'] .value")).to_have_text("0")
    await expect(page.locator("[data-figure='resolution_rate'] .value")).to_have_text("—")
    await expect(page.locator("#trends .none")).to_have_count(6)
    await look_at(page)

    await page.locator("#rooms a", has_text="Experimentos").click()
    await expect(page.locator(".experiment tbody tr")).to_have_count(2, timeout=90_000)
    await expect(page.locator(".experiment")).to_contain_text("en marcha")
    await look_at(page)
    page.once("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name="Parar: voz").press("Enter")
    await expect(page.locator(".experiment")).to_contain_text("parado")
    await expect(page.get_by_role("button", name="Parar: voz")).to_have_count(0)
    await look_at(page)
