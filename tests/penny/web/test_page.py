"""The talk page as a person uses it."""

from __future__ import annotations

import copy
import os
import re
from pathlib import Path
from typing import get_args

import pytest
from playwright.async_api import expect

from penny.protocol.conversation import Interrupt, Interruption
from penny.protocol.error import ERROR_CODES, SessionError
from penny.protocol.session import EndReason
from tests.doubles.chromium import launch_chromium
from tests.doubles.scripted_penny import (
    ANSWER,
    EXTERNAL_READY,
    IN_ENGLISH,
    MODES,
    ScriptedPenny,
)
from tests.penny.web.conftest import Visit


pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


def without_spanish(shown: str) -> str:
    """The text without what only a Spanish page would show."""
    for spanish in IN_ENGLISH:
        shown = shown.replace(spanish, "")
    return re.sub("[¿¡áéíóúñ]", "", shown)


COIN = "document.querySelector('#coin').toDataURL()"


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
    await expect(page.locator(".why")).to_contain_text("falta la variable OPENAI_API_KEY")
    await expect(page.locator(".why")).to_contain_text("make demo")
    await keep_screenshot(visit, "idle")

    await page.get_by_role("button", name="English").click()
    await expect(page.get_by_role("button", name="Talk")).to_be_enabled()
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await expect(page.locator(".why")).to_contain_text("Not available: OPENAI_API_KEY is not set")
    assert await page.locator("body").inner_text() == without_spanish(
        await page.locator("body").inner_text()
    )
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
    await expect(cut).to_be_visible()
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


async def test_cut_call_is_taken_up_again_and_the_page_says_what_became_of_it(
    visit: Visit,
) -> None:
    page = visit.page
    visit.penny.resumable = True
    await visit.type("Hola")
    await expect(page.locator(".penny p")).to_have_text(ANSWER)
    visit.penny.refusals = 1000
    visit.penny.drop()
    await expect(page.get_by_role("status")).to_contain_text("vuelvo a conectar")
    await keep_screenshot(visit, "reconnecting")
    visit.penny.refusals = 0
    await expect(page.locator(".remark")).to_contain_text("la llamada sigue donde estaba")
    visit.penny.resumable = False
    visit.penny.drop()
    await expect(page.locator(".remark").last).to_contain_text("Penny empieza de nuevo")
    await expect(page.get_by_role("status")).to_contain_text("Conectada")
    await expect(page.get_by_role("alert")).to_be_hidden()


async def test_refused_reconnection_ends_the_call_plainly_and_talk_calls_again(
    visit: Visit,
) -> None:
    page = visit.page
    await visit.type("Hola")
    await expect(page.locator(".penny p")).to_have_text(ANSWER)
    visit.penny.refuse = SessionError(code="mode_unavailable", message="gone", retryable=False)
    visit.penny.drop()
    await expect(page.get_by_role("alert")).to_contain_text("Se ha cortado la conexión")
    await keep_screenshot(visit, "cut")
    visit.penny.refuse = None
    await page.get_by_role("button", name="Hablar").click()
    await expect(page.get_by_role("status")).to_have_text("Te escucho.")
    await expect(page.get_by_role("alert")).to_be_hidden()


async def choose_external(visit: Visit) -> None:
    visit.penny.modes = EXTERNAL_READY
    await visit.page.reload()
    await visit.page.get_by_role("radio", name="Rápido").check()


async def test_external_shows_the_folio_its_sources_and_the_correction(visit: Visit) -> None:
    page = visit.page
    await choose_external(visit)
    await page.get_by_role("button", name="Hablar").click()
    folio, brain = page.locator("#folio"), page.get_by_role("complementary", name="El cerebro")
    await expect(brain).to_contain_text("El primer folio llega con el primer turno")
    await expect(folio).to_contain_text("Consulta sobre una factura pendiente")
    await expect(folio).to_contain_text("como mensaje de sistema · 1240 ms · 0,0041 $")
    await expect(folio.locator(".passages li").first).to_contain_text("facturas/vencimientos.md")
    await expect(folio.locator(".passages li").first).to_contain_text("0,91")
    await expect(folio.locator(".beware")).to_contain_text("No prometer")
    correction = brain.locator(".correction")
    await expect(correction.locator("del")).to_have_text("el importe es de mil quinientos euros")
    await expect(correction.locator("ins")).to_contain_text("recargo de 22,50 €")
    await expect(page.locator(".penny mark").first).to_have_text(
        "el importe es de mil quinientos euros"
    )
    await expect(brain.locator(".action")).to_contain_text("hecha")
    await expect(page.locator("#spending")).to_contain_text("Cerebro")
    await expect(page.locator("#cost")).to_have_text("0,019 $")
    await keep_screenshot(visit, "external")
    assert visit.penny.starts[0].mode == "EXTERNAL"
    assert visit.complaints == []


