"""Searching the knowledge base through a real gateway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from penny.trust.keys import KeyFile
from tests.doubles.embedding_server import running_embeddings
from tests.doubles.house import running_penny
from tests.doubles.operator import OPERATOR


pytestmark = pytest.mark.socket


Json = dict[str, Any]
REF = "kb://taller/manual"
BAJA = "---\nidioma: es\n---\n## Baja\n\nLa baja del contrato es gratuita.\n"
WAIT_S = 60.0


@pytest.fixture
def manual(tmp_path: Path) -> Path:
    folder = tmp_path / "documents" / "taller" / "manual"
    folder.mkdir(parents=True)
    (folder / "baja.md").write_text(BAJA, encoding="utf-8")
    return folder


class Client:
    """Asks one gateway."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.http = http

    async def get(self, path: str, **query: str | int) -> tuple[int, Json]:
        async with self.http.get(f"{self.url}{path}", params=query) as reply:
            return reply.status, await reply.json()

    async def until_ready(self) -> Json:
        """Return what ``/readyz`` says of the knowledge base once it is open, or cannot be."""
        while True:
            state: Json = (await self.get("/readyz"))[1]["knowledge_base"]
            if "being opened" not in state["state"]:
                return state
            await asyncio.sleep(0.02)


@pytest.fixture
async def client(manual: Path, tmp_path: Path) -> AsyncIterator[Client]:
    section = {
        "documents": str(tmp_path / "documents"),
        "index": str(tmp_path / "index"),
        "default_ref": REF,
    }
    async with running_penny(kb=section) as url, aiohttp.ClientSession(headers=OPERATOR) as http:
        yield Client(url, http)


async def test_a_question_is_answered_with_its_passage(client: Client) -> None:
    await client.until_ready()

    status, answer = await client.get("/v1/kb/search", q="cómo doy de baja el contrato")

    assert status == 200
    assert (answer["ref"], answer["relevant"]) == (REF, True)
    hit = answer["hits"][0]
    assert (hit["id"], hit["source"]) == ("baja.md#baja", "baja.md")
    assert hit["text"] == "La baja del contrato es gratuita."
    assert 0.5 <= hit["score"] <= 1.0


async def test_nothing_relevant_is_an_answer(client: Client) -> None:
    await client.until_ready()

    status, answer = await client.get("/v1/kb/search", q="quiero una pizza", ref=REF)

    assert (status, answer["relevant"], answer["hits"]) == (200, False, [])


@pytest.mark.parametrize(
    ("query", "status", "parameter"),
    [
        ({}, 400, "q"),
        ({"q": " "}, 400, "q"),
        ({"q": "x" * 1001}, 400, "q"),
        ({"q": "baja", "limit": "0"}, 400, "limit"),
        ({"q": "baja", "limit": "cinco"}, 400, "limit"),
        ({"q": "baja", "limit": "99999"}, 400, "limit"),
        ({"q": "baja", "limit": "00021"}, 400, "limit"),
        ({"q": "baja", "limit": "005"}, 400, "limit"),
        ({"q": "baja", "limit": "9" * 5000}, 400, "limit"),
        ({"q": "baja", "language": "fr"}, 400, "language"),
        ({"q": "baja", "colour": "red"}, 400, "colour"),
        ({"q": "baja", "ref": "kb://otra/cosa"}, 404, "ref"),
        ({"q": "baja", "ref": "../../etc"}, 404, "ref"),
    ],
)
async def test_a_wrong_parameter_is_named(
    client: Client, query: dict[str, str], status: int, parameter: str
) -> None:
    await client.until_ready()

    answered, body = await client.get("/v1/kb/search", **query)

    assert (answered, body["error"]["param"]) == (status, parameter)
    assert parameter in body["error"]["message"] or parameter == "ref"


