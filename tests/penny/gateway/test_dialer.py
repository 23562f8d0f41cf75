"""Calls that are placed through Twilio: allowed, written down, answered, and over once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from config.schema import Config
from config.telephony import DialingSection
from penny.cli.main import main
from penny.gateway.dialer import Dialer
from penny.telephony.dial_book import GRACE_S, Dial
from penny.telephony.wishes import DialWish
from penny.trust.identity import Identity
from tests.doubles.operator import OPERATOR
from tests.doubles.twilio_api import TwilioApiDouble, twilio_api
from tests.doubles.twilio_stream import (
    AUTH_TOKEN,
    PUBLIC,
    new_sid,
    post_webhook,
    read_connect,
    streaming,
    until,
    voice_form,
)
from tests.penny.gateway.test_twilio import line, refused, say


pytestmark = pytest.mark.engines

Json = dict[str, Any]

TO, FROM = "+34911111111", "+34910000000"
ALLOWED: Json = {
    "prefixes": ["+34"],
    "caller_ids": [FROM],
    "from_hour": 0,
    "to_hour": 24,
    "weekends": True,
    "at_once": 1,
}


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", AUTH_TOKEN)


class Desk:
    """Who asks for calls at a gateway, and Twilio's API behind it."""

    def __init__(self, http: aiohttp.ClientSession, url: str, api: TwilioApiDouble) -> None:
        self.http, self.url, self.api = http, url, api

    async def place(self, key: str = "", **wish: Any) -> tuple[int, Json]:
        headers = {**OPERATOR, **({"Idempotency-Key": key} if key else {})}
        body = {"to": TO, **wish}
        async with self.http.post(f"{self.url}/v1/calls", json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def show(self, dial_id: str) -> Json:
        async with self.http.get(f"{self.url}/v1/dials/{dial_id}", headers=OPERATOR) as answer:
            told: Json = await answer.json()
            return told

    async def tell(self, placed: Json, status: str, **form: str) -> int:
        """A status callback of Twilio's."""
        path = placed["StatusCallback"].removeprefix(PUBLIC)
        fields = {**voice_form(placed["sid"], FROM, TO), "CallStatus": status, **form}
        return (await post_webhook(self.http, self.url, path, fields)).status


@asynccontextmanager
async def desk(tmp_path: Path, dialing: Json | None = None, **sections: Any) -> AsyncIterator[Desk]:
    telephony = {
        "folder": str(tmp_path / "telephony"),
        "dialing": {"default": {**ALLOWED, **(dialing or {})}},
    }
    async with (
        twilio_api() as api,
        line(twilio={"api_url": api.url}, telephony=telephony, **sections) as (http, url),
    ):
        yield Desk(http, url, api)


async def test_a_placed_call_is_answered_talks_and_is_over_once(tmp_path: Path) -> None:
    calls = {"folder": str(tmp_path), "url": f"sqlite:///{tmp_path / 'calls.sqlite'}"}
    async with desk(tmp_path, calls=calls) as at:
        status, told = await at.place(greeting="Buenos días, le llama Acme.", context={"caso": "7"})
        assert (status, told["state"], told["outcome"]) == (202, "placed", None)
        (placed,) = at.api.placed
        assert (placed["To"], placed["From"], placed["TimeLimit"]) == (TO, FROM, "1800")
        assert await at.tell(placed, "ringing") == 204
        assert (await at.show(told["id"]))["state"] == "ringing"
        path = placed["Url"].removeprefix(PUBLIC)
        form = voice_form(placed["sid"], FROM, TO)
        answer = await post_webhook(at.http, at.url, path, form)
        _, parameters, _ = read_connect(await answer.text())
        assert (await at.show(told["id"]))["state"] == "answered"
        async with streaming(at.http, at.url, placed["sid"], parameters) as stream:
            await until(lambda: stream.loud_ms() >= 500)
            say(stream, "¿Quién es?")
            await stream.stop()
            await until(stream.closed.is_set)
        async with asyncio.timeout(30):
            while (await at.show(told["id"]))["outcome"] is None:
                await asyncio.sleep(0.02)
        assert await at.tell(placed, "completed") == 204
        over = await at.show(told["id"])
        assert (over["state"], over["outcome"]) == ("ended", "completed")
        async with asyncio.timeout(30):
            kept: Json = {}
            while kept.get("direction") is None:
                address = f"{at.url}/v1/calls/{told['session_id']}"
                async with at.http.get(address, headers=OPERATOR) as found:
                    kept = await found.json()
                await asyncio.sleep(0.05)
        assert (kept["direction"], kept["caller"], kept["callee"]) == ("outbound", FROM, TO)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("busy", "busy"), ("no-answer", "no_answer"), ("failed", "failed"), ("canceled", "canceled")],
)
async def test_what_never_connects_frees_its_place_and_is_kept(
    tmp_path: Path, status: str, outcome: str
) -> None:
    calls = {"folder": str(tmp_path), "url": f"sqlite:///{tmp_path / 'calls.sqlite'}"}
    async with desk(tmp_path, calls=calls) as at:
        _, told = await at.place()
        refused_status, fault = await at.place(to="+34922222222")
        assert (refused_status, fault["error"]["code"]) == (429, "dialing_limit")
        (placed,) = at.api.placed
        assert await at.tell(placed, status) == 204
        assert await at.tell(placed, status) == 403  # a replay
        assert (await at.show(told["id"]))["outcome"] == outcome
        assert (await at.place(to="+34922222222"))[0] == 202
        async with asyncio.timeout(30):
            kept: Json = {}
            while kept.get("direction") is None:
                address = f"{at.url}/v1/calls/{told['session_id']}"
                async with at.http.get(address, headers=OPERATOR) as found:
                    kept = await found.json()
                await asyncio.sleep(0.05)
        assert (kept["callee"], kept["end_reason"], kept["status"]) == (TO, outcome, "failed")


