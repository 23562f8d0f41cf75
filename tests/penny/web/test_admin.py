"""The operator's page against made-up calls."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.doubles.scripted_admin import KEY, ScriptedAdmin, serve
from tests.penny.web.conftest import Tab


pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@dataclass
class Desk:
    tab: Tab
    admin: ScriptedAdmin

    @property
    def page(self) -> Page:
        return self.tab.page


@pytest_asyncio.fixture(loop_scope="session")
async def desk(tab: Tab) -> AsyncIterator[Desk]:
    async with serve(ScriptedAdmin()) as admin:
        await tab.open(admin.url)
        yield Desk(tab, admin)
        await tab.close()


async def test_live_calls_are_listed_with_state_latency_and_cost(desk: Desk) -> None:
    row = desk.page.get_by_role("row", name="sess_1kq3v9")
    await expect(row).to_contain_text("habla")
    await expect(row).to_contain_text("412 / 780 ms")
    await expect(row).to_contain_text("0,241 $")
    await expect(row).to_contain_text("banco-norte")
    await expect(desk.page.locator("tbody tr")).to_have_count(4)
    assert desk.tab.complaints == []
    own = desk.admin.url.removesuffix("/admin")
    assert all(url.startswith(own) for url in desk.tab.requests)


async def test_charts_cover_the_hours_that_are_chosen(desk: Desk) -> None:
    charts = desk.page.locator("figure")
    await expect(charts).to_have_count(4)
    errors = desk.page.locator("[data-chart=errors]")
    await expect(errors.locator("b")).to_have_text("3")
    await desk.page.get_by_role("button", name="6 h").click()
    await expect(errors.locator("b")).to_have_text("7")
    await expect(errors.get_by_role("img")).to_have_attribute(
        "aria-label", re.compile("Errores: 7")
    )
    await expect(desk.page.locator("[data-chart=latency] b")).to_have_text(
        f"{desk.admin.overview['series']['latency_p50_ms'][-1]} ms"
    )


async def test_looking_into_a_call_shows_events_without_what_was_said(desk: Desk) -> None:
    page = desk.page
    await page.get_by_role("button", name="Mirar: sess_1kq3v9").click()
    events = page.get_by_role("log", name="Sucesos")
    await expect(events).to_contain_text("input_audio_buffer.append× 40")
    await expect(events).to_contain_text("transcript <31 characters>")
    await expect(events).not_to_contain_text("¿Cuánto debo?")
    await page.get_by_role("button", name="Ver lo que se dice").click()
    await expect(events).to_contain_text("¿Cuánto debo?")

    path = "/admin/v1/sessions/sess_1kq3v9/events"
    assert desk.admin.watched == [path, f"{path}?transcripts=true"]


async def test_words_that_may_not_be_read_are_refused_in_place(desk: Desk) -> None:
    desk.admin.shows_words = False
    page = desk.page
    await page.get_by_role("button", name="Mirar: sess_1kq3v9").click()
    words = page.get_by_role("button", name="Ver lo que se dice")
    await words.click()
    note = page.locator("#look-note")
    await expect(note).to_contain_text("Lo que se dice no se muestra")
    await page.get_by_role("button", name="English").click()
    await expect(note).to_contain_text("What is said is not shown")
    await page.get_by_role("button", name="Español").click()
    await expect(words).to_have_attribute("aria-pressed", "false")
    await expect(page.locator("#events > div")).to_have_count(5)
    await expect(page.locator("#desk")).to_be_visible()


async def test_hanging_up_asks_first_and_the_row_goes(desk: Desk) -> None:
    page = desk.page
    button = page.get_by_role("button", name="Colgar: sess_2kq3v9")
    page.once("dialog", lambda dialog: dialog.dismiss())
    await button.click()
    assert desk.admin.hung_up == []
    page.once("dialog", lambda dialog: dialog.accept())
    await button.click()
    await expect(page.locator("tbody tr")).to_have_count(3)
    assert desk.admin.hung_up == ["sess_2kq3v9"]


async def test_call_that_ends_says_so_to_who_looks_in(desk: Desk) -> None:
    page = desk.page
    await page.get_by_role("button", name="Mirar: sess_1kq3v9").click()
    await expect(page.locator("#events > div")).to_have_count(5)
    page.once("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name="Colgar: sess_1kq3v9").click()
    await expect(page.locator("#look-note")).to_have_text("La llamada ha terminado.")


async def test_page_asks_for_the_key_once_and_keeps_it_from_scripts(desk: Desk) -> None:
    page = desk.page
    desk.admin.key = KEY
    await page.reload()
    await expect(page.get_by_role("heading", name="Clave de administración")).to_be_visible()
    await expect(page.locator("#desk")).to_be_hidden()
    await page.get_by_label("Clave").fill("penny_wrong")
    await page.get_by_role("button", name="Entrar").click()
    await expect(page.get_by_role("alert")).to_contain_text("Esa clave no existe")
    await page.get_by_label("Clave").fill(KEY)
    await page.get_by_role("button", name="Entrar").click()
    await expect(page.locator("tbody tr")).to_have_count(4)
    await page.reload()
    await expect(page.locator("tbody tr")).to_have_count(4)
    await expect(page.get_by_role("alert")).to_be_hidden()
    assert KEY not in await page.evaluate("JSON.stringify([document.cookie, {...sessionStorage}])")


async def test_sign_in_that_ended_is_told_in_either_language_and_begun_anew(desk: Desk) -> None:
    page = desk.page
    await expect(page.locator("tbody tr")).to_have_count(4)
    desk.admin.key = KEY
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("Su sesión ha terminado. Entre otra vez con su clave.")
    await page.get_by_role("button", name="English").click()
    await expect(alert).to_contain_text("You are signed out. Enter your key again.")
    await page.get_by_label("Key", exact=True).fill(KEY)
    await page.keyboard.press("Enter")
    await expect(page.locator("tbody tr")).to_have_count(4)
    await expect(alert).to_be_hidden()
    await expect(page.get_by_role("row", name="sess_1kq3v9")).to_contain_text("$0.241")


async def test_account_that_is_not_admitted_is_told_on_the_page(desk: Desk) -> None:
    page = desk.page
    desk.admin.key = KEY
    for code, told in (("sign_in_refused", "La cuenta de su"), ("provider_away", "no contesta")):
        await page.goto(f"{desk.admin.url}?refused={code}")
        await expect(page.get_by_role("alert")).to_contain_text(told)
        await expect(page.locator("#entry")).to_be_visible()
    await page.reload()  # it is told once
    await expect(page.locator("#entry")).to_be_visible()
    await expect(page.get_by_role("alert")).to_be_hidden()


async def test_right_that_a_key_lacks_is_named_in_the_page_s_language(desk: Desk) -> None:
    page = desk.page
    desk.admin.lacks = "sessions:hang_up"
    page.once("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name="Colgar: sess_2kq3v9").click()
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("Su clave no tiene el derecho sessions:hang_up.")
    await expect(alert).to_be_in_viewport(ratio=1)
    await page.get_by_role("button", name="English").click()
    await expect(alert).to_contain_text("Your key lacks the right sessions:hang_up.")
    await expect(page.locator("#desk")).to_be_visible()


async def test_fault_of_the_house_is_told_and_passes(desk: Desk) -> None:
    desk.admin.down = True
    await expect(desk.page.get_by_role("alert")).to_contain_text("Penny ha tenido un fallo.")
    desk.admin.down = False
    await expect(desk.page.get_by_role("alert")).to_be_hidden()


async def test_modes_and_errors_say_why(desk: Desk) -> None:
    page = desk.page
    await expect(page.locator("#modes")).to_contain_text("insufficient_quota")
    await expect(page.locator("#modes")).to_contain_text("2 en curso, 118 desde el arranque")
    await expect(page.locator(".worker").first).to_have_text(
        "lease_7f2 · attached · 2 live, 6 free"
    )
    await expect(page.locator("#errors li").first).to_contain_text("engine_failed")


async def test_nothing_is_wider_than_a_phone(desk: Desk) -> None:
    await desk.page.set_viewport_size({"width": 390, "height": 844})
    await expect(desk.page.locator("tbody tr")).to_have_count(4)
    assert await desk.page.evaluate("document.documentElement.scrollWidth") == 390
