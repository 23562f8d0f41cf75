"""Secrets and speech are planted in real sessions, failures too; nothing Penny wrote holds them."""

from __future__ import annotations

import signal
import stat
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from tests.doubles.anthropic_server import AnthropicDouble, folio
from tests.doubles.caller import calling
from tests.doubles.collector import collecting
from tests.doubles.fixed_worker import ANSWER
from tests.doubles.processes import ROOT, gateway_process, make_key, worker_process
from tests.doubles.realtime_server import RealtimeDouble
from tests.doubles.speech import silence, speak


pytestmark = pytest.mark.process

VENDOR_KEYS = {
    "OPENAI_API_KEY": "sk-canary-openai-4711",
    "ANTHROPIC_API_KEY": "sk-ant-canary-4712",
    "RUNPOD_API_KEY": "canary-runpod-4713",
    "PENNY_REDIS_PASSWORD": "canary-redis-4714",
    "PENNY_WORKER_TOKEN": "canary-worker-4715",
}
SPOKEN = "canario de mi enfermedad"
PROMPT = "canario del guion secreto"
USER = "canario-usuario-600123456"
JUNK = "canario-basura"


async def good_session(url: str, key: str) -> str:
    async with calling(url, key=key) as caller:
        await caller.send(
            "session_start",
            portavoz={"initial_system_prompt": PROMPT},
            context={"user_id": USER},
        )
        token = (await caller.until("session_started"))["resume_token"]
        await caller.send("text_input", text=SPOKEN)
        await caller.until("response_done")
        await caller.speak(silence(300) + speak("¿Cuándo vence mi factura?") + silence(1000))
        await caller.until("transcript_final", role="user")
        caller.vanish()
    return str(token)


async def failing_sessions(url: str, key: str) -> None:
    for shown in (f"penny_{JUNK}", f"ek_{JUNK}"):
        async with calling(url, key=shown) as caller:
            await caller.closed()
    async with calling(url, key=key) as caller:
        await caller.socket.send_str('{"type":"' + SPOKEN)
        await caller.send(SPOKEN)
        await caller.send("session_start", mode=JUNK, portavoz={"voice": 4})
        await caller.send("session_resume", resume_token=JUNK, received=1)
        await caller.closed()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as http:
        async with http.post(f"{url}/v1/realtime/client_secrets", data=SPOKEN) as answer:
            assert answer.status == 400
        with suppress(aiohttp.ClientError):
            async with http.ws_connect(f"{url}/v1/realtime") as socket:
                await socket.send_str('{"type":"response.create","response":{"instructions":4}}')
                await socket.send_str(SPOKEN)
                await socket.receive()


async def test_nothing_that_penny_wrote_holds_a_secret_or_a_word(tmp_path: Path) -> None:
    sections = {
        "logs": {"level": "debug", "format": "json"},
        "keys": {"file": str(tmp_path / "keys.sqlite"), "required": "always"},
        "worker": {"replace_timeout_s": 0.5},
        "calls": {"enabled": False},  # whose records hold the words, as the next test says
    }
    (tmp_path / "gateway.yaml").write_text(f"keys: {{file: {tmp_path}/keys.sqlite}}\n")
    async with worker_process(tmp_path) as worker:
        key = await make_key(tmp_path)
        async with gateway_process(
            tmp_path, worker.port, environment=VENDOR_KEYS, **sections
        ) as gateway:
            headers = {"Authorization": f"Bearer {key}"}
            async with aiohttp.ClientSession(headers=headers) as http:
                mint = f"{gateway.url}/v1/realtime/client_secrets"
                async with http.post(mint, json={}) as minted:
                    secret = (await minted.json())["value"]
            token = await good_session(gateway.url, key)
            await failing_sessions(gateway.url, key)
            async with calling(gateway.url, key=secret) as lost:
                await lost.send("session_start")
                await lost.until("session_started")
                await lost.send("text_input", text=SPOKEN)
                worker.signal(signal.SIGKILL)
                await lost.closed()
            served = ""
            async with aiohttp.ClientSession() as http:
                for path in ("/metrics", "/readyz", "/healthz", "/v1/modes"):
                    async with http.get(f"{gateway.url}{path}") as answer:
                        served += await answer.text()
            gateway.signal(signal.SIGTERM)
            await gateway.wait()
            written = gateway.log + worker.log + served
    for path in tmp_path.rglob("*"):
        if path.is_file():
            written += path.read_bytes().decode("latin-1")

    assert "speaker_lost" in written
    assert "session_started" in written
    words = [ANSWER.split(".")[0], "canario", SPOKEN, PROMPT, USER, JUNK]
    for canary in [*VENDOR_KEYS.values(), key, secret, token, *words]:
        assert canary not in written, canary