async def test_a_changed_file_is_live_by_itself(client: Client, manual: Path) -> None:
    await client.until_ready()
    (manual / "mudanza.md").write_text(
        "---\nidioma: es\n---\n## Mudanza\n\nLa mudanza cuesta diez euros.\n", encoding="utf-8"
    )

    async with asyncio.timeout(WAIT_S):
        while not (await client.get("/v1/kb/search", q="cuánto cuesta la mudanza"))[1]["relevant"]:
            await asyncio.sleep(0.02)


async def test_readiness_names_a_file_that_is_not_served(client: Client, manual: Path) -> None:
    assert await client.until_ready() == {"state": "ready", "problems": []}
    (manual / "rota.pdf").write_bytes(b"%PDF-1.4 nothing")

    async with asyncio.timeout(WAIT_S):
        while not (await client.until_ready())["problems"]:
            await asyncio.sleep(0.02)

    (problem,) = (await client.until_ready())["problems"]
    assert problem["file"] == "taller/manual/rota.pdf"
    assert "damaged" in problem["reason"]


async def test_a_gateway_whose_index_cannot_be_made_answers_from_one_built_aside_and_says_so(
    manual: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    section = {
        "documents": str(tmp_path / "documents"),
        "index": str(tmp_path / "file" / "index"),
        "default_ref": REF,
    }
    async with running_penny(kb=section) as url, aiohttp.ClientSession(headers=OPERATOR) as http:
        client = Client(url, http)
        state = await client.until_ready()

        status, body = await client.get("/v1/kb/search", q="cómo doy de baja el contrato")

        assert "kb.index" in state["state"]
        assert (status, body["relevant"]) == (200, True)
        ready = (await client.get("/readyz"))[1]
        assert ready["ready"]
        assert "kb.index" in ready["degraded"][0]


async def test_a_key_is_needed_where_keys_are_required(manual: Path, tmp_path: Path) -> None:
    section = {"documents": str(tmp_path / "documents"), "index": str(tmp_path / "index")}
    file = tmp_path / "keys.sqlite"
    value, _ = KeyFile(file, time.time).create("default", "tools", role="house")
    keys = {"required": "always", "file": str(file)}
    async with running_penny(kb=section, keys=keys) as url, aiohttp.ClientSession() as http:
        refused = await Client(url, http).get("/v1/kb/search", q="baja", ref=REF)
        http.headers["Authorization"] = f"Bearer {value}"
        client = Client(url, http)
        await client.until_ready()
        admitted = await client.get("/v1/kb/search", q="dar de baja el contrato", ref=REF)

        assert (refused[0], refused[1]["error"]["code"]) == (401, "unauthorized")
        assert (admitted[0], admitted[1]["relevant"]) == (200, True)


async def near(client: Client) -> Json:
    """What is nearest, whether or not it is sure to answer: no word of it stands there."""
    return (await client.get("/v1/kb/search", q="un minino", why="true"))[1]


async def test_vectors_of_a_server_are_a_choice_in_the_file(manual: Path, tmp_path: Path) -> None:
    (manual / "gato.md").write_text("## Gato\n\nEl gato duerme.\n", encoding="utf-8")
    with running_embeddings() as server:
        section = {
            "documents": str(tmp_path / "documents"),
            "index": str(tmp_path / "index"),
            "default_ref": REF,
            "embedding": "openai-compatible",
            "embedding_server": {"url": server.url, "model": "topics", "timeout_s": 5},
        }
        async with (
            running_penny(kb=section) as url,
            aiohttp.ClientSession(headers=OPERATOR) as http,
        ):
            client = Client(url, http)
            await client.until_ready()
            async with asyncio.timeout(60):
                while not (answer := await near(client))["hits"]:
                    await asyncio.sleep(0.02)
            server.status = 500
            words = (await client.get("/v1/kb/search", q="cómo doy de baja el contrato"))[1]
            state = (await client.get("/readyz"))[1]

    assert answer["hits"][0]["source"] == "gato.md"
    assert answer["hits"][0]["why"]["by_vectors"] == 1
    assert words["hits"][0]["id"] == "baja.md#baja"
    assert state["ready"]
    assert "words alone are searched" in state["degraded"][0]
