"""Delivery over real HTTP to receivers that fail in every way; hours pass on a clock by hand."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from penny.calls.database import Database
from penny.webhooks.deliverer import Deliverer
from penny.webhooks.endpoints import Endpoint
from penny.webhooks.events import CallEnded, Event, make_id
from penny.webhooks.outbox import Outbox
from penny.webhooks.policy import RETRY_S
from penny.webhooks.query import DeliveryQuery
from penny.webhooks.secrets import make_secret
from penny.webhooks.sender import Sender
from tests.doubles.webhook_receiver import WebhookReceiver


pytestmark = pytest.mark.socket

SECRET = make_secret()
GENEROUS_S = 30.0


class Clock:
    """Unix time that a test moves; it starts at the real one, for signatures are checked by it."""

    def __init__(self) -> None:
        self.now_s = datetime.now(UTC).timestamp()

    def __call__(self) -> float:
        return self.now_s


class House:
    """A gateway's deliverer with the outbox of an SQLite file."""

    def __init__(self, folder: Path, **urls: str | Endpoint) -> None:
        self.clock = Clock()
        receivers = {
            name: url if isinstance(url, Endpoint) else Endpoint(name, url, (SECRET,))
            for name, url in urls.items()
        }
        self.database = Database(f"sqlite:///{folder / 'calls.sqlite'}")
        self.outbox = Outbox(self.database, receivers)
        inward = [endpoint.url for endpoint in receivers.values()]
        self.sender = Sender(inward, self.clock, timeout_s=0.5)
        self.deliverer = Deliverer(
            self.outbox, self.sender, self.clock, self.clock, keep_s=1e9, overdue_s=1e9,
            poll_s=0.02, chance=lambda: 0.0,
        )  # fmt: skip

    @property
    def counts(self) -> dict[tuple[str, str], int]:
        return self.deliverer.counts

    async def tell(self, count: int = 1) -> list[str]:
        """Put events in; their ids."""
        now = datetime.fromtimestamp(self.clock(), UTC)
        told = [
            Event(id=make_id("call", "x", number), type=CallEnded.type, at=now, data={"n": number})
            for number in range(count)
        ]
        await self.outbox.add(told)
        return [event.id for event in told]

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(GENEROUS_S):
            while not is_so():
                await asyncio.sleep(0.01)

    async def states(self, endpoint: str) -> list[str]:
        found = await self.outbox.find(None, DeliveryQuery(endpoint=endpoint, limit=200))
        return [row["state"] for row in found]

    async def until_state(self, endpoint: str, state: str) -> None:
        """Until all its deliveries are in this state."""
        async with asyncio.timeout(GENEROUS_S):
            while set(await self.states(endpoint)) != {state}:
                await asyncio.sleep(0.02)

    async def tried(self, endpoint: str, attempts: int) -> dict[str, Any]:
        """Its only delivery, once so many attempts are written down."""
        async with asyncio.timeout(GENEROUS_S):
            while True:
                (row,) = await self.outbox.find(None, DeliveryQuery(endpoint=endpoint))
                if len(row["log"]) >= attempts:
                    return row
                await asyncio.sleep(0.01)


@asynccontextmanager
async def house(folder: Path, **urls: str | Endpoint) -> AsyncIterator[House]:
    made = House(folder, **urls)
    await made.deliverer.start()
    try:
        yield made
    finally:
        await made.deliverer.aclose()
        await made.sender.aclose()
        await made.database.aclose()


def answering(status: int, **headers: str) -> Callable[[web.Request], web.Response]:
    return lambda _request: web.Response(status=status, headers=headers, text="no \x00 room")


async def test_what_is_told_arrives_signed(tmp_path: Path) -> None:
    async with WebhookReceiver(SECRET) as receiver, house(tmp_path, crm=receiver.url) as penny:
        ids = await penny.tell(20)
        await penny.until_state("crm", "delivered")
        assert sorted(receiver.ids) == sorted(ids)
        assert {body["type"] for body in receiver.bodies} == {"call.ended"}
        assert receiver.most_at_once <= 4


