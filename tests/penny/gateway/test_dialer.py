"""Calls that are placed through Twilio: allowed, written down, answered, and over once."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from config.schema import Config
from config.telephony import DialingSection
from penny.cli.main import main
from penny.errors import SessionRefused
from penny.gateway.dialer import Dialer
from penny.gateway.phones import PhoneCall
from penny.gateway.reconciler import Reconciler
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
    "holidays": True,
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
        line(
            twilio={"api_url": api.url, **sections.pop("twilio", {})},
            telephony=telephony,
            **sections,
        ) as (http, url),
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
        assert (kept["caller_e164"], kept["callee_e164"]) == (FROM, TO)


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


async def test_a_voicemail_that_the_carrier_finds_gets_the_message_and_is_told(
    tmp_path: Path,
) -> None:
    wish = {"on_machine": "leave_message", "message": "Llámenos, por favor."}
    telephony = {"machine_detection": "message_end"}
    async with desk(tmp_path, twilio=telephony) as at:
        assert (await at.place(on_machine="leave_message"))[0] == 400
        _, told = await at.place(**wish)
        (placed,) = at.api.placed
        assert (placed["MachineDetection"], placed["AsyncAmd"]) == ("DetectMessageEnd", "true")
        form = voice_form(placed["sid"], FROM, TO)
        answer = await post_webhook(at.http, at.url, placed["Url"].removeprefix(PUBLIC), form)
        _, parameters, _ = read_connect(await answer.text())
        async with streaming(at.http, at.url, placed["sid"], parameters) as stream:
            stream.is_patient = False
            say(stream, "Hola, no estoy en casa, puede dejar lo que quiera. " * 6)
            await until(lambda: stream.chunk > 25)
            assert stream.loud_ms() == 0  # nobody is talked to before it is known who is there
            path = placed["AsyncAmdStatusCallback"].removeprefix(PUBLIC)
            found = {**form, "AnsweredBy": "machine_end_beep"}
            assert (await post_webhook(at.http, at.url, path, found)).status == 204
            assert (await post_webhook(at.http, at.url, path, found)).status == 403
            await until(stream.closed.is_set)
            assert stream.loud_ms() > 1000
        async with asyncio.timeout(60):
            while (await at.show(told["id"]))["outcome"] is None:
                await asyncio.sleep(0.05)
        over = await at.show(told["id"])
        assert (over["outcome"], over["answered_by"]) == ("completed", "voicemail")


async def test_a_commercial_call_keeps_to_fresh_exclusion_lists_and_each_refusal_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "robinson.txt").write_text(f"{TO}\n", "utf-8")
    (tmp_path / "penny.yaml").write_text("telephony: {folder: telephony}", "utf-8")
    today = datetime.now(UTC).date()
    consent = {"at": f"{today - timedelta(days=9)}", "source": "web", "wording": "Sí, llámenme."}
    commercial = {"purpose": "commercial", "consent": consent}
    names = ["dial", "--config", str(tmp_path / "penny.yaml"), "--exclusions", "robinson"]
    names += ["--list", str(tmp_path / "robinson.txt"), "--dated"]
    async with desk(tmp_path, {"exclusions": ["robinson"]}) as at:
        codes = [(await at.place(**commercial))[1]["error"]["code"]]
        await asyncio.to_thread(main, [*names, f"{today - timedelta(days=40)}"])
        codes.append((await at.place(**commercial))[1]["error"]["code"])
        await asyncio.to_thread(main, [*names, f"{today}"])
        codes.append((await at.place(**commercial))[1]["error"]["code"])
        assert codes == ["exclusion_list_missing", "exclusion_list_old", "excluded"]
        assert at.api.placed == []
        assert (await at.place(**commercial, to="+34922222222"))[0] == 202
        async with at.http.get(f"{at.url}/metrics", headers=OPERATOR) as answer:
            told = await answer.text()
        assert all(f'penny_dials_refused_total{{reason="{code}"}} 1.0' in told for code in codes)
    capsys.readouterr()


async def test_13_14_an_energy_company_sells_to_who_asked_for_the_call(tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    consent = {"at": f"{today}", "source": "web", "wording": "Sí, llámenme."}
    commercial = {"purpose": "commercial", "consent": consent}
    request = {"at": f"{today - timedelta(days=2)}", "source": "formulario de la web"}
    async with desk(tmp_path, {"sector": "energia"}) as at:
        status, fault = await at.place(**commercial)
        assert (status, fault["error"]["code"]) == (403, "request_missing")
        # What is asked next is whether the exclusion lists are there.
        status, fault = await at.place(**commercial, request=request)
        assert (status, fault["error"]["code"]) == (403, "exclusion_list_missing")
        assert at.api.placed == []
        assert (await at.place())[0] == 202, "a service call needs none"


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


class House:
    """A dialer of which several may share a folder, on a clock of the test's."""

    def __init__(self, folder: Path, **dialing: Any) -> None:
        acme = {**ALLOWED, "timezone": "UTC", **dialing}
        section = {"folder": str(folder), "dialing": {"acme": acme}}
        self.config = Config.model_validate({"telephony": section})
        self.now_s = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()
        self.kept: list[tuple[str, str, int, bool]] = []
        self.placed: list[str] = []
        self.full = False

    def open(self) -> Dialer:
        dialer = Dialer(self.config, self.check, self.keep, lambda: self.now_s)
        dialer.placer = self
        return dialer

    async def place(self, dial: Dial, section: DialingSection) -> str:
        self.placed.append(dial.id)
        return f"CA{len(self.placed)}"

    def reconciler(self, dialer: Dialer) -> Reconciler:
        return Reconciler(dialer, dialer.owed, self.keep, 3600.0, lambda: self.now_s)

    def check(self, _call: PhoneCall) -> None:
        if self.full:
            raise SessionRefused("no room")

    def keep(self, call: PhoneCall, why: str) -> None:
        self.kept.append((call.callee, why, call.attempt, call.is_last_attempt))


