"""What must not hurt a Realtime session: wrong messages, frozen fields, neighbours, vanishing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.doubles.engines import FixedLlm
from tests.doubles.house import make_engines, running_penny
from tests.doubles.http import cut
from tests.doubles.realtime_client import connected_to
from tests.doubles.speech import silence, speak


pytestmark = pytest.mark.engines

Json = dict[str, Any]


def question() -> bytes:
    return silence(300) + speak("¿Cuándo vence mi factura?") + silence(1000)


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ("not json", "invalid_json", None),
        ("[]", "invalid_json", None),
        (b"\xff\xfe\x00", "invalid_json", None),
        ("{}", "missing_required_parameter", "type"),
        ('{"type": 7}', "invalid_type", "type"),
        ('{"type":"transcription_session.update"}', "invalid_value", "type"),
        ('{"type":"session.update"}', "missing_required_parameter", "session"),
        ('{"type":"session.update","session":7}', "invalid_type", "session"),
        ('{"type":"session.update","session":null}', "missing_required_parameter", "session"),
        ('{"type":"session.update","session":{}}', "missing_required_parameter", "session.type"),
        ('{"type":"input_audio_buffer.append"}', "missing_required_parameter", "audio"),
        ('{"type":"input_audio_buffer.append","audio":"%%%"}', "invalid_value", "audio"),
        ('{"type":"input_audio_buffer.append","audio":7}', "invalid_type", "audio"),
        ('{"type":"conversation.item.create"}', "missing_required_parameter", "item"),
        ('{"type":"conversation.item.create","item":7}', "invalid_type", "item"),
        ('{"type":"conversation.item.create","item":[]}', "invalid_type", "item"),
        (
            '{"type":"conversation.item.create","item":{"type":"message","content":3}}',
            "missing_required_parameter",
            "item.role",
        ),
        ('{"type":"conversation.item.delete","item_id":[]}', "invalid_type", "item_id"),
        ('{"type":"conversation.item.delete","item_id":{}}', "invalid_type", "item_id"),
        ('{"type":"session.update","session":{"type":[]}}', "invalid_type", "session.type"),
        ('{"type":"response.create","response":7}', "invalid_type", "response"),
        (
            '{"type":"response.create","response":{"metadata":7}}',
            "invalid_type",
            "response.metadata",
        ),
        ('{"type":"conversation.item.delete"}', "missing_required_parameter", "item_id"),
        ('{"type":"response.create","response":[]}', "invalid_type", "response"),
        (
            '{"type":"response.create","response":{"max_output_tokens":5000}}',
            "invalid_value",
            "response.max_output_tokens",
        ),
        ('{"type":"output_audio_buffer.clear"}', "unsupported_event", "type"),
    ],
)
async def test_a_wrong_message_is_named_and_changes_nothing(
    message: str | bytes, code: str, param: str | None
) -> None:
    async with running_penny() as url, connected_to(url) as client:
        before = (await client.until("session.created"))["session"]
        if isinstance(message, bytes):
            await client.socket.send_bytes(message)
        else:
            await client.socket.send_str(message)
        error = await client.the_error()
        assert (error["code"], error["param"]) == (code, param)
        assert error["type"] == "invalid_request_error"
        assert error["message"]
        assert error["event_id"] is None
        assert await client.configure() == before


async def test_the_voice_is_frozen_once_heard_and_speed_is_not() -> None:
    async with running_penny() as url, connected_to(url) as client:
        await client.configure(audio={"output": {"voice": "marin", "speed": 1.2}})
        await client.send("response.create")
        done = await client.until("response.done")
        assert done["response"]["audio"]["output"]["voice"] == "marin"
        other = {"type": "realtime", "audio": {"output": {"voice": "cedar"}}}
        await client.send("session.update", session=other, event_id="v")
        error = await client.the_error()
        assert (error["code"], error["event_id"]) == ("cannot_update_voice", "v")
        session = await client.configure(audio={"output": {"voice": "marin", "speed": 0.9}})
        assert session["audio"]["output"] == {
            "format": {"type": "audio/pcm", "rate": 24000},
            "voice": "marin",
            "speed": 0.9,
        }


async def test_updates_merge_and_null_clears() -> None:
    async with running_penny() as url, connected_to(url) as client:
        await client.until("session.created")
        vad = {"type": "server_vad", "threshold": 0.7, "silence_duration_ms": 350}
        await client.configure(
            audio={"input": {"turn_detection": vad, "transcription": {"language": "es"}}},
            max_output_tokens=200,
            metadata_of_mine={"a": 1},
        )
        session = await client.configure(audio={"input": {"turn_detection": {"threshold": 0.6}}})
        detection = session["audio"]["input"]["turn_detection"]
        assert (detection["threshold"], detection["silence_duration_ms"]) == (0.6, 350)
        assert session["max_output_tokens"] == 200
        assert session["metadata_of_mine"] == {"a": 1}
        session = await client.configure(
            audio={"input": {"transcription": None}}, instructions="", tools=[]
        )
        assert session["audio"]["input"]["transcription"] is None
        assert session["instructions"] == ""


async def test_pennys_own_events_come_only_when_asked_for() -> None:
    async with running_penny() as url:
        async with connected_to(url) as client:
            await client.stream(question())
            await client.until("rate_limits.updated")
            assert not [k for k in client.kinds() if k.startswith("penny.")]
        async with connected_to(url, "model=penny&penny_events=1") as client:
            await client.stream(question())
            await client.until("rate_limits.updated")
            own = {k for k in client.kinds() if k.startswith("penny.")}
            assert {"penny.transcript", "penny.response.first_token"} <= own


async def test_sessions_beside_each_other_share_nothing() -> None:
    llm = FixedLlm("Una respuesta cualquiera.")
    async with running_penny(make_engines(llm=llm)) as url:

        async def talk(name: str) -> Json:
            async with connected_to(url) as client:
                await client.configure(instructions=name)
                await client.say(f"soy {name}")
                await client.send("response.create", response={"metadata": {"name": name}})
                return dict((await client.until("response.done"))["response"])

        names = [f"cliente {n}" for n in range(8)]
        answers = await asyncio.gather(*(talk(name) for name in names))
    assert [answer["metadata"]["name"] for answer in answers] == names
    assert len({answer["id"] for answer in answers}) == len(names)
    for request in llm.requests:
        (item,) = request.items
        assert item["content"][0]["text"] == f"soy {request.instructions}"


async def test_a_client_that_vanishes_in_the_middle_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    llm = FixedLlm("palabra " * 400, gap_s=0.02)
    async with running_penny(make_engines(llm=llm)) as url:
        async with connected_to(url) as client:
            await client.send("response.create")
            await client.until("response.output_audio.delta")
            cut(client.socket)
        async with asyncio.timeout(60):
            while not llm.aborted:
                await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == before
