"""Turn detection, manual turns, formats and large audio through `/v1/realtime`."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from penny.audio.g711 import alaw_encode, ulaw_encode
from penny.audio.resample import Resampler
from tests.doubles.engines import FixedLlm, FixedStt, tone
from tests.doubles.house import make_engines, running_penny
from tests.doubles.realtime_client import connected_to
from tests.doubles.speech import silence, speak


pytestmark = pytest.mark.engines


MANUAL = {"audio": {"input": {"turn_detection": None}}}
SPOKEN_TURN = [
    "response.created",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.done",
]


def question() -> bytes:
    return silence(300) + speak("¿Cuándo vence mi factura?") + silence(1000)


async def test_a_manual_turn_is_committed_and_asked_for() -> None:
    stt = FixedStt("uno dos tres")
    async with running_penny(make_engines(stt)) as url, connected_to(url) as client:
        session = await client.configure(**MANUAL)
        assert session["audio"]["input"]["turn_detection"] is None
        await client.send("input_audio_buffer.commit", event_id="empty")
        error = await client.the_error()
        assert error["code"] == "input_audio_buffer_commit_empty"
        assert error["event_id"] == "empty"
        await client.stream(tone(300))
        await client.send("input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")
        await client.stream(speak("uno dos tres"))
        await client.send("input_audio_buffer.commit")
        committed = await client.until("input_audio_buffer.committed")
        await client.send("response.create")
        created = await client.until("response.created")
        await client.until("response.done")
        assert client.turn(created["response"]["id"]) == SPOKEN_TURN
        assert "input_audio_buffer.speech_started" not in client.kinds()
        await client.send("conversation.item.retrieve", item_id=committed["item_id"])
        item = (await client.until("conversation.item.retrieved"))["item"]
        (part,) = item["content"]
        assert (part["type"], part["transcript"]) == ("input_audio", "uno dos tres")
        assert part["audio"]
    assert stt.heard_ms == [pytest.approx(len(speak("uno dos tres")) // 48, abs=25)]


async def test_a_whole_recording_in_one_message_loses_nothing() -> None:
    stt = FixedStt("mucho")
    minute = tone(60_000)
    async with running_penny(make_engines(stt)) as url, connected_to(url) as client:
        await client.configure(**MANUAL)
        for _ in range(2):
            audio = base64.b64encode(minute).decode()
            await client.send("input_audio_buffer.append", audio=audio)
        await client.send("input_audio_buffer.commit")
        await client.send("response.create", response={"output_modalities": ["text"]})
        done = await client.until("response.done")
    assert stt.heard_ms == [pytest.approx(120_000, abs=25)]
    assert done["response"]["usage"]["input_token_details"]["audio_tokens"] == 1200


async def test_an_append_of_15_mib_is_taken_and_one_more_byte_refused() -> None:
    limit = 15 * 1024 * 1024
    gateway = {"max_message_bytes": 21 * 1024 * 1024}
    async with running_penny(gateway=gateway) as url, connected_to(url) as client:
        await client.configure(**MANUAL)
        await client.send(
            "input_audio_buffer.append", audio=base64.b64encode(bytes(limit)).decode()
        )
        await client.send("input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")
        assert "error" not in client.kinds()
        over = base64.b64encode(bytes(limit + 1)).decode()
        await client.send("input_audio_buffer.append", audio=over, event_id="big")
        error = await client.the_error()
        assert (error["code"], error["event_id"]) == ("audio_too_large", "big")
        await client.send("input_audio_buffer.append", audio="A" * (24 * 1024 * 1024))
        assert (await client.the_error())["code"] == "message_too_large"
        await client.configure()


async def test_detection_without_responses_leaves_the_turns_to_the_client() -> None:
    async with running_penny() as url, connected_to(url) as client:
        detection = {"type": "server_vad", "create_response": False, "interrupt_response": False}
        await client.configure(audio={"input": {"turn_detection": detection}})
        await client.stream(question())
        await client.until("conversation.item.done")
        await client.stream(question())
        await client.until("conversation.item.done")
        assert "response.created" not in client.kinds()
        await client.send("response.create")
        assert (await client.until("response.done"))["response"]["status"] == "completed"


async def test_semantic_detection_ends_a_turn_too() -> None:
    async with running_penny() as url, connected_to(url) as client:
        detection = {"type": "semantic_vad", "eagerness": "high"}
        session = await client.configure(audio={"input": {"turn_detection": detection}})
        shown = session["audio"]["input"]["turn_detection"]
        assert (shown["type"], shown["eagerness"]) == ("semantic_vad", "high")
        assert "silence_duration_ms" not in shown
        await client.stream(silence(300) + speak("¿Cuándo vence mi factura?") + silence(4000))
        assert (await client.until("response.done"))["response"]["status"] == "completed"


async def test_a_caller_who_stays_silent_is_answered_after_the_idle_timeout() -> None:
    llm = FixedLlm("Hola. ¿Sigue ahí?")
    async with running_penny(make_engines(llm=llm)) as url, connected_to(url) as client:
        detection = {"type": "server_vad", "idle_timeout_ms": 5000}
        await client.configure(audio={"input": {"turn_detection": detection}})
        await client.send("response.create")
        await client.until("response.done")
        since = len(client.events)
        await client.stream(silence(9000))
        triggered = await client.until("input_audio_buffer.timeout_triggered")
        assert triggered["audio_end_ms"] - triggered["audio_start_ms"] >= 5000
        done = await client.until("response.done")
        assert done["response"]["output"][0]["content"][0]["transcript"] == llm.answer
        assert [k for k in client.without_deltas(since) if k.startswith("input_audio")] == [
            "input_audio_buffer.timeout_triggered",
            "input_audio_buffer.committed",
        ]


@pytest.mark.parametrize(("name", "encode"), [("pcmu", ulaw_encode), ("pcma", alaw_encode)])
async def test_a_telephone_session_hears_and_speaks_g711(name: str, encode: Any) -> None:
    stt = FixedStt("hola")
    to_8k = Resampler(24_000, 8_000)
    async with running_penny(make_engines(stt)) as url, connected_to(url) as client:
        wire = {"type": f"audio/{name}"}
        session = await client.configure(
            audio={"input": {"format": wire}, "output": {"format": wire}}
        )
        assert session["audio"]["input"]["format"] == wire
        sound = encode(to_8k.process(question()) + to_8k.flush())
        for at in range(0, len(sound), 160):
            audio = base64.b64encode(sound[at : at + 160]).decode()
            await client.send("input_audio_buffer.append", audio=audio)
        done = await client.until("response.done")
        spoken = b"".join(
            base64.b64decode(e["delta"])
            for e in client.events
            if e["type"] == "response.output_audio.delta"
        )
    assert done["response"]["status"] == "completed"
    assert done["response"]["audio"]["output"]["format"] == wire
    tokens = done["response"]["usage"]["output_token_details"]["audio_tokens"]
    assert tokens == pytest.approx(len(spoken) / 8 / 50, abs=1)
    assert 1000 < stt.heard_ms[0] < 4000
