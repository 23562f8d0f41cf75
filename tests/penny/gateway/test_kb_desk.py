"""The document owner's routes through a real gateway: who sees and changes what."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kb.unanswered import UnansweredQuestions
from penny.trust.keys import KeyFile
from tests.doubles.house import running_penny
from tests.doubles.operator import OPERATOR


pytestmark = pytest.mark.socket


Json = dict[str, Any]
REF = "kb://taller/manual"
OTHERS = "kb://bodega/vinos"
BAJA = "---\nidioma: es\n---\n## Baja\n\nLa baja del contrato es gratuita.\n"


@pytest.fixture
def section(tmp_path: Path) -> Json:
    for ref in (REF, OTHERS):
        folder = tmp_path / "documents" / ref.removeprefix("kb://")
        folder.mkdir(parents=True)
        (folder / "baja.md").write_text(BAJA, encoding="utf-8")
    (tmp_path / "documents" / "taller" / "manual" / "foto.png").write_bytes(b"x")
    return {
        "documents": str(tmp_path / "documents"),
        "index": str(tmp_path / "index"),
        "default_ref": REF,
        "keep_unanswered": 5,
        "embedding": "none",
    }


class Owner:
    """Asks one gateway, and waits for what its watch of the folder does."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.http = http

    async def ask(
        self, method: str, path: str, data: bytes | None = None, **query: str
    ) -> tuple[int, Json]:
        async with self.http.request(
            method, f"{self.url}/v1/kb/{path}", params=query, data=data
        ) as reply:
            return reply.status, await reply.json()

    async def files(self, ref: str = REF) -> dict[str, Json]:
        status, told = await self.ask("GET", "collections")
        found = told.get("collections", []) if status == 200 else []
        return {f["name"]: f for each in found if each["ref"] == ref for f in each["files"]}

    async def until(self, name: str, *, there: bool) -> None:
        async with asyncio.timeout(60):
            while (name in await self.files()) is not there:
                await asyncio.sleep(0.05)


@pytest.fixture
async def owner(section: Json) -> AsyncIterator[Owner]:
    async with running_penny(kb=section) as url, aiohttp.ClientSession(headers=OPERATOR) as http:
        found = Owner(url, http)
        await found.until("baja.md", there=True)
        yield found


async def test_files_are_listed_with_what_is_wrong_and_read_as_they_are_spoken(
    owner: Owner,
) -> None:
    files = await owner.files()
    _, told = await owner.ask("GET", "passages", ref=REF, source="baja.md")

    assert (files["baja.md"]["passages"], files["baja.md"]["problem"]) == (1, "")
    assert "a picture (.png) has no text" in files["foto.png"]["problem"]
    assert [each["speakable"] for each in told["passages"]] == ["La baja del contrato es gratuita."]


async def test_a_document_that_is_put_there_answers_and_one_that_is_removed_does_not(
    owner: Owner, section: Json
) -> None:
    text = "---\nidioma: es\n---\n## Grúa\n\nLa grúa cuesta ochenta euros.\n".encode()

    status, _ = await owner.ask("PUT", "document", text, ref=REF, name="precios/grúa.md")
    assert status == 200
    await owner.until("precios/grúa.md", there=True)
    _, found = await owner.ask("GET", "search", ref=REF, q="cuánto cuesta la grúa", why="true")
    assert found["hits"][0]["source"] == "precios/grúa.md"
    assert found["hits"][0]["why"]["by_words"] == 1
    assert "grua" in found["hits"][0]["why"]["found"]

    assert (await owner.ask("DELETE", "document", ref=REF, name="precios/grúa.md"))[0] == 200
    await owner.until("precios/grúa.md", there=False)
    assert not (Path(section["documents"]) / "taller/manual/precios/grúa.md").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../fuera.md", "a path below the collection"),
        ("/etc/fuera.md", "a path below the collection"),
        (".oculto.md", "a path below the collection"),
        ("precios/../../fuera.md", "a path below the collection"),
        ("programa.exe", "files .exe are not read"),
        ("sinonimos.txt", "edited in the folder"),
        ("x" * 201 + ".md", "at most 200 bytes"),
    ],
)
async def test_what_is_no_document_is_refused_with_the_remedy(
    owner: Owner, section: Json, name: str, words: str
) -> None:
    before = sorted(Path(section["documents"]).rglob("*"))

    status, told = await owner.ask("PUT", "document", b"texto", ref=REF, name=name)

    assert (status, told["error"]["code"]) == (400, "kb_document_refused")
    assert words in told["error"]["message"]
    assert sorted(Path(section["documents"]).rglob("*")) == before


async def test_a_linked_folder_leads_nowhere(owner: Owner, section: Json, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (Path(section["documents"]) / "taller/manual/atajo").symlink_to(outside)

    status, _ = await owner.ask("PUT", "document", b"texto", ref=REF, name="atajo/a.md")

    assert status == 400
    assert list(outside.iterdir()) == []


async def test_questions_without_an_answer_are_told_and_forgotten(
    owner: Owner, section: Json
) -> None:
    kept = UnansweredQuestions(Path(section["index"]) / "unanswered.json", 5)
    kept.note(REF, "¿Tienen grúa los domingos?")

    _, told = await owner.ask("GET", "unanswered", ref=REF)
    assert [each["text"] for each in told["questions"]] == ["¿Tienen grúa los domingos?"]
    await owner.ask("DELETE", "unanswered", ref=REF, text="¿Tienen grúa los domingos?")
    _, told = await owner.ask("GET", "unanswered", ref=REF)
    assert told["questions"] == []


async def test_a_tenant_sees_and_changes_only_its_own(section: Json, tmp_path: Path) -> None:
    keys = tmp_path / "keys.sqlite"
    owner_key, _ = KeyFile(keys, time.time).create("bodega", "dueña", role="admin")
    caller_key, _ = KeyFile(keys, time.time).create("bodega", "llamadas")
    tenants = {"bodega": {"kb_collections": [OTHERS]}}
    async with running_penny(
        kb=section, keys={"file": str(keys), "required": "always"}, tenants=tenants
    ) as url:
        async with aiohttp.ClientSession(headers=_bearer(owner_key)) as http:
            mine = Owner(url, http)
            async with asyncio.timeout(60):
                while not await mine.files(OTHERS):
                    await asyncio.sleep(0.05)
            _, told = await mine.ask("GET", "collections")
            assert [each["ref"] for each in told["collections"]] == [OTHERS]
            assert (await mine.ask("GET", "passages", ref=REF, source="baja.md"))[0] == 400
            assert (await mine.ask("PUT", "document", b"x", ref=REF, name="a.txt"))[0] == 400
            assert (await mine.ask("PUT", "document", b"x", ref=OTHERS, name="a.txt"))[0] == 200
        async with aiohttp.ClientSession(headers=_bearer(caller_key)) as http:
            caller = Owner(url, http)
            assert (await caller.ask("GET", "collections"))[0] == 403
            assert (await caller.ask("PUT", "document", b"x", ref=OTHERS, name="a.txt"))[0] == 403
            assert (await caller.ask("GET", "unanswered", ref=OTHERS))[0] == 403


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
