"""Both ends of a call against a Twenty that validates what it is sent: who calls, and its note."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from config.schema import Config
from penny.calls.database import Database
from penny.calls.record import Call
from penny.crm.crm import Caller
from penny.crm.desk import CrmDesk, CrmDesks
from penny.errors import ConfigError
from penny.session.mode import SessionSpec
from penny.webhooks.deliverer import Deliverer
from penny.webhooks.outbox import Outbox
from penny.webhooks.sender import Sender
from penny.webhooks.telling import events_of
from tests.doubles.twenty_server import KEY, TwentyServer
from tests.penny.calls.calls import BEGAN, a_call, a_turn
from tests.penny.webhooks.test_deliverer import Clock


pytestmark = pytest.mark.socket

Json = dict[str, Any]
ANA = "+34612345678"
COMPANY = ("20202020-1c25-4d02-bf25-6aeccf7ea419", "Casa Ana")
NOTE = {"title": "Alta", "createdAt": "2026-11-01T10:00:00Z", "bodyV2": {"markdown": "Pidió alta"}}


def desks(
    url: str,
    calls: list[Call] | None = None,
    clock: Clock | None = None,
    *,
    wait_ms: int = 60_000,
    **crm: Any,
) -> CrmDesks:
    by_id = {call.id: call for call in calls or ()}

    async def get(call_id: str) -> Call | None:
        return by_id.get(call_id)

    now = clock or asyncio.get_running_loop().time
    config = Config.model_validate({"crm": {"kind": "twenty", "url": url, **crm}})
    made = CrmDesks(config, {"TWENTY_CRM_API_KEY": KEY}, get, now, now)
    desk = made.desk_of("default")
    assert desk is not None
    # A slow machine is no slow CRM: the wait itself is what the test of slow ones has.
    desk.section = desk.section.model_copy(update={"wait_ms": wait_ms})
    return made


@asynccontextmanager
async def desk_at(url: str, *calls: Call, **crm: Any) -> AsyncIterator[CrmDesk]:
    made = desks(url, list(calls), **crm)
    desk = made.desk_of("default")
    assert desk is not None
    try:
        yield desk
    finally:
        await made.aclose()


async def test_a_caller_is_known_with_open_matters_and_last_calls() -> None:
    async with TwentyServer() as twenty, desk_at(twenty.url) as desk:
        task = {"title": "Revisar contador", "status": "TODO", "dueAt": "2026-12-01T09:00:00Z"}
        ana = twenty.add(
            "Ana", "612 345 678", code="+34", last="Ruiz", company=COMPANY, notes=[NOTE],
            tasks=[task, {"title": "Hecho", "status": "DONE"}],
            opportunities=[{"name": "Fibra", "stage": "NEW"}, {"name": "Luz", "stage": "CUSTOMER"}],
        )  # fmt: skip
        twenty.add("Luis", "699999999")
        contact = await desk.find(Caller("0034612345678"))
        assert twenty.refused == []
        assert contact is not None
        record = contact.record()
        assert (record["status"], record["company_id"]) == ("found", COMPANY[0])
        assert record["people"] == [{"id": ana, "name": "Ana Ruiz", "company": "Casa Ana"}]
        assert [each["title"] for each in record["matters"]] == ["Revisar contador", "Fibra"]
        told = contact.told("es")
        assert told is not None
        assert (told["source"], told["nombre"]) == ("CRM Twenty", "Ana Ruiz")
        assert told["ultimas_llamadas"][0]["text"] == "Pidió alta"


@pytest.mark.parametrize(
    "caller", [Caller("+5215512345678"), Caller("", "ANA@x.mx"), Caller("", "a.2@x.mx")]
)
async def test_second_numbers_and_addresses_find_too(caller: Caller) -> None:
    async with TwentyServer() as twenty, desk_at(twenty.url) as desk:
        others = [{"number": "55 1234 5678", "callingCode": "+52", "countryCode": "MX"}]
        twenty.add("Ana", "911111111", others=others, email="ana@x.mx", emails=["a.2@x.mx"])
        twenty.add("Eva", "11223344", email="axa@x.mx", emails=["ab2@x.mx"])
        contact = await desk.find(caller)
        assert contact is not None
        assert [each.name for each in contact.people] == ["Ana"]


async def hang(_request: web.Request) -> web.Response:
    await asyncio.sleep(3600)
    raise AssertionError


WRONG = {
    "slow": hang,
    "error": lambda _request: web.Response(status=500, text="<html>"),
    "page": lambda _request: web.Response(text="<html>"),
    "other": lambda _request: web.json_response({"data": {"people": [1]}}),
    "refusal": lambda _request: web.json_response({"errors": [{"message": "no"}], "data": None}),
    "redirect": lambda _request: web.HTTPFound("http://127.0.0.1:9/"),
}


@pytest.mark.parametrize("how", [*WRONG, "absent"])
async def test_a_crm_that_is_slow_absent_or_wrong_holds_no_call(how: str) -> None:
    async with TwentyServer(fails=WRONG.get(how)) as twenty:
        url = "http://127.0.0.1:9" if how == "absent" else twenty.url
        twenty.add("Ana", "612345678")
        async with desk_at(url, wait_ms=50 if how == "slow" else 60_000) as desk:
            assert await desk.find(Caller(ANA)) is None
            assert desk.counts == {"late" if how == "slow" else "failed": 1}


class Mode:
    def __init__(self, name: str) -> None:
        self.name = name


@pytest.mark.parametrize("name", ["EXTERNAL", "SELF_HOSTED"])
@pytest.mark.parametrize("matches", [0, 1, 2])
async def test_what_is_known_is_in_the_models_context(name: str, matches: int) -> None:
    async with TwentyServer() as twenty:
        for each in ("Ana", "Luis")[:matches]:
            twenty.add(each, "612345678")
        made = desks(twenty.url)
        spec = SessionSpec("sess_1", "es", context={"caller": ANA, "direction": "inbound"})
        known = await made.know(Mode(name), spec)  # type: ignore[arg-type]
        again = await made.know(Mode("EXTERNAL"), spec)  # type: ignore[arg-type]
        assert again.context == known.context
        assert twenty.look_ups == 1
        told = known.context.get("crm")
        assert (told is None) == (matches == 0)
        if matches == 2:
            assert "Ana" not in str(told)
        kept = made.take("sess_1", "default", ANA)
        assert kept is not None
        assert (len(kept["people"]), kept["number"]) == (matches, ANA)
        assert made.take("sess_1", "default", ANA) is None
        await made.aclose()


async def test_a_private_session_asks_no_crm_that_privacy_does_not_name() -> None:
    environment = {"TWENTY_CRM_API_KEY": KEY, "TWENTY_CRM_URL": "https://crm.example"}
    config = Config.model_validate({"crm": {"kind": "twenty"}})
    made = CrmDesks(config, environment, None, lambda: 0.0, lambda: 0.0)  # type: ignore[arg-type]
    spec = SessionSpec("sess_1", "es", context={"caller": ANA})
    assert await made.know(Mode("SELF_HOSTED"), spec) is spec  # type: ignore[arg-type]
    (receiver,) = made.receivers().values()
    assert not receiver.may_hear_private
    await made.aclose()


@pytest.mark.parametrize("place", ["crm", "tenant", "environment"])
@pytest.mark.parametrize(
    "url",
    ["https://10.0.0.1", "https://2130706433/", "https://[::ffff:127.0.0.1]/", "https://crm.lan",
     "http://crm.example", "https://u:p@crm.example", "https://crm.example@10.0.0.1/",
     "https://169.254.169.254", "https://0177.0.0.1", "https://[64:ff9b::a00:1]", "ftp://127.0.0.1"],
)  # fmt: skip
def test_no_crm_is_looked_for_in_the_house(url: str, place: str) -> None:
    own = {} if place == "environment" else {"url": url}
    section: Json = {"crm": {"kind": "twenty", **own}}
    if place == "tenant":
        section = {"tenants": {"a": section}}
    environment = {"TWENTY_CRM_API_KEY": KEY, "TWENTY_CRM_URL": url}

    def start() -> None:
        CrmDesks(Config.model_validate(section), environment, None, float, float)  # type: ignore[arg-type]

    with pytest.raises((ConfigError, ValueError), match="url|TWENTY_CRM_URL"):
        start()


def ended(number: int, **more: Any) -> Call:
    fields: Json = {"modes": ["EXTERNAL"], "caller": ANA, "id": f"sess_{number}", "language": "es"}
    return a_call(number % 1000, **{**fields, **more})


class House:
    """A deliverer whose receivers are CRMs; time passes by hand."""

    def __init__(self, folder: Path, url: str, calls: list[Call], **crm: Any) -> None:
        self.clock = Clock()
        self.desks = desks(url, calls, self.clock, **crm)
        self.outbox = Outbox(Database(f"sqlite:///{folder / 'c.sqlite'}"), self.desks.receivers())
        self.sender = Sender([], self.clock)
        self.deliverer = Deliverer(
            self.outbox, self.sender, self.clock, self.clock, keep_s=1e9, overdue_s=1e9,
            poll_s=0.01, chance=lambda: 0.0,
        )  # fmt: skip

    async def tell(self, calls: list[Call]) -> None:
        await self.outbox.add([event for call in calls for event in events_of(call)])

    async def __aenter__(self) -> House:
        await self.deliverer.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.deliverer.aclose()
        await self.desks.aclose()
        await self.outbox.database.aclose()


@pytest.mark.parametrize(("count", "limit"), [(300, 50), (60, 25)])
async def test_300_calls_that_end_at_once_leave_300_notes_and_look_ups_go_first(
    tmp_path: Path, count: int, limit: int
) -> None:
    clock: list[Clock] = []
    async with TwentyServer(limit=limit, clock=lambda: clock[0]()) as twenty:
        ana = twenty.add("Ana", "612345678", company=COMPANY)
        contact = {"status": "found", "people": [{"id": ana}], "company_id": COMPANY[0]}
        calls = [ended(number, contact=contact, turns=[]) for number in range(count)]
        async with House(tmp_path, twenty.url, calls) as house:
            clock.append(house.clock)
            desk = house.desks.desk_of("default")
            assert desk is not None
            await house.tell(calls)
            (receiver,) = house.desks.receivers().values()
            last, still = -1, 0
            async with asyncio.timeout(240):
                while len(twenty.made["note"]) < count:
                    # Time passes where the CRM lets nothing through, or all wait for their turn.
                    still = still + 1 if last == len(twenty.writes) else 0
                    last = len(twenty.writes)
                    if receiver.is_busy() or still > 20:
                        house.clock.now_s += 5.0
                        number = round(house.clock.now_s) % 10**7
                        if number % 2 == 0 and limit == 50:
                            assert await desk.find(Caller(f"+3461{number:07}"))
                    await asyncio.sleep(0.005)
        assert len(twenty.made["note"]) == len(twenty.made["noteTarget"]) == count
        assert {each["targetPersonId"] for each in twenty.made["noteTarget"].values()} == {ana}
        assert twenty.refused == []
        assert (twenty.throttled == []) == (limit == 50)


async def test_an_answer_that_was_lost_leaves_one_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[str] = []

    async with TwentyServer() as twenty:
        ana = twenty.add("Ana", "612345678")
        call = ended(0, contact={"status": "found", "people": [{"id": ana}]})

        async with House(tmp_path, twenty.url, [call]) as house:
            desk = house.desks.desk_of("default")
            assert desk is not None
            write = desk.crm.write

            async def lose(note: Any) -> Any:
                answer = await write(note)
                lost.append(note.id)
                return answer if len(lost) > 2 else type(answer)(error="connection_lost")

            monkeypatch.setattr(desk.crm, "write", lose)
            await house.tell([call])
            async with asyncio.timeout(60):
                while len(lost) < 3:
                    house.clock.now_s += 10.0
                    await asyncio.sleep(0.01)
        assert len(twenty.made["note"]) == len(twenty.made["noteTarget"]) == 1
        assert min(twenty.writes.values()) >= 3


async def deliver(desk: CrmDesk, call: Call) -> None:
    event = next(each for each in events_of(call) if each.type in ("call.ended", "call.failed"))
    answer = await desk.deliver(event)
    assert answer.is_success, answer


async def test_a_note_tells_what_came_of_the_call_and_a_task_what_was_promised() -> None:
    back = {
        "name": "schedule_callback", "status": "completed",
        "arguments": {"telefono": "+34600000000", "cuando": "2026-12-01T17:00:00+01:00"},
        "result": {"message": "Le llamaremos."},
    }  # fmt: skip
    async with TwentyServer() as twenty:
        ana = twenty.add("Ana", "612345678")
        turn = a_turn(marks=[{"kind": "tool_call", "at_ms": 10.0, "fields": back}])
        call = ended(0, contact={"status": "found", "people": [{"id": ana}]}, turns=[turn])
        call.metrics["outcome"] = "callback_scheduled"
        call_url = "https://penny.example/calls?id={call_id}"
        async with desk_at(twenty.url, call, call_url=call_url) as desk:
            await deliver(desk, call)
            await deliver(desk, call)
        assert twenty.refused == []
        (note,) = twenty.made["note"].values()
        for part in ("callback_scheduled", "¿Cuándo vence", f"id={call.id}", "Le llamaremos."):
            assert part in note["bodyV2"]["markdown"]
        (task,) = twenty.made["task"].values()
        assert "+34600000000" in task["title"]
        assert datetime.fromisoformat(task["dueAt"]) == datetime(2026, 12, 1, 16, tzinfo=UTC)
        (target,) = twenty.made["taskTarget"].values()
        assert (target["taskId"], target["targetPersonId"]) == (task["id"], ana)


async def test_several_matches_leave_one_note_on_their_company() -> None:
    async with TwentyServer() as twenty:
        people = [{"id": twenty.add(name, "612345678")} for name in ("Ana", "Luis", "Eva")]
        contact = {"status": "several", "people": people, "company_id": COMPANY[0]}
        call = ended(0, contact=contact)
        async with desk_at(twenty.url, call) as desk:
            await deliver(desk, call)
        (target,) = twenty.made["noteTarget"].values()
        assert (target.get("targetPersonId"), target["targetCompanyId"]) == (None, COMPANY[0])
        assert len(twenty.made["note"]) == 1


@pytest.mark.parametrize("creates", [False, True])
@pytest.mark.parametrize("number", [ANA, ""])
async def test_a_contact_is_made_only_where_that_is_wanted_and_never_of_a_withheld_number(
    creates: bool, number: str
) -> None:
    async with TwentyServer() as twenty:
        call = ended(0, contact={"status": "unknown", "people": [], "number": number})
        async with desk_at(twenty.url, call, create_contacts=creates) as desk:
            await deliver(desk, call)
            await deliver(desk, call)
        made = int(creates and bool(number))
        assert len(twenty.people) == len(twenty.made["note"]) == made
        assert twenty.refused == []


async def test_a_call_that_was_missed_and_an_analysis_that_was_not_made_write_nothing() -> None:
    async with TwentyServer() as twenty:
        ana = twenty.add("Ana", "612345678")
        contact = {"status": "found", "people": [{"id": ana}]}
        missed = ended(0, contact=contact, status="failed", turns=[])
        talked = ended(1, contact=contact, started_at=BEGAN)
        async with desk_at(twenty.url, missed, talked) as desk:
            for event in [*events_of(missed), *events_of(talked)]:
                if event.type in ("call.failed", "analysis.completed"):
                    assert (await desk.deliver(event)).is_success
        assert twenty.made["note"] == {}
