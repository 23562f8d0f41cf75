"""A worker over a real socket: Silero listens and eSpeak speaks, the rest has fixed latency."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from penny.errors import EngineError
from penny.ids import new_id
from penny.realtime.commands import Hangup
from penny.realtime.core import RealtimeCore
from penny.realtime.settings import CoreSettings
from runpod_worker.connection import Connection
from runpod_worker.engines.registry import Engines
from runpod_worker.engines.silero import SileroVad
from runpod_worker.server import Worker
from runpod_worker.settings import WorkerSettings
from runpod_worker.spoken_settings import SpokenSettings
from runpod_worker.stages import LlmToolCall, SttOptions, Transcript
from tests.doubles.engines import FixedLlm, FixedStt, FixedTts, FixedUtterance
from tests.doubles.realtime_client import RealtimeClient
from tests.doubles.speech import silence, speak


pytestmark = pytest.mark.engines

Json = dict[str, Any]


@asynccontextmanager
async def connected(
    engines: Engines,
    settings: WorkerSettings | None = None,
    query: str = "?penny_events=1",
    *,
    prepared: bool = False,
) -> AsyncIterator[RealtimeClient]:
    worker = Worker(settings or WorkerSettings(), engines)
    if prepared:
        await worker.prepare()
    runner = web.AppRunner(worker.app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    try:
        async with aiohttp.ClientSession() as http:
            url = f"ws://127.0.0.1:{port}/v1/realtime{query}"
            async with http.ws_connect(url, max_msg_size=0) as socket:
                yield RealtimeClient(socket)
    finally:
        await runner.cleanup()
        await engines.vad.aclose()


def make_engines(
    stt: FixedStt | None = None, llm: FixedLlm | None = None, tts: FixedTts | None = None
) -> Engines:
    return Engines(SileroVad(), stt or FixedStt(), llm or FixedLlm(), tts or FixedTts())


TRANSCRIBE = {"type": "realtime", "audio": {"input": {"transcription": {"model": "penny"}}}}


async def test_a_spoken_question_is_answered_in_the_order_of_the_protocol() -> None:
    stt = FixedStt("cuándo vence mi factura")
    async with connected(make_engines(stt), query="") as client:
        await client.until("session.created")
        await client.send("session.update", session=TRANSCRIBE)
        await client.stream(silence(300) + speak("¿Cuándo vence mi factura?") + silence(1500))
        done = await client.until("response.done")
    assert done["response"]["status"] == "completed"
    seen = [k for k in client.kinds() if "delta" not in k and k != "rate_limits.updated"]
    transcript = "conversation.item.input_audio_transcription.completed"
    seen.remove(transcript)  # at any time after the commit
    assert seen == [
        "session.created",
        "session.updated",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    assert not [k for k in client.kinds() if k.startswith("penny.")]
    assert stt.heard_ms[0] > 1000


async def test_speech_starts_before_the_answer_is_generated_whole() -> None:
    llm = FixedLlm("Una frase. " + "y otra cosa más " * 20, gap_s=0.02)
    async with connected(make_engines(llm=llm)) as client:
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        assert "response.output_audio_transcript.done" not in client.kinds()
        await client.until("response.done")


async def test_speech_over_the_answer_cancels_llm_and_tts_at_once() -> None:
    llm = FixedLlm("palabra " * 400, gap_s=0.02)
    tts = FixedTts()
    async with connected(make_engines(llm=llm, tts=tts)) as client:
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.stream(silence(100) + speak("Espera un momento, por favor") + silence(100))
        done = await client.until("response.done")
        assert done["response"]["status"] == "cancelled"
        assert done["response"]["status_details"]["reason"] == "turn_detected"
        assert llm.aborted == 1
        before = [phrase for phrase in tts.phrases if "palabra" in phrase]
        await client.stream(silence(200))
        await client.send("input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")
        assert [phrase for phrase in tts.phrases if "palabra" in phrase] == before


async def test_a_short_burst_over_the_answer_does_not_interrupt() -> None:
    llm = FixedLlm("palabra " * 60, gap_s=0.02)
    burst = speak("ah")[: 48 * 220]
    async with connected(make_engines(llm=llm)) as client:
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.stream(silence(100) + burst + silence(800))
        done = await client.until("response.done")
    assert done["response"]["status"] == "completed"
    assert "input_audio_buffer.speech_started" not in client.kinds()


async def test_a_manual_commit_hears_everything_that_was_appended_before_it() -> None:
    stt = FixedStt("uno dos tres")
    async with connected(make_engines(stt)) as client:
        manual = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
        await client.send("session.update", session=manual)
        await client.stream(speak("uno dos tres"))
        expected_ms = len(speak("uno dos tres")) // 48
        await client.send("input_audio_buffer.commit")
        await client.send("response.create")
        await client.until("response.done")
    assert stt.heard_ms == [pytest.approx(expected_ms, abs=25)]


@pytest.mark.parametrize("piece_ms", [20, 500, 60_000])
async def test_a_sentence_is_heard_whole_in_pieces_of_any_size(piece_ms: int) -> None:
    stt = FixedStt("cuándo vence")
    question = speak("¿Cuándo vence mi factura de enero?")
    audio = silence(1000) + question + silence(1500)
    async with connected(make_engines(stt)) as client:
        for start in range(0, len(audio), piece_ms * 48):
            piece = base64.b64encode(audio[start : start + piece_ms * 48]).decode()
            await client.send("input_audio_buffer.append", audio=piece)
        await client.until("response.done")
    started = next(e for e in client.events if e["type"] == "input_audio_buffer.speech_started")
    assert started["audio_start_ms"] == pytest.approx(1000 - 300, abs=150)
    assert stt.heard_ms == [pytest.approx(300 + len(question) // 48 + 500, abs=400)]


async def test_a_sentence_that_is_not_understood_is_asked_for_again_once() -> None:
    llm, stt = FixedLlm(), FixedStt(default="")
    stt.info = replace(stt.info, closed_set=("es",))
    sentence = silence(300) + speak("Bla bla bla bla, bla bla bla bla bla.") + silence(1500)
    async with connected(make_engines(stt, llm)) as client:
        await client.stream(sentence)
        first = await client.until("response.done")
        await client.stream(silence(6000) + sentence)
        second = await client.until("response.done")
    said = first["response"]["output"][0]["content"][0]["transcript"]
    assert said == "Perdone, no le he entendido. ¿Puede repetirlo?"
    assert second["response"]["output"] == []
    assert llm.requests == []


async def test_a_sound_without_words_is_not_excused() -> None:
    llm = FixedLlm()
    async with connected(make_engines(FixedStt(default=""), llm)) as client:
        await client.stream(silence(300) + speak("¡Ay!") + silence(1500))
        done = await client.until("response.done")
    assert (done["response"]["status"], done["response"]["output"]) == ("completed", [])


async def test_ears_that_fail_are_apologised_for_with_their_own_code_and_ask_no_model() -> None:
    llm, stt = FixedLlm(), FixedStt()
    stt.begin = lambda _options: _Deaf(stt)  # type: ignore[method-assign]
    async with connected(make_engines(stt, llm)) as client:
        for _ in range(2):
            await client.stream(silence(300) + speak("Una pregunta, por favor.") + silence(1500))
            done = await client.until("response.done")
            assert done["response"]["status_details"]["error"]["code"] == "stt_failed"
            [apology] = done["response"]["output"]
            assert apology["content"][0]["transcript"] == WorkerSettings().spoken.apology["es"]
            await client.stream(silence(6000))
    assert llm.requests == []


class _Deaf(FixedUtterance):
    """An utterance whose recogniser is broken."""

    async def finish(self) -> Transcript:
        raise EngineError("out of memory", stage="stt", code="stt_failed")


async def test_a_function_call_reaches_the_client_and_its_output_the_model() -> None:
    call = LlmToolCall("call_1", "consultar_factura", '{"id":"F-2024-1234"}', done=True)
    llm = FixedLlm(call=call)
    tool = {
        "type": "function",
        "name": "consultar_factura",
        "parameters": {"type": "object", "properties": {"id": {"type": "string"}}},
    }
    async with connected(make_engines(llm=llm)) as client:
        await client.send("session.update", session={"type": "realtime", "tools": [tool]})
        await client.send("response.create")
        done = await client.until("response.function_call_arguments.done")
        assert (done["name"], done["arguments"]) == ("consultar_factura", '{"id":"F-2024-1234"}')
        await client.until("response.done")
        llm.call = None
        output = {"type": "function_call_output", "call_id": "call_1", "output": "pendiente"}
        await client.send("conversation.item.create", item=output)
        await client.send("response.create")
        await client.until("response.done")
    assert [item["type"] for item in llm.requests[-1].items] == [
        "function_call",
        "function_call_output",
    ]


async def test_a_stage_that_says_nothing_fails_its_turn_and_not_the_session() -> None:
    llm = FixedLlm(first_s=30)
    settings = WorkerSettings.model_validate({"deadlines": {"llm_first_token_ms": 500}})
    async with connected(make_engines(llm=llm), settings) as client:
        await client.send("response.create")
        done = await client.until("response.done")
        assert done["response"]["status"] == "failed"
        assert done["response"]["status_details"]["error"]["code"] == "llm_timeout"
        [apology] = done["response"]["output"]
        assert apology["content"][0]["transcript"] == WorkerSettings().spoken.apology["es"]
        llm.first_s = 0
        await client.send("response.create")
        again = await client.until("response.done")
    assert again["response"]["status"] == "completed"
    context = [item["content"][0]["transcript"] for item in llm.requests[-1].items]
    assert context == [WorkerSettings().spoken.apology["es"]]


async def test_the_apology_is_said_once_a_turn() -> None:
    llm = FixedLlm("")
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "¿Y?"}]}
    said = []
    async with connected(make_engines(llm=llm)) as client:
        for asks_anew in (True, False, True):
            if asks_anew:
                await client.send("conversation.item.create", item=item)
            await client.send("response.create")
            done = await client.until("response.done")
            assert done["response"]["status_details"]["error"]["code"] == "llm_empty"
            said.append(len(done["response"]["output"]))
    assert said == [1, 0, 1]


async def test_a_client_that_leaves_in_the_middle_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    async with connected(make_engines(llm=FixedLlm("palabra " * 400, gap_s=0.05))) as client:
        await client.send("response.create")
        await client.until("response.output_audio.delta")
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("count", [6])
async def test_sessions_side_by_side_do_not_mix(count: int) -> None:
    llm = FixedLlm("hola a todos")
    engines = make_engines(FixedStt(default="qué tal"), llm)
    worker = Worker(WorkerSettings(), engines)
    runner = web.AppRunner(worker.app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"ws://127.0.0.1:{runner.addresses[0][1]}/v1/realtime"
    question = silence(300) + speak("¿Qué tal está usted hoy?") + silence(1200)

    async def call(http: aiohttp.ClientSession) -> Json:
        async with http.ws_connect(url, max_msg_size=0) as socket:
            client = RealtimeClient(socket)
            await client.stream(question)
            return await client.until("response.done")

    async with aiohttp.ClientSession() as http:
        answers = await asyncio.gather(*(call(http) for _ in range(count)))
    await runner.cleanup()
    await engines.vad.aclose()
    assert [answer["response"]["status"] for answer in answers] == ["completed"] * count
    assert len({answer["response"]["id"] for answer in answers}) == count


async def test_a_caller_who_says_nothing_is_spoken_to_and_never_asked_to_repeat() -> None:
    stt, llm = FixedStt(default=""), FixedLlm("¿Sigue usted ahí?")
    detection = {"type": "server_vad", "idle_timeout_ms": 5000}
    heard = {"turn_detection": detection, "transcription": {"model": "penny"}}
    async with connected(make_engines(stt, llm)) as client:
        await client.send("session.update", session={"type": "realtime", "audio": {"input": heard}})
        await client.send("response.create")
        await client.until("response.done")
        await client.stream(silence(12_000))
        await client.until("input_audio_buffer.timeout_triggered")
        transcript = await client.until("conversation.item.input_audio_transcription.completed")
        await client.until("response.created")
        done = await client.until("response.done")
    assert transcript["transcript"] == ""
    [said] = done["response"]["output"]
    assert said["content"][0]["transcript"].strip() == "¿Sigue usted ahí?"
    assert stt.heard_ms == []


async def test_sentences_made_before_the_first_call_are_not_made_again_in_it() -> None:
    tts, spoken = FixedTts(), WorkerSettings().spoken
    async with connected(make_engines(tts=tts), prepared=True) as client:
        made = [*spoken.fillers["es"], spoken.apology["es"]]
        assert tts.phrases == [*made, *spoken.fillers["en"], spoken.apology["en"]]
        await client.until("session.created")
        await client.stream(silence(300) + speak("¿Cuándo vence mi factura?") + silence(1500))
        await client.until("response.done")

    assert not set(tts.phrases[len(made) * 2 :]) & set(made)


async def test_a_slow_answer_to_a_spoken_question_begins_with_a_filler() -> None:
    spoken = SpokenSettings(filler_after_ms=600, fillers={"es": ("A ver…",)})
    engines = make_engines(FixedStt("cuándo vence"), llm=FixedLlm("El día quince.", first_s=1.0))
    async with connected(engines, WorkerSettings(spoken=spoken)) as client:
        await client.send("session.update", session=TRANSCRIBE)
        await client.stream(silence(300) + speak("cuándo vence mi factura") + silence(900))
        await client.until("response.done")

    told = "response.output_audio_transcript.delta"
    words = [event["delta"] for event in client.events if event["type"] == told]
    assert words == ["A ver… ", "El día quince."]


async def test_what_is_generated_beside_the_conversation_has_no_filler() -> None:
    heard, told = asyncio.Event(), "response.output_audio_transcript.delta"

    class SlowUtterance(FixedUtterance):
        async def finish(self) -> Transcript:
            await heard.wait()
            return await super().finish()

    class SlowStt(FixedStt):
        def begin(self, options: SttOptions) -> FixedUtterance:
            return SlowUtterance(self)

    spoken = SpokenSettings(filler_after_ms=600, fillers={"es": ("A ver…",)})
    engines = make_engines(SlowStt("cuándo vence"), FixedLlm("El día quince."))
    detection = {"type": "server_vad", "create_response": False}
    session = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
    async with connected(engines, WorkerSettings(spoken=spoken)) as client:
        await client.send("session.update", session=session)
        await client.stream(silence(300) + speak("cuándo vence mi factura") + silence(900))
        await client.until("input_audio_buffer.committed")
        await client.send("response.create", response={"conversation": "none"})
        beside = (await client.until("response.created"))["response"]["id"]
        await client.send("response.create")
        await client.until(told)
        heard.set()
        await client.until("response.done")
        await client.until("response.done")

    words = [(e["response_id"] == beside, e["delta"]) for e in client.events if e["type"] == told]
    assert sorted(words) == [
        (False, "A ver… "),
        (False, "El día quince."),
        (True, "El día quince."),
    ]


@pytest.mark.parametrize("broken", ["writer", "ears"])
async def test_a_connection_that_cannot_speak_or_hear_any_more_ends(broken: str) -> None:
    class DeafVad(SileroVad):
        def open(self) -> Any:
            class Stream:
                def reset(self) -> None: ...

                async def feed(self, pcm: bytes) -> Any:
                    raise LookupError

            return Stream()

    async def send_event(event: Json) -> None:
        if broken == "writer":
            raise TypeError("cannot be written")

    hung_up: asyncio.Queue[Hangup] = asyncio.Queue()
    vad = DeafVad()
    connection = Connection(
        RealtimeCore(CoreSettings(), new_id),
        Engines(vad, FixedStt(), FixedLlm(), FixedTts()),
        WorkerSettings(),
        penny_events=True,
        send_event=send_event,
        hang_up=hung_up.put,
    )
    await connection.open(0.0)
    audio = base64.b64encode(bytes(48 * 500)).decode()
    await connection.receive(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
    assert (await hung_up.get()).code == 1011
    await connection.aclose()
    await vad.aclose()