async def test_what_no_rule_allows_is_refused_at_the_door_and_reaches_no_carrier(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as at:
        for wish, status, code in (
            ({"to": "+33111111111"}, 403, "dialing_denied"),
            ({"to": "+34806111111"}, 403, "dialing_denied"),
            ({"to": "sip:x@y"}, 400, "number_invalid"),
            ({"from": "+34999999999"}, 403, "caller_id_denied"),
            ({"purpose": "commercial"}, 403, "consent_missing"),
            ({"mode": "EXTERNAL"}, 400, "mode_unavailable"),
            ({"actions": ["borrar"], "colour": "red"}, 400, "invalid_message"),
        ):
            answered, fault = await at.place(**wish)
            assert (answered, fault["error"]["code"]) == (status, code), wish
        async with at.http.post(
            f"{at.url}/v1/do-not-call", json={"number": TO}, headers=OPERATOR
        ) as answer:
            assert answer.status == 204
        assert (await at.place())[1]["error"]["code"] == "do_not_call"
        assert at.api.placed == []


async def test_without_an_entry_a_tenant_dials_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path, {"prefixes": []}) as at:
        assert (await at.place())[1]["error"]["code"] == "dialing_denied"


async def test_a_wish_that_comes_twice_is_one_call(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        _, first = await at.place(key="w1")
        _, second = await at.place(key="w1")
        assert first["id"] == second["id"]
        assert len(at.api.placed) == 1


async def test_a_carriers_refusal_is_the_end_and_its_silence_places_nothing_twice(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path, {"caller_ids": ["+34910000009"]}) as at:
        status, fault = await at.place(key="w1")  # not a number of the account
        assert (status, fault["error"]["code"]) == (502, "carrier_refused")
        _, told = await at.place(key="w1")
        assert told["outcome"] == "failed"
        assert (await at.place(key="w1", to="+34922222222"))[1]["error"]["code"] == (
            "idempotency_mismatch"
        )
        at.api.owned.add("+34910000009")
        at.api.fails_with = 503
        assert (await at.place(key="w2"))[0] == 502
        at.api.fails_with = 0
        _, told = await at.place(key="w2")  # it may ring: it holds its place, and is not over
        assert (told["state"], told["outcome"]) == ("placing", None)
        assert at.api.placed == []
        assert (await at.place(key="w3"))[1]["error"]["code"] == "dialing_limit"
        form = voice_form(new_sid(), FROM, TO)
        path = f"/twilio/voice?dial={told['id']}"
        read_connect(await (await post_webhook(at.http, at.url, path, form)).text())


async def test_a_call_that_was_answered_and_got_no_session_failed_and_is_kept(
    tmp_path: Path,
) -> None:
    calls = {"folder": str(tmp_path), "url": f"sqlite:///{tmp_path / 'calls.sqlite'}"}
    async with desk(tmp_path, calls=calls) as at:
        _, told = await at.place()
        (placed,) = at.api.placed
        form = voice_form(placed["sid"], FROM, TO)
        path = placed["Url"].removeprefix(PUBLIC)
        read_connect(await (await post_webhook(at.http, at.url, path, form)).text())
        assert await at.tell(placed, "completed") == 204
        async with asyncio.timeout(30):
            kept: Json = {}
            while kept.get("direction") is None:
                address = f"{at.url}/v1/calls/{told['session_id']}"
                async with at.http.get(address, headers=OPERATOR) as found:
                    kept = await found.json()
                await asyncio.sleep(0.05)
        assert (kept["callee"], kept["end_reason"], kept["status"]) == (TO, "failed", "failed")


async def test_what_a_crash_left_is_over_by_the_clock_and_told_once(tmp_path: Path) -> None:
    now_s, told = [1_000_000.0], []
    section = {"folder": str(tmp_path), "dialing": {"acme": {**ALLOWED, "timezone": "UTC"}}}
    config = Config.model_validate({"telephony": section})

    def make() -> Dialer:
        return Dialer(
            config,
            lambda _call: None,
            lambda call, why: told.append((call.callee, why)),
            lambda: now_s[0],
        )

    class Placing:
        async def place(self, dial: Dial, section: DialingSection) -> str:
            return "CA1"

    before = make()
    before.placer = Placing()
    await before.place(Identity("acme"), DialWish(to=TO))
    after = make()
    await after.expire()
    assert told == []
    now_s[0] += 25 + GRACE_S + 1
    await after.expire()
    await before.expire()
    assert told == [(TO, "unknown")]


async def test_nobody_is_rung_while_there_is_no_room_to_talk(tmp_path: Path) -> None:
    async with desk(tmp_path, gateway={"max_sessions": 1}) as at:
        call_sid = new_sid()
        answer = await post_webhook(at.http, at.url, "/twilio/voice", voice_form(call_sid))
        _, parameters, _ = read_connect(await answer.text())
        async with streaming(at.http, at.url, call_sid, parameters) as stream:
            say(stream, "Hola.")
            await until(lambda: stream.loud_ms() > 100)
            status, fault = await at.place()
            assert (status, fault["error"]["code"]) == (503, "session_refused")
        assert at.api.placed == []


async def test_a_placed_call_has_the_fallback_of_the_number_that_it_shows(tmp_path: Path) -> None:
    numbers = {FROM: {"fallback": {"say": "Le llamaremos más tarde."}}}
    async with desk(tmp_path, numbers=numbers) as at:
        await at.place()
        (placed,) = at.api.placed
        path = placed["Url"].removeprefix(PUBLIC)
        form = voice_form(placed["sid"], FROM, TO)
        answer = await post_webhook(at.http, at.url, path, form)
        assert "Le llamaremos más tarde." in await answer.text()


async def test_a_do_not_call_list_that_cannot_be_read_stops_all(tmp_path: Path) -> None:
    async with desk(tmp_path, {"do_not_call": str(tmp_path / "none.txt")}) as at:
        assert (await at.place())[1]["error"]["code"] == "do_not_call"


async def test_status_and_answer_of_no_call_of_ours_change_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        _, told = await at.place()
        (placed,) = at.api.placed
        path = placed["StatusCallback"].removeprefix(PUBLIC)
        other = {**voice_form(new_sid()), "CallStatus": "completed"}
        assert (await post_webhook(at.http, at.url, path, other)).status == 204
        assert (await at.show(told["id"]))["outcome"] is None
        form = voice_form(new_sid())
        answer = await post_webhook(at.http, at.url, "/twilio/voice?dial=dial_x", form)
        assert "<Hangup" in await answer.text()
        assert await refused(at.http, at.url) == {"unknown_dial": 1}


async def test_a_list_is_dialled_once_within_the_same_rules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = tmp_path / "lunes.csv"
    names.write_text("to,language,caso\n+34911111111,es,7\n+33111111111,es,8\n", "utf-8")
    (tmp_path / "penny.yaml").write_text("{}", "utf-8")
    async with desk(tmp_path) as at:
        told = ["--config", str(tmp_path / "penny.yaml"), "--url", at.url]
        dialling = asyncio.ensure_future(
            asyncio.to_thread(main, ["dial", "--list", str(names), *told])
        )
        await until(lambda: bool(at.api.placed))
        await at.tell(at.api.placed[0], "busy")
        assert await dialling == 1  # one of them was refused
        assert await asyncio.to_thread(main, ["dial", "--list", str(names), *told]) == 1
        status = await asyncio.to_thread(main, ["dial", "+34922222222", *told, "--context", "{}"])
        assert status == 0
        assert [placed["To"] for placed in at.api.placed] == ["+34911111111", "+34922222222"]
    said = capsys.readouterr()
    assert said.out.count('"outcome": "busy"') == 2
    assert "may not dial there" in said.err