async def test_folios_can_be_leafed_through_and_a_handoff_is_shown(visit: Visit) -> None:
    page = visit.page
    visit.penny.answer_ms = 200
    await choose_external(visit)
    for said in ("Hola", "¿Puedo aplazarla?"):
        await visit.type(said)
        number = page.locator("#folio .number")
        await expect(number).to_have_text("Folio 1" if said == "Hola" else "Folio 2")
    await expect(page.locator("#folio .chip")).to_have_text("en vigor")
    await page.get_by_role("button", name="Folio anterior").click()
    await expect(number).to_have_text("Folio 1")
    await expect(page.locator("#folio .chip")).to_have_text("anterior")
    await expect(page.locator(".handoff").last).to_contain_text("Pide aplazar la factura")


async def test_on_a_phone_conversation_and_brain_take_turns(visit: Visit) -> None:
    page = visit.page
    visit.penny.answer_ms = 200
    await page.set_viewport_size({"width": 390, "height": 844})
    await choose_external(visit)
    await visit.type("Hola")
    await expect(page.locator("#folio")).to_be_attached()
    await expect(page.locator("#brain")).to_be_hidden()
    await page.get_by_role("button", name="El cerebro").click()
    await expect(page.locator("#folio .number")).to_be_visible()
    await expect(page.locator("#transcript")).to_be_hidden()
    wide = await page.evaluate("document.documentElement.scrollWidth")
    assert wide == 390


async def test_theme_is_changed_and_remembered(visit: Visit) -> None:
    page = visit.page
    paper = "getComputedStyle(document.body).backgroundColor"
    await page.emulate_media(color_scheme="light")
    light = await page.evaluate(paper)
    await page.get_by_role("button", name="Tema: el del sistema").click()
    dark = await page.evaluate(paper)
    assert dark != light
    await page.reload()
    assert await page.evaluate(paper) == dark


async def test_who_wants_no_motion_sees_the_levels_all_the_same(visit: Visit) -> None:
    page = visit.page
    await page.emulate_media(reduced_motion="reduce")
    await page.reload()
    quiet = await page.evaluate(COIN)
    await page.get_by_role("button", name="Hablar").click()
    await expect(page.get_by_role("status")).to_have_text("Te oigo…")
    assert await page.evaluate(COIN) != quiet
    assert await page.locator(".coin").evaluate("e => getComputedStyle(e).animationName") == "none"


async def test_error_of_a_turn_is_shown_and_the_call_goes_on(visit: Visit) -> None:
    page = visit.page
    await visit.type("falla")
    await expect(page.get_by_role("alert")).to_contain_text("Algo falló en este turno")
    await page.get_by_role("button", name="Cerrar el aviso").click()
    await expect(page.get_by_role("alert")).to_be_hidden()
    await visit.type("Hola")
    await expect(page.locator(".penny p")).to_have_text(ANSWER)


async def test_refused_session_shows_the_reason_and_keeps_the_typed_words(visit: Visit) -> None:
    visit.penny.refuse = SessionError(
        code="session_refused", message="no room: 8 of 8 sessions", retryable=True
    )
    page = visit.page
    await visit.type("Hola")
    await expect(page.get_by_role("alert")).to_contain_text("Penny está ocupada ahora")
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
    await visit.type("<img src=x onerror=alert(1)>")
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


async def test_what_the_ears_know_is_told_before_the_call_in_the_page_s_language(
    visit: Visit,
) -> None:
    page = visit.page
    ears, notice = page.locator("#ears"), page.locator("#notice")
    await expect(ears).to_contain_text("solo se entienden estas preguntas")
    await expect(notice).to_have_text("En español entiendo una lista de preguntas.")
    await page.get_by_role("button", name="English").click()
    await expect(ears).to_have_text("By voice or in writing, in your own words.")
    await expect(notice).to_have_text("In Spanish I understand a list of questions.")
    visit.penny.modes = EXTERNAL_READY
    await page.reload()
    await page.get_by_role("radio", name="Fast").check()
    await expect(notice).to_be_hidden()
    await page.get_by_role("button", name="Español").click()
    await expect(ears).to_have_text("De viva voz o por escrito, con tus palabras.")


async def test_a_waiting_page_tells_when_better_ears_take_over(visit: Visit) -> None:
    page = visit.page
    await expect(page.locator("#ears")).to_contain_text("solo se entienden estas preguntas")
    await page.clock.install()
    await page.reload()
    example = page.get_by_role("button", name="¿Cómo puedo pagar?")
    await example.focus()

    await page.clock.run_for(10_000)
    await expect(example).to_be_focused()
    visit.penny.modes = copy.deepcopy(MODES)
    visit.penny.modes["modes"][0]["hears"] = {"languages": ["*"], "closed_set": []}
    await page.clock.run_for(10_000)

    await expect(page.locator("#ears")).to_have_text("De viva voz o por escrito, con tus palabras.")


async def test_an_example_is_asked_in_writing_when_it_is_pressed(visit: Visit) -> None:
    page = visit.page
    await page.get_by_role("button", name="¿Cómo puedo pagar?").click()
    await expect(page.locator(".user p")).to_have_text("¿Cómo puedo pagar?")
    await expect(page.locator(".penny p")).to_have_text(ANSWER)
    await expect(page.locator("#examples")).to_be_hidden()
    await expect(page.locator("#text")).to_be_focused()
    assert not visit.penny.audio


