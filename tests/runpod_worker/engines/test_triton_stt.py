"""Triton as a caller of it sees it: a server that lies, dies and comes back."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from aiohttp import web

from penny.errors import EngineError
from runpod_worker.engines.triton_stt import TritonStt
from runpod_worker.settings import TritonSettings
from runpod_worker.stages import SttOptions, Transcript
from runpod_worker.triton.inference import HEAD_LENGTH, Thresholds, read_response, write_request
from tests.doubles.engines import FixedStt
from tests.doubles.house import make_engines, running_worker
from tests.doubles.http import serving


pytestmark = pytest.mark.socket


SECOND = bytes(32_000)
INFER = "POST /v2/models/whisper/infer"


class Local:
    def __init__(self) -> None:
        self.heard = 0

    async def transcribe(self, pcm: bytes, options: SttOptions) -> Transcript:
        self.heard += 1
        return Transcript("de aquí", "es", understood=True)


class Triton:
    """Answers by the binary protocol, as long as ``mood`` is 'well'."""

    def __init__(self) -> None:
        self.mood = "well"
        self.requests: list[tuple[bytes, dict[str, object]]] = []

    async def infer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        head = json.loads(body[: int(request.headers[HEAD_LENGTH])])
        sizes = [one["parameters"]["binary_data_size"] for one in head["inputs"]]
        rest = body[int(request.headers[HEAD_LENGTH]) :]
        self.requests.append((rest[: sizes[0]], json.loads(rest[sizes[0] :])))
        if self.mood == "dead":
            return web.json_response({"error": "Stub process is not healthy"}, status=500)
        if self.mood == "slow":
            await asyncio.Event().wait()
        told = {"text": "de allí", "language": "es", "avg_logprob": -0.2, "words": []}
        data = json.dumps(told).encode()
        output = {
            "name": "TRANSCRIPT",
            "datatype": "UINT8",
            "shape": [len(data)],
            "parameters": {"binary_data_size": len(data)},
        }
        written = json.dumps({"outputs": [output]}).encode()
        return web.Response(body=written + data, headers={HEAD_LENGTH: str(len(written))})


def make(url: str, local: Local, **settings: float) -> TritonStt:
    return TritonStt(TritonSettings(url=url, **settings), FixedStt(), local)  # type: ignore[arg-type]


async def test_an_utterance_goes_to_triton_with_its_options() -> None:
    triton, local = Triton(), Local()
    async with serving({INFER: triton.infer}) as url:
        stt = make(url, local)
        utterance = stt.begin(SttOptions(language="es", prompt="p", hot_words=("factura",)))
        utterance.feed(SECOND)
        transcript = await utterance.finish()
        await stt.aclose()

    assert (transcript.text, transcript.understood) == ("de allí", True)
    assert triton.requests == [
        (
            SECOND,
            {
                "language": "es",
                "prompt": "p",
                "hot_words": ["factura"],
                "temperatures": [0.0],
                "log_prob": -1.0,
                "no_speech": 0.6,
                "compression_ratio": 2.4,
            },
        )
    ]
    assert local.heard == 0


async def test_it_expects_the_kbs_terms_and_trusts_by_the_configured_thresholds() -> None:
    triton, local = Triton(), Local()
    async with serving({INFER: triton.infer}) as url:
        stt = TritonStt(
            TritonSettings(url=url),
            FixedStt(),
            local,
            hot_words=("Penny",),
            thresholds=Thresholds(temperatures=(0.0, 0.4), log_prob=-0.1),
        )
        transcript = await stt.transcribe(SECOND, SttOptions())
        await stt.aclose()

    told = triton.requests[0][1]
    assert (told["hot_words"], told["temperatures"]) == (["Penny"], [0.0, 0.4])
    assert not transcript.understood  # -0.2 is below


async def test_the_same_utterance_is_answered_here_and_two_failures_stop_the_asking() -> None:
    triton, local = Triton(), Local()
    triton.mood = "dead"
    async with serving({INFER: triton.infer}) as url:
        stt = make(url, local, recovery_s=60)
        texts = [(await stt.transcribe(SECOND, SttOptions())).text for _ in range(5)]
        await stt.aclose()

    assert texts == ["de aquí"] * 5
    assert len(triton.requests) == 2
    assert (local.heard, stt.fallbacks, stt.breaker.opened) == (5, 5, 1)


async def test_a_server_that_does_not_answer_costs_its_deadline_and_no_more() -> None:
    triton, local = Triton(), Local()
    triton.mood = "slow"
    async with serving({INFER: triton.infer}) as url:
        stt = make(url, local)
        async with asyncio.timeout(60):
            assert (await stt.transcribe(b"\0\0" * 160, SttOptions())).text == "de aquí"
        await stt.aclose()


async def test_a_canary_beside_a_call_brings_it_back() -> None:
    triton, local = Triton(), Local()
    triton.mood = "dead"
    async with serving({INFER: triton.infer}) as url:
        stt = make(url, local, recovery_s=0.01)
        for _ in range(2):
            await stt.transcribe(SECOND, SttOptions())
        triton.mood = "well"
        async with asyncio.timeout(60):
            while (await stt.transcribe(SECOND, SttOptions())).text != "de allí":
                await asyncio.sleep(0.01)
        await stt.aclose()

    canary = triton.requests[2][0]
    assert len(canary) == 16_000


async def test_when_both_fail_the_turn_knows() -> None:
    class Broken(Local):
        async def transcribe(self, pcm: bytes, options: SttOptions) -> Transcript:
            raise EngineError("no", stage="stt", code="stt_gone")

    stt = make("http://127.0.0.1:9", Broken())
    with pytest.raises(EngineError, match="no"):
        await stt.transcribe(SECOND, SttOptions())
    await stt.aclose()


def test_a_response_is_read_in_its_binary_and_its_plain_form() -> None:
    told = {
        "text": "hola",
        "language": "es",
        "avg_logprob": -2.0,
        "words": [["hola", 0.1, 0.5, 0.9]],
    }
    data = json.dumps(told).encode()
    plain = {"outputs": [{"name": "TRANSCRIPT", "data": list(data)}]}

    transcript = read_response(json.dumps(plain).encode(), None)

    assert not transcript.understood  # its words are less likely than Whisper's threshold
    with pytest.raises(ValueError, match="no TRANSCRIPT"):
        read_response(b'{"outputs": []}', None)


def test_a_request_tells_the_length_of_its_head() -> None:
    body, headers = write_request(b"\1\0\2\0", SttOptions())
    head = json.loads(body[: int(headers[HEAD_LENGTH])])

    assert head["inputs"][0]["shape"] == [2]
    assert body[int(headers[HEAD_LENGTH]) :].startswith(b"\1\0\2\0{")


async def test_the_worker_tells_whether_triton_or_the_local_model_transcribes_now() -> None:
    triton, local = Triton(), Local()
    async with serving({INFER: triton.infer}) as url:
        stt = make(url, local, recovery_s=60)
        engines = make_engines(stt=stt)  # type: ignore[arg-type]
        async with running_worker(engines) as address, aiohttp.ClientSession() as http:
            health = f"http{address.removeprefix('ws').removesuffix('/v1/realtime')}/health"
            async with http.get(health) as answer:
                told = await answer.json()
            assert told == {"status": "healthy", "triton_mode": True, "triton_url": url}
            triton.mood = "dead"
            for _ in range(2):
                await stt.transcribe(SECOND, SttOptions())
            async with http.get(health) as answer:
                assert (await answer.json())["triton_mode"] is False