async def test_a_failing_receiver_is_tried_eight_times_over_28_hours(tmp_path: Path) -> None:
    async with WebhookReceiver(None, answering(500)) as receiver:
        async with house(tmp_path, crm=receiver.url) as penny:
            began_s = penny.clock()
            await penny.tell()
            for attempt, wait_s in enumerate(RETRY_S, start=1):
                row = await penny.tried("crm", attempt)
                assert row["due_ms"] == row["tried_ms"] + wait_s * 1000
                penny.clock.now_s += wait_s + 0.001
            await penny.until_state("crm", "dead")
            assert 27 * 3600 < penny.clock() - began_s < 28 * 3600
        assert len(receiver.tried) == 8
        assert len(set(receiver.tried)) == 1


async def test_each_way_to_fail_is_told_by_its_word(tmp_path: Path) -> None:
    async def hang(_request: web.Request) -> None:
        await asyncio.sleep(60)

    def reset(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def drip(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(600):
            await answer.write(b".")
            await asyncio.sleep(0.1)
        return answer

    ways: dict[str, Any] = {
        "500": answering(500),
        "timeout": hang,
        "connection_lost": reset,
        "redirect": answering(302, Location="http://169.254.169.254/"),
        "404": answering(404),
        "delivered": drip,
    }
    for word, fails in ways.items():
        folder = tmp_path / word
        folder.mkdir()
        async with (
            WebhookReceiver(SECRET, fails) as receiver,
            house(folder, crm=receiver.url) as penny,
        ):
            await penny.tell()
            row = await penny.tried("crm", 1)
            assert penny.counts == {("crm", word): 1}
            if word == "500":
                assert row["log"][0]["answer"] == "no \ufffd room"


async def test_a_certificate_that_is_not_its_own_is_refused(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("elsewhere.example").configure_cert(context)
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with server, house(tmp_path, crm=f"https://127.0.0.1:{port}/") as penny:
        await penny.tell()
        await penny.until(lambda: bool(penny.counts))
        assert penny.counts == {("crm", "tls"): 1}


async def test_nobody_there_and_a_name_that_is_none(tmp_path: Path) -> None:
    async with house(tmp_path, a="http://127.0.0.1:9/", b="https://nobody.invalid/") as penny:
        await penny.tell()
        await penny.until(lambda: len(penny.counts) == 2)
        assert penny.counts == {("a", "no_connection"): 1, ("b", "name_not_found"): 1}


async def test_429_pauses_everything_for_as_long_as_it_asks(tmp_path: Path) -> None:
    answers = iter([web.Response(status=429, headers={"Retry-After": "200"})])
    async with WebhookReceiver(SECRET, lambda _r: next(answers, None)) as receiver:
        slow = Endpoint("crm", receiver.url, (SECRET,), concurrency=1)
        async with house(tmp_path, crm=slow) as penny:
            await penny.tell(5)
            await penny.until(lambda: ("crm", "429") in penny.counts)
            penny.clock.now_s += 199
            penny.deliverer.wake()
            await asyncio.sleep(0.1)
            assert await penny.states("crm") == ["waiting"] * 5
            assert len(receiver.tried) == 1
            penny.clock.now_s += 2
            await penny.until_state("crm", "delivered")
        assert len(receiver.tried) == 6


async def test_no_endpoint_waits_for_another(tmp_path: Path) -> None:
    async def hang(_request: web.Request) -> None:
        await asyncio.sleep(60)

    async with (
        WebhookReceiver(SECRET, hang) as dead,
        WebhookReceiver(SECRET) as good,
        house(tmp_path, dead=dead.url, good=good.url) as penny,
    ):
        ids = await penny.tell(50)
        await penny.until_state("good", "delivered")
        assert sorted(good.ids) == sorted(ids)
        # What hangs keeps its own four places, and rests after five faults in a row.
        await penny.until(lambda: penny.counts.get(("dead", "timeout"), 0) >= 4)
        assert len(dead.tried) <= 8


async def test_two_gateways_deliver_each_event_once(tmp_path: Path) -> None:
    async with WebhookReceiver(SECRET) as receiver:
        async with (
            house(tmp_path, crm=receiver.url) as one,
            house(tmp_path, crm=receiver.url) as other,
        ):
            ids = await one.tell(60)
            other.deliverer.wake()
            await one.until_state("crm", "delivered")
        assert sorted(receiver.ids) == sorted(ids)


async def test_410_ends_it_and_is_told_to_the_other(tmp_path: Path) -> None:
    async with WebhookReceiver(SECRET, answering(410)) as gone, WebhookReceiver(SECRET) as good:
        crm = Endpoint("crm", gone.url, (SECRET,), concurrency=1)
        async with house(tmp_path, crm=crm, good=good.url) as penny:
            await penny.tell(3)
            await penny.until(lambda: len(good.ids) == 4)
            assert good.bodies[-1]["type"] == "endpoint.disabled"
            assert good.bodies[-1]["data"]["endpoint"] == "crm"
            assert len(gone.tried) == 1
            gone.fails = None
            assert await penny.outbox.enable("crm", 0, send_missed=True) == 3
            await penny.until_state("crm", "delivered")


async def test_a_rotation_loses_and_fails_nothing(tmp_path: Path) -> None:
    old, new = make_secret(), make_secret()
    steps = [((old,), old), ((new, old), old), ((new, old), new), ((new,), new)]
    ids: set[str] = set()
    for number, (signs_with, knows) in enumerate(steps):
        async with WebhookReceiver(knows) as receiver:
            crm = Endpoint("crm", receiver.url, signs_with)
            async with house(tmp_path, crm=crm) as penny:
                told = {f"msg_{number}_{n}" for n in range(5)}
                now = datetime.fromtimestamp(penny.clock(), UTC)
                await penny.outbox.add(
                    [Event(id=each, type=CallEnded.type, at=now, data={}) for each in told]
                )
                await penny.until_state("crm", "delivered")
                assert penny.counts == {("crm", "delivered"): 5}
            assert set(receiver.ids) == told
            ids |= told
    assert len(ids) == 20


async def test_what_an_earlier_configuration_wrote_goes_nowhere_it_may_not_go_now(
    tmp_path: Path,
) -> None:
    async with WebhookReceiver(SECRET) as receiver:
        then = House(tmp_path, crm=receiver.url)
        now = datetime.fromtimestamp(then.clock(), UTC)
        for name, tenant, is_private in (("msg_p", "acme", True), ("msg_b", "bolt", False)):
            event = Event(id=name, type=CallEnded.type, at=now, tenant=tenant, data={})
            await then.outbox.add([event.model_copy(update={"is_private": is_private})])
        await then.database.aclose()
        moved = Endpoint(
            "crm", receiver.url, (SECRET,), tenants=frozenset({"acme"}), may_hear_private=False
        )
        async with house(tmp_path, crm=moved) as penny:
            async with asyncio.timeout(GENEROUS_S):
                while "waiting" in await penny.states("crm"):
                    await asyncio.sleep(0.02)
            assert sorted(await penny.states("crm")) == ["dead", "withheld"]
            backlog = (await penny.outbox.backlog())["crm"]
            assert (backlog.failing_since_ms, backlog.disabled_ms) == (None, None)
        assert receiver.tried == []


async def test_a_task_that_fails_is_told_of_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, failures = Outbox.claim, iter([ZeroDivisionError(), KeyError("x")])

    async def fail(*given: Any) -> Any:
        failure = next(failures, None)
        if failure is not None:
            raise failure
        return await claim(*given)

    monkeypatch.setattr(Outbox, "claim", fail)
    monkeypatch.setattr("penny.webhooks.deliverer.AGAIN_S", 0.05)
    async with WebhookReceiver(SECRET) as receiver, house(tmp_path, crm=receiver.url) as penny:
        await penny.until(lambda: "ZeroDivisionError" in penny.deliverer.fault)
        ids = await penny.tell(3)
        await penny.until_state("crm", "delivered")
        assert sorted(receiver.ids) == sorted(ids)
        assert penny.deliverer.fault == ""


async def test_an_event_that_cannot_be_written_is_given_up_like_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_given: Any) -> bytes:
        raise TypeError("nested too deep")

    monkeypatch.setattr("penny.webhooks.deliverer.write_body", fail)
    async with house(tmp_path, crm="http://127.0.0.1:9/") as penny:
        await penny.tell()
        row = await penny.tried("crm", 1)
        assert row["log"][0]["error"] == "not_sent"
        assert row["due_ms"] == row["tried_ms"] + RETRY_S[0] * 1000