ACME = Identity("acme")


async def test_what_a_crash_left_is_over_by_the_clock_and_told_once(tmp_path: Path) -> None:
    house = House(tmp_path)
    before, after = house.open(), house.open()
    await before.place(ACME, DialWish(to=TO))
    await house.reconciler(after).look()
    assert house.kept == []
    house.now_s += 25 + GRACE_S + 1
    await house.reconciler(after).look()
    await house.reconciler(before).look()
    assert house.kept == [(TO, "unknown", 1, True)]


async def test_attempts_are_spaced_and_each_is_told_with_its_number(tmp_path: Path) -> None:
    house = House(tmp_path)
    dialer = house.open()
    dial = await dialer.place(ACME, DialWish(to=TO, attempts=3))
    for status, gap_s in (("busy", 900), ("no-answer", 7200), ("busy", 0)):
        await dialer.told(house.placed[-1], f"CA{len(house.placed)}", status)
        before = len(house.placed)
        house.now_s += gap_s - 1
        await dialer.place_due()
        assert len(house.placed) == before
        house.now_s += 2
        await dialer.place_due()
        await dialer.place_due()
    assert len(house.placed) == 3
    assert [kept[1:] for kept in house.kept] == [
        ("busy", 1, False),
        ("no_answer", 2, False),
        ("busy", 3, True),
    ]
    found = dialer.book.find(house.placed[2])
    assert found is not None
    assert (found.series, found.attempt) == (dial.id, 3)


async def test_two_hundred_calls_that_nobody_takes_hold_no_place_and_end_once_each(
    tmp_path: Path,
) -> None:
    many = {"at_once": 1, "per_minute": 1000, "per_day": 1000, "attempts": 1000}
    house = House(tmp_path, **many)
    dialer = house.open()
    words = ("no-answer", "busy", "canceled", "failed")
    for number in range(200):
        dial = await dialer.place(ACME, DialWish(to=TO))  # one at once: the last one is over
        status = words[number % len(words)]
        await dialer.told(dial.id, f"CA{number + 1}", "ringing")
        await dialer.told(dial.id, f"CA{number + 1}", status)
        await dialer.told(dial.id, f"CA{number + 1}", words[(number + 1) % len(words)])
        await dialer.ended(dial.session_id, "error")
    assert len(house.placed) == 200
    outcomes = [why for _, why, _, _ in house.kept]
    assert [outcomes.count(word.replace("-", "_")) for word in words] == [50] * 4


async def test_a_scheduled_call_survives_a_restart_and_is_placed_once(tmp_path: Path) -> None:
    house = House(tmp_path, from_hour=9, to_hour=21, weekends=False)
    at = datetime(2026, 12, 4, 22, tzinfo=UTC)  # a Friday evening
    wish = DialWish(to=TO, not_before=at)
    first = await house.open().schedule(ACME, wish, "wish-1")
    again = await house.open().schedule(ACME, wish, "wish-1")
    assert (again.id, first.placed_s) == (first.id, None)
    dialer = house.open()
    await dialer.place_due()
    assert house.placed == []
    monday = datetime(2026, 12, 7, 8, tzinfo=UTC)  # nine o'clock in Madrid
    assert first.due_s == monday.timestamp()
    house.now_s = monday.timestamp()
    others = [house.open() for _ in range(5)]
    await asyncio.gather(*(each.place_due() for each in others))
    await house.open().place_due()
    assert house.placed == [first.id]


