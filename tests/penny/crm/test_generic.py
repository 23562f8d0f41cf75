"""A CRM by configuration: templates fill its paths, paths read its answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from config.schema import Config
from penny.calls.record import Call
from penny.crm.crm import Caller
from penny.crm.desk import CrmDesk, CrmDesks
from penny.crm.generic import fill, pick
from tests.penny.crm.test_desk import ANA, deliver, ended


pytestmark = pytest.mark.socket

Json = dict[str, Any]
HTTP: Json = {
    "find": "/contacts?phone={digits}&mail={email}",
    "people": "data.contacts",
    "id": "ref",
    "name": "full_name",
    "company": "org.title",
    "company_id": "org.ref",
    "phones": ["phone", "more"],
    "emails": ["mail"],
    "note": "/contacts/{person_id}/notes",
    "note_body": {"external_id": "{id}", "text": "{title}: {outcome}", "kind": "call"},
}


class Contacts:
    """A CRM of no known kind. ``asked``: method, path with query, body."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str, Any]] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer a-key"
        body = await request.json() if request.can_read_body else None
        self.asked.append((request.method, request.path_qs, body))
        if isinstance(self.answer, str):
            return web.Response(text=self.answer)
        return web.json_response(self.answer if request.method == "GET" else {})


@asynccontextmanager
async def crm(answer: Any, *calls: Call, **http: Any) -> AsyncIterator[tuple[Contacts, CrmDesk]]:
    contacts = Contacts(answer)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", contacts.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    section = {"kind": "http", "url": url, "key": "MY_KEY", "http": {**HTTP, **http}}
    by_id = {call.id: call for call in calls}

    async def get(call_id: str) -> Call | None:
        return by_id.get(call_id)

    now = asyncio.get_running_loop().time
    config = Config.model_validate({"crm": section})
    made = CrmDesks(config, {"MY_KEY": "a-key"}, get, now, now)
    desk = made.desk_of("default")
    assert desk is not None
    desk.section = desk.section.model_copy(update={"wait_ms": 60_000})
    try:
        yield contacts, desk
    finally:
        await made.aclose()
        await runner.cleanup()


ONE = {"ref": 7, "full_name": "Ana", "org": {"ref": "c1", "title": "Casa"}, "more": ["612 345 678"]}


async def test_a_contact_is_read_where_the_configuration_says() -> None:
    other = {"ref": 8, "full_name": "Luis", "phone": "699999999"}
    async with crm({"data": {"contacts": [ONE, other]}}) as (contacts, desk):
        contact = await desk.find(Caller(ANA, "a+b@x.es"))
        assert contact is not None
        record = contact.record()
        assert record["people"] == [{"id": "7", "name": "Ana", "company": "Casa"}]
        assert record["company_id"] == "c1"
        assert contacts.asked == [("GET", "/contacts?phone=612345678&mail=a%2Bb@x.es", None)]


@pytest.mark.parametrize("answer", [[], {"data": {}}, {"data": {"contacts": [{"name": "Ana"}]}}])
async def test_an_answer_of_another_form_is_a_fault(answer: Any) -> None:
    async with crm(answer) as (_, desk):
        assert await desk.find(Caller(ANA)) is None
        assert desk.fault.startswith("crm.http.")


async def test_a_note_fills_its_template() -> None:
    call = ended(0, contact={"status": "found", "people": [{"id": "7/8"}]})
    call.metrics["outcome"] = "resolved"
    async with crm([], call) as (contacts, desk):
        await deliver(desk, call)
    ((method, path, body),) = contacts.asked
    assert (method, path) == ("POST", "/contacts/7%2F8/notes")
    assert body["text"] == "Llamada: resolved: resolved"
    assert body["kind"] == "call"
    assert len(body["external_id"]) == 36


async def test_no_note_is_written_where_there_is_no_template() -> None:
    call = ended(0, contact={"status": "found", "people": [{"id": "7"}]})
    async with crm([], call, note="") as (contacts, desk):
        await deliver(desk, call)
    assert contacts.asked == []


def test_paths_lead_through_objects_and_lists() -> None:
    found = {"data": {"people": [{"name": "Ana"}]}}
    assert pick(found, "data.people.0.name") == "Ana"
    assert pick(found, "") == found
    for nowhere in ("data.people.1", "data.people.name", "data.x.y", "data.people.0.name.x"):
        assert pick(found, nowhere) is None
    assert fill("/{a}/{b}/{c}", {"a": "{b}", "b": "2"}) == "/{b}/2/{c}"


@pytest.mark.parametrize(
    "section", [{"kind": "http", "url": "http://127.0.0.1"}, {"kind": "http", "http": HTTP}]
)
def test_a_crm_of_kind_http_has_its_templates(section: Json) -> None:
    with pytest.raises(ValidationError):
        Config.model_validate({"crm": section})


@pytest.mark.parametrize("text", ["OK", "", "x" * 1_200_000])
async def test_a_note_that_was_taken_is_taken_whatever_is_answered(text: str) -> None:
    call = ended(0, contact={"status": "found", "people": [{"id": "7"}]})
    async with crm(text, call) as (contacts, desk):
        await deliver(desk, call)
        assert len(contacts.asked) == 1
        assert (await desk.crm.check()).error == "no_json"


async def test_a_note_on_one_person_is_not_written_where_several_match() -> None:
    people = [{"id": "7"}, {"id": "8"}]
    call = ended(0, contact={"status": "several", "people": people, "company_id": "c1"})
    async with crm([], call) as (contacts, desk):
        await deliver(desk, call)
        assert contacts.asked == []
    async with crm([], call, note="/notes", note_body={"on": "{company_id}"}) as (contacts, desk):
        await deliver(desk, call)
        assert contacts.asked == [("POST", "/notes", {"on": "c1"})]


@pytest.mark.parametrize("name", [".", "..", "../admin", "a/../../b", "a?b#c"])
async def test_what_a_caller_is_called_stays_in_its_place_of_the_path(name: str) -> None:
    async with crm([], find="/users/{user_id}/contacts", people="") as (contacts, desk):
        await desk.find(Caller("", "", name))
    ((_, path, _),) = contacts.asked
    assert path.startswith("/users/")
    assert path.endswith("/contacts")
