"""A call by Twilio that is put through: ring-back, whisper, and back where nobody takes it."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, fromstring

import aiohttp
import pytest

from tests.doubles.engines import FixedStt
from tests.doubles.house import make_engines
from tests.doubles.operator import OPERATOR
from tests.doubles.twilio_api import twilio_api
from tests.doubles.twilio_stream import (
    AUTH_TOKEN,
    calling_in,
    new_sid,
    post_webhook,
    read_connect,
    streaming,
    until,
    voice_form,
)
from tests.penny.gateway.test_twilio import NUMBER, HandingOver, line, say


pytestmark = pytest.mark.engines

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", AUTH_TOKEN)


def path_of(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}"


async def ask(http: aiohttp.ClientSession, url: str, path: str, form: Json) -> tuple[int, Element]:
    answer = await post_webhook(http, url, path, form)
    body = await answer.text()
    return answer.status, fromstring(body) if answer.status == 200 else Element("refused")


async def test_a_person_hears_the_summary_and_a_call_that_nobody_takes_comes_back_once() -> None:
    llm = HandingOver("Le paso ahora mismo con un compañero.")
    sections: Json = {
        "numbers": {NUMBER: {"actions": ["persona"], "fallback": {"say": "No."}}},
        "telephony": {"dialing": {"default": {"transfers": {"soporte": "+34911111111"}}}},
        "actions": {"table": {"persona": {"description": "Una persona", "handoff": "soporte"}}},
    }
    engines = make_engines(FixedStt("quiero hablar con una persona"), llm)
    async with twilio_api() as api:
        opened = line(engines, twilio={"api_url": api.url}, **sections)
        async with opened as (http, url):
            async with calling_in(http, url) as stream:
                api.live.add(stream.call_sid)
                say(stream, "Quiero hablar con una persona.")
                await until(lambda: bool(api.updates))
                await until(stream.closed.is_set)
            ((call_sid, fields),) = api.updates
            dial = fromstring(fields["Twiml"]).find("Dial")
            assert dial is not None
            assert dial.attrib["ringTone"] == "es"  # from the moment of the transfer on
            number = dial.find("Number")
            assert number is not None
            assert number.text == "+34911111111"
            # The person, whose leg is another call, hears why; once, and nobody else.
            whisper = path_of(number.attrib["url"])
            child = {**voice_form(new_sid()), "CallStatus": "in-progress"}
            _, document = await ask(http, url, whisper, child)
            assert "queja" in (document.findtext("Say") or "")
            assert (await ask(http, url, whisper, child))[0] == 403
            back = path_of(dial.attrib["action"])
            form = {**voice_form(call_sid), "CallStatus": "in-progress", "DialCallSid": new_sid()}
            nobody = {**form, "DialCallStatus": "no-answer"}
            answer = await post_webhook(http, url, back, nobody)
            assert answer.status == 200
            _, parameters, _ = read_connect(await answer.text())
            assert (await ask(http, url, back, nobody))[0] == 403
            async with streaming(http, url, call_sid, parameters) as again:
                await until(lambda: again.loud_ms() >= 1500)
                await until(lambda: again.waiting_ms == 0)
                heard = again.loud_ms()
                say(again, "Quiero hablar con una persona.")
                await until(lambda: again.loud_ms() > heard or len(api.updates) > 1)
                await again.stop()
            # Twice it does not come back; and who talked for a while is let go.
            forms = [("no-answer", "0", f"{back}&again=1"), ("completed", "900", back)]
            forms.append(("completed", "60", back))
            for status, lasted_s, path in forms:
                over = {**form, "DialCallSid": new_sid(), "DialCallStatus": status}
                over["DialCallDuration"] = lasted_s
                assert (await ask(http, url, path, over))[1].find("Hangup") is not None
            async with http.get(f"{url}/metrics", headers=OPERATOR) as told:
                text = await told.text()
    for outcome, count in (("no-answer", 2), ("answered", 1), ("short", 1)):
        assert f'penny_phone_transfers_total{{outcome="{outcome}"}} {count}.0' in text


async def test_the_legs_of_a_call_that_came_back_are_kept_together(tmp_path: Any) -> None:
    calls = {"folder": str(tmp_path), "url": f"sqlite:///{tmp_path / 'calls.sqlite'}"}
    async with line(calls=calls) as (http, url):
        call_sid = new_sid()
        form = {**voice_form(call_sid), "DialCallSid": new_sid(), "DialCallStatus": "busy"}
        answer = await post_webhook(http, url, "/twilio/back?leg=sess_before", form)
        _, parameters, _ = read_connect(await answer.text())
        async with streaming(http, url, call_sid, parameters) as stream:
            await until(lambda: stream.loud_ms() >= 500)
            await stream.stop()
        async with asyncio.timeout(60):
            kept: Json = {}
            while not kept.get("calls"):
                async with http.get(f"{url}/v1/calls", headers=OPERATOR) as found:
                    kept = await found.json()
                await asyncio.sleep(0.05)
        address = f"{url}/v1/calls/{kept['calls'][0]['id']}"
        async with http.get(address, headers=OPERATOR) as found:
            call = await found.json()
    assert (call["parent"], call["callee"]) == ("sess_before", NUMBER)


async def test_a_call_that_brings_no_sound_gets_another_stream_once_and_then_its_fallback() -> None:
    async with twilio_api() as api:
        numbers = {NUMBER: {"fallback": {"say": "No podemos atenderle."}}}
        async with line(twilio={"api_url": api.url}, numbers=numbers) as (http, url):
            async with calling_in(http, url) as stream:
                stream.sends_media = False
                api.live.add(stream.call_sid)
                await until(lambda: bool(api.updates))
                await until(stream.closed.is_set)
            ((call_sid, fields),) = api.updates
            _, parameters, _ = read_connect(fields["Twiml"])
            assert fromstring(fields["Twiml"]).findtext("Say") == "No podemos atenderle."
            async with streaming(http, url, call_sid, parameters) as again:
                again.sends_media = False
                await until(again.closed.is_set)
            assert len(api.updates) == 1  # Twilio goes on to what stands behind the stream
            async with streaming(http, url, call_sid, parameters) as third:
                await until(third.closed.is_set)
                assert third.loud_ms() == 0
            async with http.get(f"{url}/metrics") as answer:
                text = await answer.text()
            assert 'penny_phone_calls_silent_total{line=""} 1.0' in text


async def test_a_stream_that_is_begun_anew_and_brings_sound_is_a_call_like_any_other() -> None:
    async with twilio_api() as api, line(twilio={"api_url": api.url}) as (http, url):
        async with calling_in(http, url) as stream:
            stream.sends_media = False
            api.live.add(stream.call_sid)
            await until(lambda: bool(api.updates))
        ((call_sid, fields),) = api.updates
        _, parameters, _ = read_connect(fields["Twiml"])
        async with streaming(http, url, call_sid, parameters) as again:
            await until(lambda: again.loud_ms() >= 500)
            await again.stop()
