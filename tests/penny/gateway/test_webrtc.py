"""`/v1/realtime/calls` with a real peer on loopback: from the offer to the last word."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from tests.doubles.engines import FixedStt
from tests.doubles.house import make_engines, running_penny
from tests.doubles.realtime_client import connected_to
from tests.doubles.speech import silence, speak
from tests.doubles.webrtc_client import WebRtcCaller, calling


pytestmark = pytest.mark.engines

Json = dict[str, Any]


async def post(url: str, path: str, body: Any, **headers: str) -> tuple[int, Json]:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}{path}", data=body, headers=headers) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


async def test_a_spoken_question_is_heard_and_its_answer_is_heard_back() -> None:
    stt = FixedStt("cuándo vence mi factura")
    async with running_penny(make_engines(stt)) as url, calling(url) as caller:
        created = await caller.until("session.created")
        assert created["session"]["model"] == "penny"
        transcription = {"audio": {"input": {"transcription": {"model": "penny"}}}}
        caller.send("session.update", session={"type": "realtime", **transcription})
        await caller.until("session.updated")
        await caller.speak(silence(300) + speak("¿Cuándo vence mi factura?") + silence(2000))
        heard = await caller.until("conversation.item.input_audio_transcription.completed")
        assert heard["transcript"] == "cuándo vence mi factura"
        stopped = await caller.until("output_audio_buffer.stopped")
        await caller.until("response.done")
        done = [e["response"]["id"] for e in caller.events if e["type"] == "response.done"]
        assert stopped["response_id"] in done
        assert "response.output_audio.delta" not in [e["type"] for e in caller.events]
        assert caller.heard_ms() > 200


async def test_a_typed_question_is_answered_aloud_and_the_call_is_hung_up_by_address() -> None:
    async with running_penny() as url, calling(url) as caller:
        await caller.until("session.created")
        content = [{"type": "input_text", "text": "Hola"}]
        item = {"type": "message", "role": "user", "content": content}
        caller.send("conversation.item.create", item=item)
        caller.send("response.create")
        await caller.until("output_audio_buffer.stopped")
        assert caller.heard_ms() > 200
        for verb in ("accept", "reject", "refer"):
            status, refusal = await post(url, f"{caller.location}/{verb}", None)
            assert (status, refusal["error"]["type"]) == (400, "invalid_request_error")
            assert "SIP" in refusal["error"]["message"]
        status, _ = await post(url, f"{caller.location}/hangup", None)
        assert status == 200
        await caller.until_closed()
        for verb in ("hangup", "accept", "reject", "refer"):
            status, refusal = await post(url, f"{caller.location}/{verb}", None)
            assert (status, refusal["error"]["code"]) == (404, "call_not_found")


async def test_a_session_comes_with_the_offer_in_a_form() -> None:
    form = aiohttp.FormData(default_to_multipart=True)
    session = {"type": "realtime", "model": "gpt-realtime-2.1", "instructions": "En verso."}
    form.add_field("session", json.dumps(session))
    async with running_penny() as url, calling(url, form) as caller:
        created = (await caller.until("session.created"))["session"]
        assert (created["instructions"], created["model"]) == ("En verso.", "gpt-realtime-2.1")


async def test_a_transcription_session_hears_and_says_nothing() -> None:
    form = aiohttp.FormData(default_to_multipart=True)
    transcription = {"model": "penny", "language": "es"}
    session = {"type": "transcription", "audio": {"input": {"transcription": transcription}}}
    form.add_field("session", json.dumps(session))
    engines = make_engines(FixedStt("cuándo vence mi factura"))
    async with running_penny(engines) as url, calling(url, form) as caller:
        created = (await caller.until("session.created"))["session"]
        assert created["type"] == "transcription"
        await caller.speak(silence(300) + speak("¿Cuándo vence mi factura?") + silence(1500))
        heard = await caller.until("conversation.item.input_audio_transcription.completed")
        assert heard["transcript"] == "cuándo vence mi factura"
        assert "response.created" not in caller.kinds()


async def test_a_client_secret_brings_its_session() -> None:
    asked = {"session": {"type": "realtime", "instructions": "Solo sobre facturas."}}
    async with running_penny() as url:
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{url}/v1/realtime/client_secrets", json=asked) as answer,
        ):
            secret = (await answer.json())["value"]
        bearer = {"Authorization": f"Bearer {secret}"}
        async with calling(url, **bearer) as caller:
            created = (await caller.until("session.created"))["session"]
            assert created["instructions"] == "Solo sobre facturas."


async def test_a_server_of_the_callers_owner_joins_by_the_calls_id() -> None:
    async with running_penny() as url, calling(url) as caller:
        await caller.until("session.created")
        call_id = caller.location.rpartition("/")[2]
        async with connected_to(url, f"call_id={call_id}") as server:
            await server.until("session.created")
            await server.configure(instructions="Habla poco.")
            updated = (await caller.until("session.updated"))["session"]
            assert updated["instructions"] == "Habla poco."
            await server.send("response.create")
            await server.until("output_audio_buffer.stopped")
            assert "response.output_audio.delta" not in server.kinds()
        caller.send("session.update", session={"type": "realtime", "instructions": "Sigo."})
        await caller.until("session.updated", 2)


async def test_keys_are_told_to_the_caller_and_to_a_server_that_joined() -> None:
    kind = "input_audio_buffer.dtmf_event_received"
    async with running_penny() as url, calling(url) as caller:
        await caller.until("session.created")
        call_id = caller.location.rpartition("/")[2]
        async with connected_to(url, f"call_id={call_id}") as server:
            await server.until("session.created")
            for key in "15#":
                # Again where a machine under load broke the tone: how often is no matter here.
                while key not in (told := [e["event"] for e in caller.events if e["type"] == kind]):
                    caller.press(key)
                    await caller.speak(silence(600))
            assert list(dict.fromkeys(told)) == [*"15#"]
            assert (await server.until(kind))["event"] == "1"


async def test_a_page_of_another_origin_may_call_with_its_secret_and_not_without() -> None:
    page = {"Origin": "https://shop.example"}
    asks = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-openai-agents-sdk",
    }
    async with running_penny() as url, aiohttp.ClientSession() as http:
        path = f"{url}/v1/realtime/calls"
        async with http.options(path, headers={**page, **asks}) as allowed:
            assert allowed.status == 204
            assert allowed.headers["Access-Control-Allow-Origin"] == "*"
            named = allowed.headers["Access-Control-Allow-Headers"]
            assert named == asks["Access-Control-Request-Headers"]
        async with http.post(f"{url}/v1/realtime/client_secrets", json={}) as answer:
            secret = (await answer.json())["value"]
        caller = WebRtcCaller(url)
        answered = await caller.call(**page, Authorization=f"Bearer {secret}")
        caller.close()
        assert answered.headers["Access-Control-Allow-Origin"] == "*"
        assert answered.headers["Access-Control-Expose-Headers"] == "Location"
        kind = {"Content-Type": "application/sdp"}
        async with http.post(path, data="v=0", headers={**page, **kind}) as refused:
            assert refused.status == 403


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        ("", "application/sdp", 400, "invalid_message"),
        ("v=0\r\nnot an offer", "application/sdp", 400, "invalid_message"),
        ("{}", "application/json", 400, "invalid_message"),
        ("a" * 70_000, "application/sdp", 400, "too_long"),
    ],
)
async def test_what_is_no_offer_is_refused_by_name(
    body: str, kind: str, status: int, code: str
) -> None:
    async with running_penny() as url:
        headers = {"Content-Type": kind}
        answer, refusal = await post(url, "/v1/realtime/calls", body, **headers)
        assert (answer, refusal["error"]["code"]) == (status, code)


async def test_a_call_without_a_place_is_refused_like_a_socket() -> None:
    async with running_penny(gateway={"max_sessions": 1}) as url, calling(url) as caller:
        await caller.until("session.created")
        second = WebRtcCaller(url)
        refusal = await second.call()
        assert refusal["code"] == "session_refused"
        second.close()


async def test_calls_may_be_turned_off() -> None:
    async with running_penny(gateway={"webrtc": {"enabled": False}}) as url:
        status, refusal = await post(url, "/v1/realtime/calls", "v=0")
        assert (status, refusal["error"]["code"]) == (404, "unknown_url")