async def test_latency_is_the_measured_one_or_said_to_be_unknown(visit: Visit) -> None:
    page = visit.page
    first = page.locator("[data-fact=latency]").first
    await expect(first).to_contain_text("1,2 s de mediana, medida aquí en 12 turnos")
    modes = copy.deepcopy(MODES)
    modes["modes"][0]["latency_ms"] = None
    visit.penny.modes = modes
    await page.reload()
    await expect(first).to_contain_text("sin medir todavía en esta máquina")
    await page.get_by_role("button", name="English").click()
    await expect(first).to_contain_text("not measured on this machine yet")


async def test_microphone_can_be_tried_before_the_call(visit: Visit) -> None:
    page = visit.page
    meter = page.get_by_role("meter", name="Nivel del micrófono")
    await expect(meter).to_be_hidden()
    await page.get_by_role("button", name="Probar el micrófono").press("Enter")
    await expect(meter).to_be_visible()
    await expect(page.locator("#check-said")).to_have_text("Se te oye bien.")
    assert visit.penny.starts == []
    await page.get_by_role("button", name="Hablar").click()
    await expect(page.get_by_role("button", name="Colgar")).to_be_visible()
    await expect(meter).to_be_hidden()
    assert visit.complaints == []


@pytest.mark.parametrize(
    ("agent", "advice"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "el bloqueo"),
        ("Mozilla/5.0 (Macintosh) AppleWebKit/605 Version/18.5 Safari/605", "en Safari"),
        (
            "Mozilla/5.0 (iPhone) AppleWebKit/605 Version/18.5 Mobile Safari/604",
            "Ajustes del sitio",
        ),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile Safari/537", "Permisos, Micrófono"),
        ("Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0 Safari/537 Edg/140.0", "de la dirección"),
    ],
)
async def test_blocked_microphone_is_explained_for_the_browser(
    visit: Visit, agent: str, advice: str
) -> None:
    page = visit.page
    await page.evaluate(
        """agent => {
          Object.defineProperty(navigator, "userAgent", { value: agent, configurable: true });
          const refuse = () => Promise.reject(new DOMException("no", "NotAllowedError"));
          navigator.mediaDevices.getUserMedia = refuse;
        }""",
        agent,
    )
    await page.get_by_role("button", name="Probar el micrófono").click()
    await expect(page.get_by_role("alert")).to_contain_text("no permite usar el micrófono")
    await expect(page.get_by_role("alert")).to_contain_text(advice)
    await page.get_by_role("button", name="Cerrar el aviso").click()
    await page.get_by_role("button", name="Hablar").click()
    await expect(page.get_by_role("alert")).to_contain_text(advice)


async def test_page_has_its_own_words_for_every_code_of_the_server(visit: Visit) -> None:
    books = await visit.page.evaluate(
        """async () => {
          const { ES } = await import("/web/words-es.js");
          const { EN } = await import("/web/words-en.js");
          return [ES, EN].map(({ errors, ends, dashboard }) =>
            [errors, ends, dashboard.ends].map(Object.keys));
        }"""
    )
    without_words = {"client_ended", "client_gone", "handoff"}  # no fault, or told otherwise
    for errors, ends, of_calls in books:
        assert set(ERROR_CODES) - set(errors) == set()
        assert set(ends) == set(get_args(EndReason)) - without_words
        assert set(get_args(EndReason)) - set(of_calls) == set()


async def test_both_languages_have_the_same_words(visit: Visit) -> None:
    spanish, english = await visit.page.evaluate(
        """async () => {
          const { ES } = await import("/web/words-es.js");
          const { EN } = await import("/web/words-en.js");
          const keys = (book, path = "") => Object.entries(book).flatMap(([name, value]) =>
            typeof value === "object" ? keys(value, `${path}${name}.`) : [`${path}${name}`]);
          return [keys(ES), keys(EN)];
        }"""
    )
    assert spanish == english


async def test_a_mode_that_is_still_loading_is_offered_when_it_is_ready(visit: Visit) -> None:
    loading = copy.deepcopy(MODES)
    loading["modes"][0].update(available=False, reason="la máquina está cargando sus motores")
    visit.penny.modes = loading
    await visit.page.reload()
    await expect(visit.page.get_by_role("button", name="Hablar")).to_be_disabled()
    await expect(visit.page.get_by_role("alert")).to_contain_text("Ningún modo está disponible")
    await visit.page.get_by_role("button", name="¿Cómo puedo pagar?").click()
    await expect(visit.page.get_by_role("status")).to_have_text(
        "Ningún modo está disponible ahora."
    )
    assert visit.penny.starts == []
    visit.penny.modes = MODES
    await expect(visit.page.get_by_role("button", name="Hablar")).to_be_enabled()
    await expect(visit.page.get_by_role("alert")).to_be_hidden()
