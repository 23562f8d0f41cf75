"""The document owner's page before a real gateway with two small collections."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import FilePayload, Page, expect

from kb.unanswered import UnansweredQuestions
from tests.doubles.house import running_penny
from tests.doubles.operator import HOUSE_KEY
from tests.penny.web.conftest import Tab
from tests.penny.web.test_accessibility import find_violations


pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

BAJA = "---\nidioma: es\n---\n## Baja\n\nLa baja del contrato es gratuita.\n"
GRUA: FilePayload = {
    "name": "grúa.md",
    "mimeType": "text/markdown",
    "buffer": "---\nidioma: es\n---\n## Grúa\n\nLa grúa cuesta ochenta euros.\n".encode(),
}


@dataclass
class Desk:
    tab: Tab
    documents: Path

    @property
    def page(self) -> Page:
        return self.tab.page


@pytest_asyncio.fixture(loop_scope="session")
async def desk(tab: Tab, tmp_path: Path) -> AsyncIterator[Desk]:
    folder = tmp_path / "documents" / "taller" / "manual"
    folder.mkdir(parents=True)
    (folder / "baja.md").write_text(BAJA, encoding="utf-8")
    (folder / "foto.png").write_bytes(b"x")
    index = tmp_path / "index"
    UnansweredQuestions(index / "unanswered.json", 5).note("kb://taller/manual", "¿Tienen grúa?")
    section = {
        "documents": str(tmp_path / "documents"),
        "index": str(index),
        "default_ref": "kb://taller/manual",
        "keep_unanswered": 5,
        "embedding": "none",
    }
    async with running_penny(kb=section) as url:
        await tab.open(f"{url}/kb")
        yield Desk(tab, tmp_path / "documents")
        await tab.close()


async def sign_in(page: Page) -> None:
    await page.get_by_label("Clave").fill(HOUSE_KEY)
    await page.get_by_role("button", name="Entrar").click()
    await expect(page.locator("[data-file='baja.md']")).to_be_visible(timeout=90_000)


async def test_an_owner_reads_asks_adds_and_deletes_by_keyboard_too(desk: Desk) -> None:
    page = desk.page
    assert await find_violations(page) == []
    await sign_in(page)

    why = page.locator("[data-file='foto.png'] .why")
    await expect(why).to_contain_text("una imagen no tiene texto")
    await page.get_by_label("Pregunta").fill("cómo me doy de baja")
    await page.keyboard.press("Enter")
    await expect(page.locator("#hits li").first).to_contain_text("por palabras, el 1.º")
    await page.get_by_role("button", name="Leer: baja.md").press("Enter")
    await expect(page.locator("#passages")).to_contain_text("La baja del contrato es gratuita.")
    assert await find_violations(page) == []

    await page.locator("#upload").set_input_files([GRUA])
    await expect(page.locator("[data-file='grúa.md']")).to_be_visible(timeout=90_000)
    await page.get_by_role("button", name="Probar: ¿Tienen grúa?").click()
    await expect(page.locator("#hits")).to_contain_text("La grúa cuesta ochenta euros.")
    await page.get_by_role("button", name="Olvidar: ¿Tienen grúa?").click()
    await expect(page.locator("#asked")).to_be_hidden()

    page.once("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name="Borrar: grúa.md").click()
    await expect(page.locator("[data-file='grúa.md']")).to_be_hidden(timeout=90_000)
    assert not (desk.documents / "taller/manual/grúa.md").exists()

    await page.get_by_role("button", name="English").click()
    await expect(page.get_by_role("heading", name="Ask as a caller would")).to_be_visible()
    assert await find_violations(page) == []
    refused = [
        each for each in desk.tab.complaints if "status of 40" not in each and "503" not in each
    ]
    assert refused == []


async def test_a_file_that_is_dropped_is_sent(desk: Desk) -> None:
    page = desk.page
    await sign_in(page)

    transfer = await page.evaluate_handle(
        "() => { const held = new DataTransfer();"
        " held.items.add(new File(['Los domingos no abrimos.'], 'horario.txt')); return held; }"
    )
    await page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})

    await expect(page.locator("[data-file='horario.txt']")).to_be_visible(timeout=90_000)
    assert (desk.documents / "taller/manual/horario.txt").read_text() == "Los domingos no abrimos."
