"""Whole turns as a collector sees them, from real processes; and one that does not answer."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.doubles.anthropic_server import AnthropicDouble, folio
from tests.doubles.caller import Caller, calling
from tests.doubles.collector import Collector, Seen, collecting
from tests.doubles.fixed_worker import TRACES_TO
from tests.doubles.processes import ROOT, gateway_process, running, worker_process
from tests.doubles.realtime_server import RealtimeDouble
from tests.doubles.speech import silence, speak


pytestmark = pytest.mark.process

Json = dict[str, Any]

WORDS = "¿Cuándo vence mi factura?"
CLIENT, SERVER = 3, 2


async def say_and_hear(caller: Caller) -> None:
    await caller.speak(silence(300) + speak(WORDS) + silence(1000))
    await caller.until("response_done")
    await caller.until("transcript_heard")


async def read_text(url: str) -> str:
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        return await answer.text()


def only(collector: Collector, name: str, **having: Any) -> Seen:
    found = [
        span
        for span in collector.named(name)
        if all(getattr(span, field) == value for field, value in having.items())
    ]
    assert len(found) == 1, (name, having, [s.name for s in collector.spans])
    return found[0]


async def test_one_spoken_turn_is_one_tree_through_gateway_and_worker(tmp_path: Path) -> None:
    async with (
        collecting() as (collector, endpoint),
        worker_process(tmp_path, **{TRACES_TO: endpoint}) as worker,
        gateway_process(
            tmp_path,
            worker.port,
            tracing={"enabled": True, "endpoint": endpoint},
            logs={"level": "debug", "format": "json"},
        ) as gateway,
    ):
        async with calling(gateway.url) as caller:
            await caller.send("session_start")
            started = await caller.until("session_started")
            await say_and_hear(caller)
            await caller.send("session_end")
            await caller.closed()
        await collector.until(lambda: collector.named("session") and collector.named("tts"))

        session = only(collector, "session")
        turn = only(collector, "turn")
        assert (session.service, session.kind, session.parent_id) == ("penny-gateway", SERVER, "")
        assert session.attributes["gen_ai.conversation.id"] == started["session_id"]
        assert session.attributes["penny.mode"] == "SELF_HOSTED"
        assert session.attributes["penny.end.reason"] == "client_ended"
        assert turn.parent_id == session.span_id
        assert "connect" in collector.children(session)
        stages = {"endpointing", "transcription", "generation", "first_audio", "playback"}
        assert collector.children(turn) == stages | {"vad", "stt", "llm", "tts"}
        assert {span.trace_id for span in collector.spans} == {session.trace_id}

        made = {span.name: span.service for span in collector.spans}
        assert {name for name, service in made.items() if service == "penny-worker"} == {
            *("vad", "stt", "llm", "tts")
        }
        for stage in collector.spans:
            assert session.starts_s <= stage.starts_s <= stage.ends_s, stage
        endpointing, transcription = (
            only(collector, "endpointing"),
            only(collector, "transcription"),
        )
        first_audio, playback = only(collector, "first_audio"), only(collector, "playback")
        generation = only(collector, "generation")
        assert endpointing.starts_s == transcription.starts_s == first_audio.starts_s
        assert generation.starts_s <= first_audio.ends_s == playback.starts_s
        assert turn.starts_s <= endpointing.starts_s < playback.ends_s <= turn.ends_s
        assert generation.attributes["gen_ai.usage.output_tokens"] > 0
        assert only(collector, "llm").attributes["gen_ai.usage.output_tokens"] > 0
        assert turn.attributes["penny.turn.input"] == "speech"

        lines = [json.loads(line) for line in gateway.log.splitlines() if line.startswith("{")]
        told = {line["event"]: line.get("trace_id") for line in lines}
        assert told["session_started"] == told["session_ended"] == session.trace_id
        shown = await read_text(f"{gateway.url}/metrics")
        assert 'penny_spans_total{outcome="failed"} 0.0' in shown
        words = "".join(body.decode("latin-1") for body in collector.bodies)
        for said in ("factura", "vence", "quince", "Eres Penny"):
            assert said not in words


async def test_a_turn_of_the_brain_is_in_the_same_tree_and_no_vendor_is_told(
    tmp_path: Path,
) -> None:
    async with (
        collecting() as (collector, endpoint),
        RealtimeDouble() as speaker,
        AnthropicDouble() as claude,
    ):
        claude.on("turn", None, answer=folio("Consulta sobre pagos"), times=None)
        claude.on("review", None, answer=folio("Consulta sobre pagos"), times=None)
        external = {"portavoz_base_url": speaker.base_url, "cerebro_base_url": claude.base_url}
        sections: Json = {
            "penny": {
                "default_mode": "EXTERNAL",
                "modes": {"SELF_HOSTED": {"enabled": False}, "EXTERNAL": external},
            },
            "kb": {"documents": str(ROOT / "kb/documents"), "index": str(tmp_path / "kb")},
            "tracing": {"enabled": True, "endpoint": endpoint},
        }
        keys = {"OPENAI_API_KEY": "sk-test", "ANTHROPIC_API_KEY": "sk-ant-test"}
        # What the vendor's SDK would do on its own, had it its way.
        keys |= {"ANTHROPIC_OPEN_TELEMETRY_TRACES_CONTENT_MODE": "content"}
        async with (
            gateway_process(tmp_path, 1, environment=keys, **sections) as gateway,
            calling(gateway.url) as caller,
        ):
            await caller.send("session_start")
            await caller.until("session_started")
            upstream = await speaker.connection()
            await caller.send("text_input", text="Cómo se paga esto, por favor")
            await upstream.answer("Por banco.")
            await caller.until("context_update")
            await caller.send("session_end")
            await caller.closed()
            await collector.until(lambda: collector.named("session") and collector.named("folio"))

        session, turn = only(collector, "session"), only(collector, "turn")
        assert turn.parent_id == session.span_id
        assert turn.attributes["penny.turn.input"] == "text"
        assert {"generation", "first_audio", "playback", "brain"} <= collector.children(turn)
        reading = collector.named("brain")[0]
        assert reading.attributes["penny.brain.purpose"] == "turn"
        assert {"search", "chat claude-haiku-5-5"} <= collector.children(reading)
        chat = collector.named("chat claude-haiku-5-5")[0]
        assert chat.kind == CLIENT
        assert chat.attributes["gen_ai.operation.name"] == "chat"
        assert chat.attributes["gen_ai.provider.name"] == "anthropic"
        assert chat.attributes["gen_ai.usage.output_tokens"] == 250
        placed = collector.named("folio")[0]
        assert placed.attributes["penny.folio.section"] in ("facts", "folio")
        assert {span.trace_id for span in collector.spans} == {session.trace_id}
        assert claude.headers
        for sent in [*claude.headers, *speaker.headers]:
            assert "traceparent" not in {name.lower() for name in sent}
        words = "".join(body.decode("latin-1") for body in collector.bodies)
        for said in ("Cómo se paga", "banco", "Consulta sobre pagos", "sk-test", "sk-ant-test"):
            assert said not in words
        assert "chat claude" in words


async def test_a_collector_that_hangs_or_is_gone_holds_no_session_up(tmp_path: Path) -> None:
    async with (
        collecting() as (collector, endpoint),
        worker_process(tmp_path, **{TRACES_TO: endpoint}) as worker,
    ):
        collector.hangs = True
        tracing = {"enabled": True, "endpoint": endpoint, "timeout_s": 0.5, "queue_spans": 64}
        async with gateway_process(
            tmp_path, worker.port, tracing=tracing, gateway={"drain_s": 1.0}
        ) as gateway:
            async with calling(gateway.url) as caller:
                await caller.send("session_start")
                await caller.until("session_started")
                for _ in range(40):
                    await caller.send("text_input", text="hola")
                    await caller.until("response_done")
                await caller.send("session_end")
                assert (await caller.until("session_ended"))["reason"] == "client_ended"
            await gateway.logged("traces_not_exported")
            await collector.until(lambda: collector.attempts >= 3)
            assert gateway.log.count("traces_not_exported") == 1
            assert "opentelemetry" not in gateway.log
            async with asyncio.timeout(60):
                while counted(await read_text(f"{gateway.url}/metrics"), "failed") < 64:
                    await asyncio.sleep(0.1)
            collector.hangs = False
            async with calling(gateway.url) as caller:
                await caller.send("session_start")
                await caller.until("session_started")
            async with asyncio.timeout(60):
                while not counted(await read_text(f"{gateway.url}/metrics"), "exported"):
                    await asyncio.sleep(0.1)
            collector.hangs = True
            async with calling(gateway.url) as caller:
                await caller.send("session_start")
                await caller.until("session_started")
            gateway.signal(signal.SIGTERM)
            assert await gateway.wait() == 0


def counted(metrics: str, outcome: str) -> float:
    wanted = f'penny_spans_total{{outcome="{outcome}"}} '
    return next(float(line[len(wanted) :]) for line in metrics.splitlines() if wanted in line)


HEAVY = ("opentelemetry.sdk.trace", "opentelemetry.exporter", "requests", "google.protobuf")
PROBE = f"""
import asyncio, sys
from config.schema import Config
from penny.gateway.app import Gateway
from runpod_worker.server import Worker
from runpod_worker.settings import WorkerSettings
from tests.doubles.house import make_engines, running_penny
from tests.doubles.caller import calling

async def main():
    async with running_penny() as url, calling(url) as caller:
        await caller.send("session_start")
        await caller.until("session_started")
        await caller.send("text_input", text="hola")
        await caller.until("response_done")

asyncio.run(main())
print([name for name in {HEAVY!r} if name in sys.modules])
"""


def test_a_gateway_and_a_worker_that_do_not_trace_load_nothing_of_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"


async def test_a_collector_outside_the_house_is_refused_while_there_are_private_sessions(
    tmp_path: Path,
) -> None:
    config = tmp_path / "penny.yaml"
    tracing = {"enabled": True, "endpoint": "https://traces.example.com/v1/traces"}
    config.write_text(yaml.safe_dump({"tracing": tracing}))
    arguments = ("-m", "penny", "serve", "--config", str(config), "--port", "0")
    async with running(tmp_path, "gateway", 0, *arguments) as gateway:
        assert await gateway.wait() != 0
    assert "tracing.endpoint" in gateway.log
    assert "privacy.allowed_hosts" in gateway.log
    assert "traces.example.com:443" in gateway.log
