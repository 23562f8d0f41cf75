"""The talk page as a person uses it."""

from __future__ import annotations

import copy
import os
from pathlib import Path

import pytest
from playwright.async_api import expect

from penny.protocol.conversation import Interrupt, Interruption
from penny.protocol.error import SessionError
from tests.doubles.chromium import launch_chromium
from tests.doubles.scripted_penny import ANSWER, MODES, ScriptedPenny
from tests.penny.web.conftest import Visit


pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def keep_screenshot(visit: Visit, name: str) -> None:
    """For a person to look at, when PENNY_SCREENSHOTS names a folder."""
    folder = os.environ.get("PENNY_SCREENSHOTS")
    if not folder:
        return
    for width in (1280, 390):
        await visit.page.set_viewport_size({"width": width, "height": 800})
        await visit.page.screenshot(path=Path(folder) / f"{name}-{width}.png", full_page=True)
    await visit.page.set_viewport_size({"width": 1280, "height": 800})


async def test_modes_are_offered_and_the_unavailable_one_says_why(visit: Visit) -> None:
    page = visit.page
    await expect(page.get_by_role("radio", name="Privado")).to_be_checked()
    await expect(page.get_by_role("radio", name="Rápido")).to_be_disabled()
    await expect(page.locator(".why")).to_contain_text("OPENAI_API_KEY is not set")
    await expect(page.locator("#modes")).to_contain_text("2-4s")
    await keep_screenshot(visit, "idle")

    await page.get_by_role("button", name="English").click()
    await expect(page.get_by_role("button", name="Talk")).to_be_enabled()
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await expect(page.locator(".why")).to_contain_text("Not available")
    assert visit.complaints == []


async def test_spoken_question_is_answered_and_shown_with_its_times(visit: Visit) -> None:
    page = visit.page
    await page.get_by_role("button", name="Hablar").click()
    await expect(page.locator("#notice")).to_contain_text("entiendo una lista")
    await expect(page.locator(".user")).to_contain_text("¿Cuándo vence mi factura?")
    await expect(page.locator(".penny p")).to_have_text(ANSWER)
    await expect(page.locator(".penny small")).to_contain_text("oído entero")
    await page.locator(".latency summary").click()
    await expect(page.locator(".latency")).to_contain_text("Respuesta en 610 ms")
    await expect(page.locator(".latency")).to_contain_text("fin de turno")
    await keep_screenshot(visit, "answered")
    await page.get_by_role("button", name="Colgar").click()
    await expect(page.get_by_role("status")).to_have_text("Llamada terminada.")

    assert visit.penny.starts[0].language == "es"
    assert visit.complaints == []
    assert all(url.startswith((visit.penny.url, "ws://127.0.0.1")) for url in visit.requests)


async def test_interrupted_answer_shows_what_was_heard_and_what_was_cut(visit: Visit) -> None:
    visit.penny.answer_ms = 8000
    page = visit.page
    await page.get_by_role("button", name="Hablar").click()
    cut = page.locator(".penny.cut").first
    await expect(cut).to_be_visible(timeout=15_000)
    await keep_screenshot(visit, "interrupted")

    interruption = visit.penny.events(Interruption)[0]
    assert interruption.heard_text
    assert await cut.locator("del").text_content() == interruption.cut_text
    shown = await cut.locator("p").text_content()
    assert shown == interruption.heard_text + interruption.cut_text
    assert visit.complaints == []


async def test_keyboard_alone_is_enough(visit: Visit) -> None:
    visit.penny.answer_ms = 8000
    page = visit.page
    await expect(page.get_by_role("button", name="Hablar")).to_be_enabled()
    await page.locator("#text").focus()
    await page.keyboard.type("Hola")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("Penny habla")
    await page.keyboard.press("Escape")
    await visit.until(lambda: any(isinstance(m, Interrupt) for m in visit.penny.messages))
    await expect(page.locator(".penny.cut")).to_be_visible()
    await page.get_by_role("button", name="Colgar").focus()
    await page.keyboard.press("Space")
    await expect(page.get_by_role("status")).to_have_text("Llamada terminada.")


async def test_cut_connection_is_said_plainly_and_talk_calls_again(visit: Visit) -> None:
    page = visit.page
    await page.locator("#text").fill("corta")
    await expect(page.get_by_role("button", name="Hablar")).to_be_enabled()
    await page.locator("#text").press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("Se ha cortado la conexión")
    await keep_screenshot(visit, "cut")
    await page.get_by_role("button", name="Hablar").click()
    await expect(page.get_by_role("status")).to_have_text("Te escucho.")
    await expect(page.get_by_role("alert")).to_be_hidden()


async def test_error_of_a_turn_is_shown_and_the_call_goes_on(visit: Visit) -> None:
    page = visit.page
    await expect(page.get_by_role("button", name="Hablar")).to_be_enabled()
    await page.locator("#text").fill("falla")
    await page.locator("#text").press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("stt: no pudo")
    await page.get_by_role("button", name="Cerrar el aviso").click()
    await expect(page.get_by_role("alert")).to_be_hidden()
    await page.locator("#text").fill("Hola")
    await page.locator("#text").press("Enter")
    await expect(page.locator(".penny p")).to_have_text(ANSWER)


async def test_refused_session_shows_the_reason_and_keeps_the_typed_words(visit: Visit) -> None:
    visit.penny.refuse = SessionError(
        code="session_refused", message="no room: 8 of 8 sessions", retryable=True
    )
    page = visit.page
    await expect(page.get_by_role("button", name="Hablar")).to_be_enabled()
    await page.locator("#text").fill("Hola")
    await page.locator("#text").press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("no room: 8 of 8 sessions")
    await expect(page.locator("#text")).to_have_value("Hola")


async def test_cold_start_says_how_long_and_can_be_cancelled(visit: Visit) -> None:
    visit.penny.cold_start_ms = 20_000
    page = visit.page
    await page.get_by_role("button", name="Hablar").click()
    await expect(page.get_by_role("status")).to_have_text("Despertando el modo: unos 20 s.")
    await keep_screenshot(visit, "waking")
    await page.get_by_role("button", name="Cancelar").click()
    await expect(page.get_by_role("button", name="Hablar")).to_be_visible()


async def test_markup_in_a_transcript_is_text(visit: Visit) -> None:
    page = visit.page
    await expect(page.get_by_role("button", name="Hablar")).to_be_enabled()
    await page.locator("#text").fill("<img src=x onerror=alert(1)>")
    await page.locator("#text").press("Enter")
    await expect(page.locator(".user p")).to_have_text("<img src=x onerror=alert(1)>")
    assert await page.locator("#transcript img").count() == 0


async def test_no_mode_at_all_is_said(visit: Visit) -> None:
    modes = copy.deepcopy(MODES)
    for mode in modes["modes"]:  # type: ignore[attr-defined]
        mode["available"] = False
    visit.penny.modes = modes
    await visit.page.reload()
    await expect(visit.page.get_by_role("alert")).to_contain_text("Ningún modo está disponible")
    await expect(visit.page.get_by_role("button", name="Hablar")).to_be_disabled()


async def test_without_a_microphone_the_page_says_so_and_typing_works(
    scripted: ScriptedPenny,
) -> None:
    async with launch_chromium() as browser:
        page = await browser.new_page()
        await page.goto(scripted.url)
        await page.get_by_role("button", name="Hablar").click()
        await expect(page.get_by_role("alert")).to_contain_text("Puedes escribir")
        await page.locator("#text").fill("Hola")
        await page.locator("#text").press("Enter")
        await expect(page.locator(".penny p")).to_have_text(ANSWER)
