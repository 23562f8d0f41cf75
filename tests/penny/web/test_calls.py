"""The page of kept calls before a real gateway: found, read, heard, held and erased."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
import soundfile
from playwright.async_api import Page, expect

from penny.calls.record import Call, Recorded
from penny.calls.store import CallStore
from tests.doubles.house import running_penny
from tests.doubles.operator import HOUSE_KEY
from tests.penny.calls.calls import a_call, a_turn
from tests.penny.web.conftest import Tab
from tests.penny.web.test_accessibility import find_violations


pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

RATE_HZ = 8000


@dataclass
class Ledger:
    tab: Tab
    folder: Path

    @property
    def page(self) -> Page:
        return self.tab.page


def with_sound(folder: Path, call: Call) -> Call:
    """The call with six seconds of two tones beside it."""
    path = folder / "sound" / call.tenant / f"{call.started_at:%Y-%m-%d}" / f"{call.id}.flac"
    path.parent.mkdir(parents=True)
    at = np.arange(6 * RATE_HZ) / RATE_HZ
    tones = [0.4 * np.sin(2 * np.pi * hz * at) for hz in (220, 440)]
    soundfile.write(path, np.column_stack(tones), RATE_HZ, format="FLAC")
    call.sound = {
        "state": "stored",
        "duration_ms": 6000,
        "path": str(path.relative_to(folder / "sound")),
    }
    return call


@pytest_asyncio.fixture(loop_scope="session")
async def ledger(tab: Tab, tmp_path: Path) -> AsyncIterator[Ledger]:
    url = f"sqlite:///{tmp_path / 'calls.sqlite'}"
    store = CallStore(url)
    for number in range(60):
        await store.put(a_call(number, turns=[a_turn(f"llamada número {number}")]))
    await store.put(a_call(99, parent="sess_default_100", turns=[a_turn("el otro tramo")]))
    two = [a_turn(), a_turn("¿Y la de <b>febrero</b>?", "El veinte.", number=2, from_ms=5000)]
    recorded = [Recorded(from_ms=0, until_ms=6000, stopped="transfer")]
    await store.put(with_sound(tmp_path, a_call(100, turns=two, recorded=recorded)))
    await store.aclose()
    async with running_penny(calls={"folder": str(tmp_path), "url": url}) as base:
        await tab.open(f"{base}/calls")
        yield Ledger(tab, tmp_path)
        await tab.close()


async def sign_in(page: Page) -> None:
    await page.get_by_label("Clave").fill(HOUSE_KEY)
    await page.get_by_role("button", name="Entrar").click()
    await expect(page.locator("#calls li")).to_have_count(50, timeout=90_000)


@pytest.mark.timeout(400)
async def test_a_call_is_found_read_heard_held_and_erased_by_keyboard_too(ledger: Ledger) -> None:
    page = ledger.page
    await expect(page.locator("#entry")).to_be_visible(timeout=90_000)
    assert await find_violations(page) == []
    await sign_in(page)
    await page.get_by_role("button", name="Ver más").press("Enter")
    await expect(page.locator("#calls li")).to_have_count(62)
    assert await find_violations(page) == []

    await page.get_by_label("Inquilino").fill("default")
    await page.get_by_label("Dura hasta").fill("5")
    await page.get_by_label("Por dónde").select_option("socket")
    await page.get_by_label("Resultado").fill("resuelto")
    await page.get_by_label("Resultado").press("Enter")
    await expect(page.locator("#count")).to_have_text("No hay llamadas.")
    await expect(page.locator("#active button")).to_have_count(4)
    assert await find_violations(page) == []
    await page.get_by_role("button", name="Quitar el filtro Resultado").click()
    await page.get_by_role("button", name="Quitar el filtro Dura hasta").press("Enter")
    await expect(page.locator("#calls li")).to_have_count(50)
    await expect(page.locator("#active button")).to_have_count(2)
    await page.get_by_label("Se dijo").fill("FEBRERO")
    await page.get_by_label("Se dijo").press("Enter")
    await expect(page.locator("#calls li")).to_have_count(1)
    await page.locator("#calls button").press("Enter")
    await expect(page.locator("#lines button")).to_have_count(4)
    await expect(page.locator("#lines")).to_contain_text("¿Y la de <b>febrero</b>?")
    await expect(page.locator("#facts")).to_contain_text("0:00–0:06 (traspaso)")
    await expect(page.locator("#legs button")).to_have_count(1)
    await page.wait_for_function("() => document.querySelector('#player').duration === 6")
    await page.wait_for_function(
        "() => document.querySelector('#waves').getContext('2d')"
        ".getImageData(0, 0, 1200, 160).data.some((value) => value > 0)"
    )
    for width in (390, 1280):
        await page.set_viewport_size({"width": width, "height": 900})
        for _ in range(2):
            assert await find_violations(page) == []
            wider = await page.evaluate(
                "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"
            )
            assert not wider
            await page.locator("#theme").click()
    await page.locator("#lines button").nth(2).press("Enter")
    await page.wait_for_function("() => document.querySelector('#player').currentTime >= 5")
    await page.locator("#waves").press("ArrowLeft")
    await page.wait_for_function("() => document.querySelector('#player').currentTime < 4")
    await page.get_by_role("button", name="Siguiente turno").press("Enter")
    await page.wait_for_function("() => document.querySelector('#player').currentTime >= 1")
    await page.get_by_label("Velocidad").select_option("1.5")
    assert await page.evaluate("document.querySelector('#player').playbackRate") == 1.5
    await expect(page.locator("#lines small").first).to_have_text(
        "contestó en 450 ms: oído 200, pensado 100, voz 150"
    )
    assert (
        await page.evaluate(
            "Promise.all([...document.querySelectorAll('#files a')].map(async ({ href }) =>"
            " (await fetch(href)).headers.get('x-penny-calls') ?? 'none'))"
        )
        == ["1"] * 5
    )

    await page.get_by_role("button", name="Retener").click()
    await expect(page.get_by_role("button", name="Dejar de retener")).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name="Borrar").click()
    await expect(page.locator("#problem")).to_contain_text("Esta llamada está retenida")
    await page.get_by_role("button", name="Dejar de retener").click()
    await expect(page.get_by_role("button", name="Retener", exact=True)).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name="Borrar").click()
    await expect(page.locator("#count")).to_have_text("No hay llamadas.")
    await page.get_by_role("button", name="Quitar los filtros").press("Enter")
    await expect(page.locator("#calls li")).to_have_count(50)
    await page.get_by_label("Se dijo").fill("febrero")
    await page.keyboard.press("Enter")
    await expect(page.locator("#count")).to_have_text("No hay llamadas.")
    assert not list(ledger.folder.rglob("*.flac"))
    await page.get_by_role("button", name="English").click()
    await expect(page.locator("#count")).to_have_text("There are no calls.")
    assert await find_violations(page) == []