async def test_a_crash_between_the_record_and_the_carrier_places_nothing_twice(
    tmp_path: Path,
) -> None:
    house = House(tmp_path)
    dialer = house.open()

    class Killed(BaseException):
        pass

    class Dying:
        async def place(self, dial: Dial, section: DialingSection) -> str:
            house.placed.append(dial.id)
            raise Killed

    dialer.placer = Dying()
    await dialer.schedule(ACME, DialWish(to=TO))
    with pytest.raises(Killed):
        await dialer.place_due()
    after = house.open()
    await after.place_due()
    house.now_s += 25 + GRACE_S + 1
    await house.reconciler(after).look()
    await after.place_due()
    assert len(house.placed) == 1
    assert house.kept == [(TO, "unknown", 1, True)]


async def test_what_only_delays_a_scheduled_call_moves_it(tmp_path: Path) -> None:
    house = House(tmp_path, attempts=1)
    dialer = house.open()
    waiting = await dialer.schedule(ACME, DialWish(to=TO))
    house.full = True
    await dialer.place_due()
    assert house.placed == []
    house.full, house.now_s = False, house.now_s + 10
    await dialer.place_due()
    assert house.placed == [waiting.id]
    await dialer.told(waiting.id, "CA1", "completed")
    await dialer.schedule(ACME, DialWish(to=TO))
    await dialer.place_due()  # one a day to each number
    house.now_s = datetime(2026, 11, 30, 23, 59, tzinfo=UTC).timestamp()
    await dialer.place_due()
    assert len(house.placed) == 1
    house.now_s += 61
    await dialer.place_due()
    assert len(house.placed) == 2


async def test_a_call_that_cannot_be_read_or_whose_carrier_breaks_keeps_no_other_waiting(
    tmp_path: Path,
) -> None:
    house = House(tmp_path, at_once=5)
    dialer = house.open()
    strange = await dialer.schedule(ACME, DialWish(to=TO))
    asked = {"to": TO, "colour": "red"}  # as another version wrote it
    with sqlite3.connect(tmp_path / "dials.sqlite") as db:
        db.execute("UPDATE dials SET asked = ? WHERE id = ?", (json.dumps(asked), strange.id))

    class Breaking:
        async def place(self, dial: Dial, section: DialingSection) -> str:
            if dial.id == broken.id:
                raise RuntimeError("the carrier's client broke")
            return await house.place(dial, section)

    broken = await dialer.schedule(ACME, DialWish(to=TO))
    last = await dialer.schedule(ACME, DialWish(to=TO))
    dialer.placer = Breaking()
    await dialer.place_due()
    await dialer.place_due()
    assert house.placed == [last.id]
    assert [why for _, why, _, _ in house.kept] == ["failed", "failed"]


async def test_who_opted_out_meanwhile_is_not_called(tmp_path: Path) -> None:
    house = House(tmp_path)
    dialer = house.open()
    await dialer.schedule(ACME, DialWish(to=TO))
    await dialer.never_call("acme", TO)
    await dialer.place_due()
    assert (house.placed, house.kept) == ([], [(TO, "denied", 1, True)])
    assert dialer.refused == {"do_not_call": 1}


async def test_a_call_is_asked_for_later_and_taken_back(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        later = (datetime.now(UTC) + timedelta(hours=3)).isoformat()
        status, told = await at.place(not_before=later, attempts=3)
        assert (status, told["state"], told["attempt"]) == (202, "scheduled", 1)
        assert told["is_last_attempt"] is False
        address = f"{at.url}/v1/dials/{told['id']}"
        async with at.http.delete(address, headers=OPERATOR) as answer:
            assert answer.status == 204
        async with at.http.delete(address, headers=OPERATOR) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (
                409,
                "dial_under_way",
            )
        assert (await at.show(told["id"]))["outcome"] == "canceled"
        status, fault = await at.place(not_before="2026-12-01T09:00:00")  # of which zone?
        assert (status, fault["error"]["param"]) == (400, "not_before")
        assert at.api.placed == []


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
