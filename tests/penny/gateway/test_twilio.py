"""Telephone calls by Twilio on real sockets: sound both ways, interruption, keys, and forgeries."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import pytest
from streamdouble.protocol import StreamIdentity
from streamdouble.session import Session, SessionConfig

from penny.audio.convert import Converter
from penny.audio.format import PCM24K, AudioFormat
from penny.edges.twilio.tokens import VALID_S, StreamTokens
from penny.gateway.offered_calls import OfferedCalls
from runpod_worker.stages import EngineInfo, LlmDelta, LlmRequest, LlmToolCall
from tests.doubles.engines import FixedLlm, FixedStt
from tests.doubles.house import make_engines, running_penny
from tests.doubles.operator import OPERATOR
from tests.doubles.speech import silence, speak
from tests.doubles.twilio_api import twilio_api
from tests.doubles.twilio_stream import (
    ACCOUNT,
    AUTH_TOKEN,
    PUBLIC,
    TwilioStream,
    calling_in,
    new_sid,
    post_webhook,
    read_connect,
    streaming,
    until,
    voice_form,
)


pytestmark = pytest.mark.engines

Json = dict[str, Any]

LINE = AudioFormat("pcmu", 8000)
NUMBER = "+34910000000"
LONG = "Su factura vence el quince de enero y son mil quinientos euros. " * 8


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", AUTH_TOKEN)


@asynccontextmanager
async def line(
    engines: Any = None, *, numbers: Json | None = None, twilio: Json | None = None, **sections: Any
) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """A gateway with one number."""
    section = {"enabled": True, "account_sid": ACCOUNT, "public_url": PUBLIC, **(twilio or {})}
    with TemporaryDirectory() as folder:
        telephony = {
            "folder": folder,
            "numbers": numbers or {NUMBER: {}},
            "twilio": section,
            **sections.pop("telephony", {}),
        }
        async with (
            running_penny(engines, telephony=telephony, **sections) as url,
            aiohttp.ClientSession() as http,
        ):
            yield http, url


class HandingOver(FixedLlm):
    """Calls for a person first, then says goodbye."""

    def __init__(self, answer: str) -> None:
        super().__init__(answer)
        self.info = EngineInfo("handing-over", ("es", "en"), reads=True)

    async def generate(self, request: LlmRequest) -> AsyncIterator[LlmDelta]:
        is_first = not self.requests
        arguments = '{"motivo": "una queja"}'
        self.call = LlmToolCall("call_1", "persona", arguments, True) if is_first else None
        async for delta in super().generate(request):
            yield delta


def say(stream: TwilioStream, text: str) -> None:
    """Speech in real time: the stream sends it 20 ms every 20 ms."""
    voice = Converter(PCM24K, LINE).process(silence(200) + speak(text) + silence(300))
    stream.voice.extend(voice[at : at + 160] for at in range(0, len(voice) // 160 * 160, 160))


async def answering(stream: TwilioStream, llm: FixedLlm, ms: int) -> None:
    """Until the caller has heard so much of the answer to their first words."""
    await until(lambda: bool(llm.requests))
    opened = stream.loud_ms()
    await until(lambda: stream.loud_ms() >= opened + ms)


async def refused(http: aiohttp.ClientSession, url: str) -> dict[str, float]:
    """What was refused, by reason."""
    async with http.get(f"{url}/metrics", headers=OPERATOR) as answer:
        lines = (await answer.text()).splitlines()
    found = {}
    for each in lines:
        if each.startswith("penny_twilio_refused_total{"):
            name, _, value = each.partition("} ")
            found[name.split('"')[1]] = float(value)
    return found


# With no key and on loopback: the public network is no caller of this machine all the same.
@pytest.mark.parametrize(
    ("own", "consent", "sound"),
    [
        ({}, {"policy": "off", "text": True}, "absent"),
        ({NUMBER: {"recording": "on", "text": False}}, {"policy": "on", "text": False}, "stored"),
    ],
)
async def test_a_question_is_answered_and_the_call_is_kept_as_its_number_says(
    tmp_path: Path, own: Json, consent: Json, sound: str
) -> None:
    calls: Json = {"folder": str(tmp_path), "url": f"sqlite:///{tmp_path / 'calls.sqlite'}"}
    calls["numbers"] = own
    numbers = {NUMBER: {"greeting": "Acme, buenos días."}}
    async with line(numbers=numbers, calls=calls) as (http, url):
        async with calling_in(http, url) as stream:
            await until(lambda: stream.loud_ms() >= 1000)  # the greeting, on answer
            await until(lambda: stream.waiting_ms == 0)
            greeted = stream.loud_ms()
            say(stream, "¿Cuándo vence mi factura?")
            await until(lambda: stream.loud_ms() >= greeted + 1000)
            await stream.stop()
            await until(stream.closed.is_set)
        async with asyncio.timeout(60):
            found: list[Json] = []
            while not found:
                async with http.get(f"{url}/v1/calls", headers=OPERATOR) as answer:
                    found = (await answer.json())["calls"]
                await asyncio.sleep(0.05)
            async with http.get(f"{url}/v1/calls/{found[0]['id']}", headers=OPERATOR) as answer:
                call = await answer.json()
    about = (call["edge"], call["direction"], call["caller"], call["callee"], call["end_reason"])
    assert about == ("phone", "inbound", "+34600000001", NUMBER, "client_ended")
    assert (call["consent"], call["sound"]["state"]) == (consent, sound)
    assert call["turns"]
    assert any(turn["words"] for turn in call["turns"]) == consent["text"]
    assert any(turn["text"] for turn in call["turns"]) == consent["text"]


async def test_speech_stops_the_voice_and_the_history_is_cut_where_it_was_heard() -> None:
    llm = FixedLlm(LONG)
    async with line(make_engines(llm=llm)) as (http, url), calling_in(http, url) as stream:
        say(stream, "¿Cuándo vence mi factura?")
        await answering(stream, llm, 1500)
        say(stream, "Perdone, quería preguntar otra cosa distinta.")
        await until(lambda: bool(stream.clears))
        heard = stream.loud_ms()
        assert stream.waiting_ms == 0
        await until(lambda: len(llm.requests) >= 2)
        told = [m for _, m in stream.received if m["event"] == "mark"]
        assert told, "positions are asked for"
        # What the model is told it said ends where the caller's ear did.
        said = str(llm.requests[-1])
        assert LONG.strip() not in said
        assert heard < 60 * len(LONG)


async def test_keys_are_what_the_caller_typed() -> None:
    llm = FixedLlm(LONG)
    async with line(make_engines(llm=llm)) as (http, url), calling_in(http, url) as stream:
        say(stream, "Buenos días.")
        await answering(stream, llm, 500)
        for digit in "4711#":
            await stream.press(digit)
        await until(lambda: any("4711" in str(request) for request in llm.requests))
        await until(lambda: bool(stream.clears))


@pytest.mark.parametrize("samples", [True, False])
async def test_bridges_that_count_in_samples_are_understood(samples: bool) -> None:
    async with line() as (http, url):
        call_sid = new_sid()
        answer = await post_webhook(http, url, "/twilio/voice", voice_form(call_sid))
        _, parameters, _ = read_connect(await answer.text())
        stranger = streaming(http, url, call_sid, parameters, samples=samples, account_sid="")
        async with stranger as stream:
            say(stream, "¿Cuándo vence mi factura?")
            await until(lambda: stream.loud_ms() >= 500)


@pytest.mark.parametrize("fails", ["offered", "refused"])
async def test_a_webhook_that_could_not_be_served_is_taken_when_it_comes_again(
    monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    """Twilio asks once more after a 500: the caller must not be lost to the record of the first."""
    serve = getattr(OfferedCalls, fails)
    faults = [sqlite3.OperationalError("disk I/O error")]

    async def fail_once(*told: Any) -> None:
        if faults:
            raise faults.pop()
        await serve(*told)

    monkeypatch.setattr(OfferedCalls, fails, fail_once)
    async with line() as (http, url):
        callee = NUMBER if fails == "offered" else "+34999999999"
        form = voice_form(new_sid(), callee=callee)
        assert (await post_webhook(http, url, "/twilio/voice", form)).status == 500
        assert (await post_webhook(http, url, "/twilio/voice", form)).status == 200
        assert (await post_webhook(http, url, "/twilio/voice", form)).status == 403, "once served"


async def test_forged_replayed_and_cross_account_webhooks_are_refused_and_counted() -> None:
    async with line() as (http, url):
        form = voice_form(new_sid())
        forged = {"X-Twilio-Signature": "bm8="}
        assert (await post_webhook(http, url, "/twilio/voice", form, **forged)).status == 403
        bare = await http.post(f"{url}/twilio/voice", data=form)
        assert bare.status == 403
        # Signed for another address, as one is that Host would lead to.
        other = await post_webhook(http, url, "/twilio/voice", form, Host="evil.example")
        assert other.status == 200
        again = await post_webhook(http, url, "/twilio/voice", form)
        assert again.status == 403
        alien = {**voice_form(new_sid()), "AccountSid": "AC" + "f" * 32}
        assert (await post_webhook(http, url, "/twilio/voice", alien)).status == 403
        changed = voice_form(new_sid())
        answer = await http.post(
            f"{url}/twilio/voice",
            data={**changed, "To": "+34999999999"},
            headers={"X-Twilio-Signature": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="},
        )
        assert answer.status == 403
        assert await refused(http, url) == {"signature": 3, "replay": 1, "account": 1}


async def test_a_stream_needs_a_signature_and_its_own_fresh_token() -> None:
    async with line() as (http, url):
        call_sid = new_sid()
        answer = await post_webhook(http, url, "/twilio/voice", voice_form(call_sid))
        _, parameters, _ = read_connect(await answer.text())
        for signature in ("", "bm8="):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                async with streaming(http, url, call_sid, parameters, signature=signature):
                    pass
            assert caught.value.status == 403
        for sid, given, account in (
            (call_sid, {}, ACCOUNT),
            (call_sid, {"token": "x.y"}, ACCOUNT),
            (call_sid, {"token": parameters["token"][:-1] + "x"}, ACCOUNT),
            (new_sid(), parameters, ACCOUNT),
        ):
            async with streaming(http, url, sid, given, account_sid=account) as stream:
                await until(stream.closed.is_set)
                assert stream.socket.close_code == 1008
        async with streaming(http, url, call_sid, parameters) as stream:
            say(stream, "Hola.")
            await until(lambda: stream.loud_ms() > 100)
            async with streaming(http, url, call_sid, parameters) as second:
                await until(second.closed.is_set)
                assert second.socket.close_code == 1008
        counted = await refused(http, url)
    assert counted == {"stream_signature": 2, "stream_token": 5}


async def test_a_stream_of_another_account_is_refused() -> None:
    async with line() as (http, url):
        call_sid = new_sid()
        answer = await post_webhook(http, url, "/twilio/voice", voice_form(call_sid))
        _, parameters, _ = read_connect(await answer.text())
        alien = "AC" + "f" * 32
        async with streaming(http, url, call_sid, parameters, account_sid=alien) as stream:
            await until(stream.closed.is_set)
            assert stream.socket.close_code == 1008


async def test_an_unknown_number_is_rejected_before_it_is_answered() -> None:
    async with line() as (http, url):
        form = voice_form(new_sid(), callee="+34999999999")
        answer = await post_webhook(http, url, "/twilio/voice", form)
        assert "<Reject" in await answer.text()


async def test_without_a_mode_the_caller_hears_the_sentence_and_reaches_a_person() -> None:
    fallback = {"say": "Le paso <con> una persona.", "transfer": "soporte"}
    dialing = {"default": {"transfers": {"soporte": "+34911111111"}}}
    numbers = {NUMBER: {"fallback": fallback, "mode": "EXTERNAL"}}
    async with line(numbers=numbers, telephony={"dialing": dialing}) as (http, url):
        answer = await post_webhook(http, url, "/twilio/voice", voice_form(new_sid()))
        text = await answer.text()
    assert "Connect" not in text
    assert "Le paso &lt;con&gt; una persona." in text
    assert "<Number>+34911111111</Number>" in text


async def test_a_full_house_leaves_the_caller_to_the_fallback() -> None:
    fallback = {"say": "Ahora no podemos atenderle."}
    async with (
        twilio_api() as api,
        line(
            numbers={NUMBER: {"fallback": fallback}},
            gateway={"max_sessions": 1},
            twilio={"api_url": api.url},
        ) as (http, url),
        calling_in(http, url) as first,
    ):
        say(first, "Hola.")
        await until(lambda: first.loud_ms() > 100)
        async with calling_in(http, url) as second:
            api.live.add(second.call_sid)
            await until(second.closed.is_set)  # Twilio goes on with the next verb
        assert api.updates == []  # and is not told that the call is over


async def test_a_peer_that_returns_no_marks_and_sends_no_sound_is_served() -> None:
    async with line() as (http, url), calling_in(http, url) as stream:
        stream.returns_marks = False
        say(stream, "¿Cuándo vence mi factura?")
        await until(lambda: stream.loud_ms() >= 500)
        stream.sends_media = False  # as during a long key
        await until(lambda: stream.loud_ms() >= 1500)
        await stream.stop()


async def test_what_makes_no_sense_is_passed_over() -> None:
    async with line() as (http, url), calling_in(http, url) as stream:
        await until(lambda: stream.chunk > 3)  # the stream has begun
        for nonsense in ("{", "[]", '"x"', '{"event":"media"}', '{"event":"news"}', '{"event":[]}'):
            await stream.socket.send_str(nonsense)
        say(stream, "¿Cuándo vence mi factura?")
        await until(lambda: stream.loud_ms() >= 500)


def test_a_token_is_of_one_call_for_a_minute() -> None:
    tokens = StreamTokens("secret")
    about = {"to": "+1", "from": "+2"}
    token = tokens.mint("CA1", about, 1000.0)
    assert tokens.take(token, "CA2", 1000.0) is None
    assert tokens.take(token, "CA1", 1000.0) == about
    late = tokens.mint("CA1", about, 1000.0)
    assert tokens.take(late, "CA1", 1000.0 + VALID_S + 1) is None
    assert StreamTokens("another").take(tokens.mint("CA3", about, 0.0), "CA3", 0.0) is None


async def test_a_person_is_put_through_after_the_goodbye_was_heard() -> None:
    llm = HandingOver("Le paso ahora mismo con un compañero.")
    table = {"persona": {"description": "Pasa con una persona", "handoff": "soporte"}}
    async with twilio_api() as api:
        dialing = {"default": {"transfers": {"soporte": "+34911111111"}}}
        numbers = {NUMBER: {"actions": ["persona"], "fallback": {"say": "No."}}}
        opened = line(
            make_engines(FixedStt("quiero hablar con una persona"), llm),
            numbers=numbers,
            twilio={"api_url": api.url},
            telephony={"dialing": dialing},
            actions={"table": table},
        )
        async with opened as (http, url), calling_in(http, url) as stream:
            api.live.add(stream.call_sid)
            say(stream, "Quiero hablar con una persona.")
            await until(lambda: bool(api.updates))
            assert stream.waiting_ms <= 20, "to its last word"
            assert stream.loud_ms() >= 60 * len(llm.answer) - 100
            await until(stream.closed.is_set)
    ((call_sid, fields),) = api.updates
    assert call_sid == stream.call_sid
    assert "<Number" in fields["Twiml"]
    assert ">+34911111111</Number>" in fields["Twiml"]


async def test_an_application_sends_keys_and_puts_a_live_call_through() -> None:
    async with twilio_api() as api:
        dialing = {"default": {"transfers": {"soporte": "+34911111111"}}}
        opened = line(twilio={"api_url": api.url}, telephony={"dialing": dialing})
        async with opened as (http, url), calling_in(http, url) as stream:
            api.live.add(stream.call_sid)

            async def ask(what: str, **body: Any) -> int:
                async with http.get(f"{url}/admin/v1/sessions", headers=OPERATOR) as answer:
                    sessions = (await answer.json())["sessions"]
                call_id = sessions[0]["session_id"] if sessions else "none"
                address = f"{url}/v1/calls/{call_id}/{what}"
                async with http.post(address, json=body, headers=OPERATOR) as answer:
                    return answer.status

            async with asyncio.timeout(30):
                while await ask("keys", digits="5") != 204:
                    await asyncio.sleep(0.05)
            await until(lambda: stream.loud_ms() >= 100)
            assert await ask("keys", digits="5x") == 400
            assert await ask("wait", on="yes") == 400
            assert await ask("wait", on=True) == 204
            before = stream.loud_ms()
            await until(lambda: stream.loud_ms() >= before + 200)  # of the tone
            assert await ask("wait", on=False) == 204
            assert await ask("transfer", to="+34900000000") == 404
            assert await ask("transfer", to="soporte") == 202
            await until(lambda: bool(api.updates))
    assert ">+34911111111</Number>" in api.updates[0][1]["Twiml"]


async def test_a_goodbye_of_ours_ends_the_call_and_not_only_the_stream() -> None:
    async with twilio_api() as api:
        numbers = {NUMBER: {"fallback": {"say": "No podemos atenderle."}}}
        opened = line(
            numbers=numbers,
            twilio={"api_url": api.url},
            gateway={"session_max_s": 3},
        )
        async with opened as (http, url), calling_in(http, url) as stream:
            api.live.add(stream.call_sid)
            await until(stream.closed.is_set)
            assert api.updates == [(stream.call_sid, {"Status": "completed"})]


async def test_streamdouble_finds_no_violation() -> None:
    """A simulator of other people's; it signs nothing, so the token alone lets it in."""
    async with line(twilio={"unsigned_streams": True}) as (http, url):
        identity = StreamIdentity(account_sid=ACCOUNT)
        answer = await post_webhook(http, url, "/twilio/voice", voice_form(identity.call_sid))
        _, parameters, _ = read_connect(await answer.text())
        voice = Converter(PCM24K, LINE).process(speak("¿Cuándo vence mi factura?") + silence(900))
        frames = [voice[at : at + 160] for at in range(0, len(voice) // 160 * 160, 160)]
        config = SessionConfig(custom_parameters=parameters, response_timeout_s=30.0)
        socket_url = url.replace("http", "ws", 1) + "/twilio/stream"
        session = Session(socket_url, frames, config=config, identity=identity)
        result = await session.run()
    assert (result.violations, result.unknown_events, result.timed_out) == ([], [], False)
    assert result.audio_duration_s > 1.0
    assert result.marks_echoed