async def external_session(url: str, key: str, speaker: RealtimeDouble) -> str:
    """Typed, answered, with a tool that is called; its resume token."""
    async with calling(url, key=key) as caller:
        await caller.send(
            "session_start",
            portavoz={"initial_system_prompt": PROMPT},
            context={"user_id": USER},
        )
        token = (await caller.until("session_started"))["resume_token"]
        upstream = await speaker.connection()
        await caller.send("text_input", text=SPOKEN)
        await upstream.call("search_knowledge", {"query": SPOKEN})
        await upstream.answer(SPOKEN)
        await caller.until("context_update")
        await caller.send("session_end")
        await caller.closed()
    return str(token)


async def test_the_record_of_a_call_alone_holds_its_words_and_no_file_a_secret(
    tmp_path: Path,
) -> None:
    (tmp_path / "gateway.yaml").write_text(f"keys: {{file: {tmp_path}/keys.sqlite}}\n")
    key = await make_key(tmp_path)
    async with (
        collecting() as (collector, endpoint),
        RealtimeDouble() as speaker,
        AnthropicDouble() as claude,
    ):
        claude.on("turn", None, answer=folio(SPOKEN, {"dato": SPOKEN}), times=None)
        claude.on("review", None, answer=folio(SPOKEN), times=None)
        vendors = {"portavoz_base_url": speaker.base_url, "cerebro_base_url": claude.base_url}
        sections = {
            "penny": {
                "default_mode": "EXTERNAL",
                "modes": {"SELF_HOSTED": {"enabled": False}, "EXTERNAL": vendors},
            },
            "logs": {"level": "debug", "format": "json"},
            "keys": {"file": str(tmp_path / "keys.sqlite"), "required": "always"},
            "kb": {"documents": str(ROOT / "kb/documents"), "index": str(tmp_path / "index")},
            "tracing": {"enabled": True, "endpoint": endpoint},
        }
        async with gateway_process(tmp_path, 1, environment=VENDOR_KEYS, **sections) as gateway:
            token = await external_session(gateway.url, key, speaker)
            await collector.until(lambda: collector.named("session"))
            gateway.signal(signal.SIGTERM)
            await gateway.wait()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    records = [path for path in files if "calls" in path.parts]
    assert stat.S_IMODE((tmp_path / "var/calls").stat().st_mode) == 0o700
    # What a record is for; and so the canary is seen where it is.
    assert any(SPOKEN.encode() in path.read_bytes() for path in records)
    others = b"".join(path.read_bytes() for path in files if path not in records)
    spans = b"".join(collector.bodies).decode("latin-1")
    assert {"execute_tool search_knowledge", "folio"} <= {span.name for span in collector.spans}
    elsewhere = others.decode("latin-1") + spans
    kept = b"".join(path.read_bytes() for path in records).decode("latin-1")
    for secret in [*VENDOR_KEYS.values(), key, token]:
        assert secret not in kept + elsewhere, secret
    for words in (SPOKEN, PROMPT, USER, "canario"):
        assert words not in elsewhere, words
