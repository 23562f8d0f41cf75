"""The three calls of a call centre with a CRM and a receiver of webhooks: each hears what came of
them, and the CRM's note has it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.schema import Config
from penny.analysis.batch.assembly import open_jobs
from penny.analysis.batch.steps import Tools, make_steps
from penny.analysis.batch.worker import Worker
from penny.calls.store import CallStore
from penny.cli.analyse import make_also
from penny.crm.desk import CrmDesk
from penny.webhooks.secrets import make_secret
from tests.doubles.caller import Caller, calling
from tests.doubles.engines import FixedStt
from tests.doubles.speech import silence, speak
from tests.doubles.twenty_server import KEY, TwentyServer
from tests.doubles.webhook_receiver import WebhookReceiver
from tests.penny.company.test_calls import House, answer, base, house


pytestmark = pytest.mark.engines

Json = dict[str, Any]

__all__ = ["base", "house"]  # fixtures

ANA = "+34612345678"
SECRET = make_secret()


async def until(ready: Callable[[], Any]) -> Any:
    async with asyncio.timeout(60):
        while not (found := ready()):
            await asyncio.sleep(0.05)
    return found


Line = tuple[str, str]
SUPPORT: list[Line] = [
    ("Hola, mi internet no funciona", "electricidad y agua"),
    ("Ya reinicié el router pero sigue igual", "Hecho: le llamamos"),
]
BILL: list[Line] = [
    ("Necesito revisar el saldo de mi cuenta", "1797 euros con 15"),
    ("¿Y cuándo vence?", "vence el 17 de diciembre"),
]
CANCELLATION: list[Line] = [
    ("Quiero cancelar mi servicio", "¿Qué servicio"),
    ("agua", "¿Doy de baja"),
    ("sí", "Hecho: el servicio de agua"),
    ("Estoy molesto con el servicio", ""),
]


async def play(caller: Caller, lines: list[Line], *, by_voice: bool) -> None:
    """Until it is over: by a hand-off where the last line has no answer."""
    for words, answered in lines:
        if by_voice:
            await caller.speak(silence(300) + speak(words) + silence(1500))
        else:
            await caller.send("text_input", text=words)
        if answered:
            assert answered in await answer(caller)
        else:
            await caller.until("handoff", destination="managers")
    if lines[-1][1]:
        await caller.send("session_end")
    await caller.closed()


@pytest.mark.parametrize(
    ("lines", "by_voice", "outcome", "alerts", "done"),
    [
        (SUPPORT, True, "callback_scheduled", set[str](), "le llamamos"),
        (BILL, False, "resolved", set[str](), "1797 euros con 15"),
        (CANCELLATION, True, "transferred", {"intent"}, "el servicio de agua"),
    ],
)
async def test_a_call_is_told_to_the_crm_and_outside(
    house: House,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lines: list[Line],
    by_voice: bool,
    outcome: str,
    alerts: set[str],
    done: str,
) -> None:
    monkeypatch.setattr(CrmDesk, "wait_s", 60.0)  # a slow machine is no slow CRM
    monkeypatch.setenv("TWENTY_CRM_API_KEY", KEY)
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    async with TwentyServer() as twenty, WebhookReceiver(SECRET) as receiver:
        ana = twenty.add("Ana", "612 345 678")
        sections: Json = {
            "calls": {"folder": str(tmp_path), "url": f"sqlite:///{tmp_path / 'calls.sqlite'}"},
            "crm": {"kind": "twenty", "url": twenty.url, "wait_ms": 300},
            "webhooks": {"url": receiver.url},
            "analysis": {"enabled": True, "embedded": False, "vectors": False},
        }
        stt = FixedStt(*(words for words, _ in lines))
        async with house(stt, **sections) as address, calling(address) as caller:
            context = {"caller": ANA}
            await caller.send("session_start", mode="SELF_HOSTED", greeting="", context=context)
            call_id = (await caller.until("session_started"))["session_id"]
            await play(caller, lines, by_voice=by_voice)
            await until(lambda: "call.ended" in [body["type"] for body in receiver.bodies])
            (note,) = (await until(lambda: twenty.made["note"])).values()
            assert call_id in note["bodyV2"]["markdown"]
            await analyse(Config.model_validate(sections))
            await until(lambda: "analysis.completed" in [each["type"] for each in receiver.bodies])
            found = await until(
                lambda: [n for n in twenty.made["note"].values() if outcome in str(n)]
            )
            assert len(found) == len(twenty.made["note"]) == 1
            assert done in found[0]["bodyV2"]["markdown"]
            assert [t["targetPersonId"] for t in twenty.made["noteTarget"].values()] == [ana]
            tasks = [task["title"] for task in twenty.made["task"].values()]
            assert bool(tasks) == (outcome == "callback_scheduled")
        assert twenty.refused == []
    told: dict[str, list[Json]] = {}
    for body in receiver.bodies:
        told.setdefault(body["type"], []).append(body["data"])
    assert len(told["call.started"]) == len(told["call.ended"]) == 1
    assert told["call.started"][0]["contact"]["people"] == [
        {"id": ana, "name": "Ana", "company": None}
    ]
    (analysed,) = told["analysis.completed"]
    assert (analysed["status"], analysed["derived"]["outcome"]["outcome"]) == ("completed", outcome)
    assert alerts <= {alert["kind"] for alert in told.get("alert.raised", ())}
    destinations = [each["destination"] for each in told.get("handoff.requested", ())]
    assert destinations == (["managers"] if outcome == "transferred" else [])


async def analyse(config: Config) -> None:
    """What a worker beside the gateway does."""
    store = CallStore(config.calls.url, lambda _tenant: "Europe/Madrid")
    try:
        steps = make_steps()
        jobs = open_jobs(store, steps, make_also(config, store))
        async with asyncio.timeout(60):
            while not await jobs.add_new():
                await asyncio.sleep(0.05)
        done = await Worker(jobs, steps, Tools(rules=lambda _tenant: ())).run()
        assert (done.completed, done.failed) == (1, 0)
    finally:
        await store.aclose()
