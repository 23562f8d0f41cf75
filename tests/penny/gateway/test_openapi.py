"""The document of the house's API: every route, whole, and true of what is answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from jsonschema import Draft202012Validator

from penny.gateway.guard import ROUTES
from penny.gateway.openapi import NOT_REST, TOLD, build_document
from tests.doubles.house import running_penny
from tests.doubles.operator import OPERATOR
from tests.penny.calls.calls import a_call


Json = dict[str, Any]

pure = pytest.mark.pure


@pure
def test_every_rest_route_is_told_and_no_other() -> None:
    assert set(TOLD) == set(ROUTES) - NOT_REST
    assert set(ROUTES) >= NOT_REST


@pure
def test_the_document_is_whole() -> None:
    document = build_document()
    text = json.dumps(document)
    schemas = document["components"]["schemas"]
    named = {each.split('"')[0] for each in text.split("#/components/schemas/")[1:]}
    assert named == set(schemas)
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    operations = [each for path in document["paths"].values() for each in path.values()]
    assert len({each["operationId"] for each in operations}) == len(operations) == len(TOLD)
    for path, methods in document["paths"].items():
        for told in methods.values():
            inside = {p["name"] for p in told["parameters"] if p["in"] == "path"}
            assert inside == {part[1:-1] for part in path.split("/") if part.startswith("{")}


def answer_of(path: str) -> Json:
    document = build_document()
    content = document["paths"][path]["get"]["responses"]["200"]["content"]
    schema = content["application/json"]["schema"]
    return {**schema, "components": document["components"]}


@pytest.mark.engines
async def test_what_is_answered_is_what_is_told(tmp_path: Path) -> None:
    from penny.calls.store import CallStore

    section = {"folder": str(tmp_path), "url": f"sqlite:///{tmp_path / 'calls.sqlite'}"}
    async with running_penny(calls=section) as url:
        store = CallStore(section["url"])
        await store.put(a_call())
        await store.aclose()
        asked = {
            path: path.replace("{id}", "sess_default_0")
            for path in build_document()["paths"]
            if path
            in (
                "/v1/modes",
                "/v1/rooms",
                "/v1/calls",
                "/v1/calls/{id}",
                "/v1/calls/{id}/metrics",
                "/v1/calls/{id}/transcript",
                "/conversations/{id}/metrics",
                "/storage/stats",
                "/metrics/dashboard",
                "/metrics/alerts",
                "/admin/v1/sessions",
                "/v1/sign-in",
                "/api/config/telephony",
            )
        }
        assert len(asked) == 13
        async with aiohttp.ClientSession(headers=OPERATOR) as http:
            for path, address in asked.items():
                async with http.get(f"{url}{address}") as answer:
                    assert answer.status == 200, path
                    Draft202012Validator(answer_of(path)).validate(await answer.json())
            async with http.get(f"{url}/openapi.json") as answer:
                assert await answer.json() == build_document()
            async with http.get(f"{url}/v1/rooms") as answer:
                rooms = [room["path"] for room in (await answer.json())["rooms"]]
            assert rooms == [
                "/set-up", "/", "/admin", "/dashboard", "/experiments", "/calls", "/webhooks",
                "/kb", "/telephony", "/docs",
            ]  # fmt: skip
            async with http.get(f"{url}/v1/set-up") as answer:
                parts = {part["name"]: part for part in (await answer.json())["parts"]}
            assert parts["calls"]["state"] == "ready"
            assert parts["mode SELF_HOSTED"]["state"] == "ready"
        async with aiohttp.ClientSession() as http, http.get(f"{url}/v1/rooms") as answer:
            rooms = [room["path"] for room in (await answer.json())["rooms"]]
            assert rooms == ["/", "/docs"]
