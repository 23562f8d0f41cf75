"""`/ws` over real sockets: gateway, worker, Silero; the thinking stages have fixed latency."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from penny.protocol.codec import MAX_TEXT_BYTES
from penny.protocol.registry import SERVER_EVENTS
from tests.doubles.caller import Caller, calling
from tests.doubles.engines import FixedLlm, FixedStt, FixedTts
from tests.doubles.house import make_engines, running_penny
from tests.doubles.speech import silence, speak


pytestmark = pytest.mark.engines

SPECIFIED = {
    "mode": "EXTERNAL",
    "portavoz": {
        "provider": "openai",
        "model": "gpt-4o-realtime",
        "voice": "alloy",
        "language": "es",
        "initial_system_prompt": "Eres un asistente de voz profesional...",
    },
    "cerebro": {
        "provider": "anthropic",
        "model": "claude-sonnet-4-20250514",
        "analysis_depth": "standard",
        "knowledge_base_ref": "kb://empresa/documentos",
        "update_frequency": "every_turn",
    },
    "context": {
        "user_id": "uuid",
        "session_purpose": "atencion_cliente",
        "available_actions": ["consultar_factura", "programar_pago", "transferir_humano"],
    },
}


async def start(caller: Caller, **fields: object) -> dict[str, object]:
    await caller.send("session_start", **fields)
    return await caller.until("session_started")


async def test_modes_are_told_in_the_language_that_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    shown = ("label", "description", "privacy", "reason", "remedy")
    async with running_penny() as url, aiohttp.ClientSession() as http:
        told = {}
        for language in ("", "?language=es", "?language=en"):
            async with http.get(f"{url}/v1/modes{language}") as answer:
                told[language] = [
                    text
                    for mode in (await answer.json())["modes"]
                    for name in shown
                    if (text := mode[name])
                ]
    assert told[""] == told["?language=es"]
    assert len(told["?language=en"]) == len(told["?language=es"]) == 8
    assert not set(told["?language=en"]) & set(told["?language=es"])


async def test_latency_of_a_mode_is_what_this_gateway_measured_of_spoken_turns() -> None:
    async def asked(http: aiohttp.ClientSession, url: str) -> object:
        async with http.get(f"{url}/v1/modes") as answer:
            return (await answer.json())["modes"][0]["latency_ms"]

    async with running_penny() as url, aiohttp.ClientSession() as http, calling(url) as caller:
        assert await asked(http, url) is None
        await start(caller)
        await caller.send("text_input", text="hola")
        await caller.until("turn_metrics")
        assert await asked(http, url) is None
        await caller.speak(silence(300) + speak("¿Cuándo vence mi factura?") + silence(1000))
        metrics = await caller.until("turn_metrics", input="speech")
        ms = metrics["latency_ms"]["first_audio"]
        assert await asked(http, url) == {"p50": ms, "p95": ms, "turns": 1}


async def test_a_spoken_question_is_answered_with_audio_and_words() -> None:
    stt = FixedStt("cuándo vence mi factura")
    async with running_penny(make_engines(stt)) as url, calling(url) as caller:
        started = await start(caller)
        assert started["mode"] == "SELF_HOSTED"
        assert started["audio"]["output"] == {"encoding": "pcm16", "rate_hz": 24000}  # type: ignore[index]
        await caller.speak(silence(300) + speak("¿Cuándo vence mi factura?") + silence(1000))
        final = await caller.until("transcript_final", role="user")
        assert final["text"] == "cuándo vence mi factura"
        assert final["understood"] is True
        metrics = await caller.until("turn_metrics")
        heard = await caller.until("transcript_heard")
    assert heard["complete"] is True
    assert heard["text"].startswith("Su factura vence")
    assert len(caller.audio) / 48 == pytest.approx(heard["heard_ms"], abs=25)
    stages = metrics["latency_ms"]
    order = ["speech_end", "turn_decided", "transcript", "first_token", "first_audio", "done"]
    assert [stages[name] for name in order] == sorted(stages[name] for name in order)
    assert {"speech_started", "speech_stopped", "audio_started", "audio_done"} <= set(
        caller.kinds()
    )
    assert set(caller.kinds()) <= set(SERVER_EVENTS)


async def test_speech_over_the_answer_stops_it_and_cuts_the_history_to_what_was_heard() -> None:
    llm = FixedLlm("Primera frase de la respuesta. " + "Otra frase que nadie escucha. " * 10)
    async with running_penny(make_engines(llm=llm)) as url, calling(url) as caller:
        await start(caller)
        await caller.speak(silence(300) + speak("¿Cuándo vence mi factura?") + silence(800))
        await caller.until("audio_started")
        await asyncio.sleep(1.0)  # a caller listens for a second of real time before cutting in
        await caller.speak(speak("Espera un momento, por favor"))
        cut = await caller.until("interruption")
        await caller.speak(silence(800))
        await caller.until("transcript_final", role="user")
        await caller.until("audio_started")
    assert cut["heard_ms"] > 500
    assert cut["cut_text"].strip()
    history = llm.requests[-1].items
    assistant = [item for item in history if item.get("role") == "assistant"]
    assert len(assistant) == 1
    kept = assistant[0]["content"][0]["transcript"].strip()
    assert kept
    assert len(kept) < len(llm.answer) / 2


async def test_a_typed_question_is_answered_as_if_spoken() -> None:
    async with running_penny() as url, calling(url) as caller:
        await start(caller)
        await caller.send("text_input", text="¿Cuándo vence mi factura?")
        await caller.until("audio_started")
        metrics = await caller.until("turn_metrics")
        await caller.until("transcript_heard")
    assert metrics["input"] == "text"
    assert metrics["latency_ms"]["first_audio"] is not None


@pytest.mark.parametrize("after_s", [0.0, 0.002, 0.01, 0.02, 0.3])
async def test_what_is_typed_while_penny_thinks_replaces_and_is_answered(after_s: float) -> None:
    llm = FixedLlm("Vence el quince.", first_s=0.6)
    async with running_penny(make_engines(llm=llm)) as url, calling(url) as caller:
        await start(caller)
        await caller.send("text_input", text="¿Cuánto debo?")
        await asyncio.sleep(after_s)
        await caller.send("text_input", text="¿Y cuándo vence?")
        heard = await caller.until("transcript_heard", complete=True)
    assert (heard["text"], heard["turn_id"]) == ("Vence el quince.", "turn_2")
    asked = [item["content"][0]["text"] for item in llm.requests[-1].items]
    assert asked == ["¿Cuánto debo?", "¿Y cuándo vence?"]
    assert [e for e in caller.events if e["type"] == "error"] == []


async def test_a_greeting_is_spoken_first() -> None:
    async with running_penny() as url, calling(url) as caller:
        await start(caller, greeting="Hola, soy Penny.")
        heard = await caller.until("transcript_heard")
    assert heard["text"] == "Hola, soy Penny."
    assert heard["turn_id"] == "turn_0"


@pytest.mark.parametrize(("encoding", "rate_hz"), [("pcm16", 16000), ("pcmu", 8000)])
async def test_other_audio_formats_are_agreed_and_kept(encoding: str, rate_hz: int) -> None:
    sample_bytes = 2 if encoding == "pcm16" else 1
    async with running_penny() as url, calling(url) as caller:
        audio = {"input": {"encoding": encoding, "rate_hz": rate_hz}}
        started = await start(caller, audio=audio)
        assert started["audio"]["output"]["rate_hz"] == rate_hz  # type: ignore[index]
        await caller.send("text_input", text="hola")
        done = await caller.until("audio_done")
    assert len(caller.audio) == pytest.approx(
        done["duration_ms"] * rate_hz * sample_bytes / 1000, rel=0.01
    )


async def test_the_button_stops_penny() -> None:
    async with running_penny() as url, calling(url) as caller:
        await start(caller)
        await caller.send("text_input", text="hola")
        await caller.until("audio_started")
        await caller.send("interrupt")
        await caller.until("interruption")
        played = len(caller.audio)
        await caller.send("ping", nonce="after")
        await caller.until("pong", nonce="after")
        assert len(caller.audio) - played <= 960 * 2


async def test_goodbye_tells_the_totals() -> None:
    async with running_penny() as url, calling(url) as caller:
        await start(caller)
        await caller.send("text_input", text="hola")
        await caller.until("transcript_heard")
        await caller.send("session_end")
        ended = await caller.until("session_ended")
        assert await caller.closed() == 1000
    assert ended["reason"] == "client_ended"
    assert ended["totals"]["turns"] == 1
    assert ended["totals"]["audio_out_ms"] > 500


async def test_an_unknown_mode_is_refused_by_name() -> None:
    async with running_penny() as url, calling(url) as caller:
        await caller.send("session_start", mode="FAST")
        error = await caller.until("error")
        assert error["message"] == "mode: 'FAST' is not a mode; available: SELF_HOSTED"
        assert (error["code"], error["field"]) == ("mode_unknown", "mode")
        assert await caller.closed() == 4400


async def test_the_specifications_own_message_is_understood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with running_penny() as url:
        async with calling(url) as caller:
            await caller.send("session_start", **SPECIFIED)
            error = await caller.until("error")
            assert "OPENAI_API_KEY is not set" in error["message"]
            assert await caller.closed() == 4404
        async with calling(url) as caller:
            started = await start(caller, **{**SPECIFIED, "mode": "SELF_HOSTED"})
            assert started["language"] == "es"
            warning = await caller.until("warning")
            assert warning["field"] == "cerebro"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("not json", "invalid_message"),
        ('{"type":"session_star"}', "invalid_message"),
        ('{"type":"ping"}', "session_not_started"),
        ('{"type":"session_start","audio":{"input":{"rate_hz":44100}}}', "invalid_message"),
        ('{"type":"session_start","pad":"' + "x" * MAX_TEXT_BYTES + '"}', "message_too_large"),
    ],
)
async def test_a_bad_first_message_is_named_and_may_be_corrected(text: str, code: str) -> None:
    async with running_penny() as url, calling(url) as caller:
        await caller.socket.send_str(text)
        error = await caller.until("error")
        assert error["code"] == code
        assert (await start(caller))["mode"] == "SELF_HOSTED"


async def test_bad_messages_in_the_middle_lose_nothing() -> None:
    async with running_penny() as url, calling(url) as caller:
        await start(caller)
        await caller.socket.send_str("{")
        assert (await caller.until("error"))["code"] == "invalid_message"
        await caller.socket.send_bytes(b"\x00\x01\x02")
        assert (await caller.until("error"))["code"] == "audio_invalid"
        await caller.send("session_start")
        assert (await caller.until("error"))["code"] == "session_already_started"
        await caller.send("text_input", text="hola", colour="red")
        assert (await caller.until("warning"))["field"] == "colour"
        assert (await caller.until("response_done"))["status"] == "completed"


async def test_a_client_that_never_starts_is_let_go() -> None:
    async with (
        running_penny(gateway={"start_timeout_s": 0.2}) as url,
        calling(url) as caller,
    ):
        assert (await caller.until("error"))["code"] == "session_not_started"
        assert await caller.closed() == 4408


async def test_a_full_gateway_says_when_to_come_back() -> None:
    async with running_penny(gateway={"max_sessions": 1}) as url, calling(url) as first:
        await start(first)
        async with calling(url) as second:
            await second.send("session_start")
            error = await second.until("error")
            assert (error["code"], error["retryable"]) == ("session_refused", True)
            assert error["retry_after_ms"] == 5000
            assert await second.closed() == 4429
        await first.send("text_input", text="hola")
        await first.until("response_done")


async def test_a_lost_worker_that_nobody_replaces_ends_its_sessions_by_name() -> None:
    tts = FixedTts()
    engines = make_engines(tts=tts)
    from tests.doubles.house import running_worker

    async with running_worker(engines) as endpoint:
        sections = {
            "penny": {"modes": {"SELF_HOSTED": {"endpoint": endpoint}}},
            "worker": {"replace_timeout_s": 0.5},
        }
        from config.schema import Config
        from penny.gateway.app import Gateway

        gateway = Gateway(Config.model_validate(sections))
        await gateway.start("127.0.0.1", 0)
        caller_context = calling(f"http://127.0.0.1:{gateway.port}")
        caller = await caller_context.__aenter__()
        await start(caller)
    ended = await caller.until("session_ended")
    assert ended["reason"] == "speaker_lost"
    assert await caller.closed() == 4502
    await caller_context.__aexit__(None, None, None)
    await gateway.stop(drain_s=1.0)


async def test_modes_health_and_metrics_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with running_penny() as url, aiohttp.ClientSession() as http:
        async with http.get(f"{url}/healthz") as health:
            assert (await health.json())["status"] == "ok"
        async with http.get(f"{url}/health") as health:
            assert (await health.json())["status"] == "healthy"
        async with http.get(f"{url}/v1/modes?language=en") as answer:
            modes = {mode["name"]: mode for mode in (await answer.json())["modes"]}
        assert modes["SELF_HOSTED"]["available"] is True
        assert modes["SELF_HOSTED"]["default"] is True
        assert modes["EXTERNAL"]["reason"] == "OPENAI_API_KEY is not set"
        async with calling(url) as caller:
            await start(caller)
            await caller.send("text_input", text="hola")
            await caller.until("turn_metrics")
            async with http.get(f"{url}/metrics") as metrics:
                text = await metrics.text()
        assert 'penny_sessions{mode="SELF_HOSTED"} 1.0' in text
        assert 'penny_turn_stage_seconds_count{stage="first_audio"} 1.0' in text
        async with http.get(f"{url}/web/../app.py") as escape:
            assert escape.status == 404
