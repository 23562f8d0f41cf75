"""Ninety minutes with a model of a small window: the call stays alive and right."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import orjson
import pytest

from penny.ids import new_id
from penny.realtime.commands import Hangup
from penny.realtime.core import RealtimeCore
from penny.realtime.settings import CoreSettings
from runpod_worker.connection import Connection
from runpod_worker.engines.openai_llm import OpenAiLlm
from runpod_worker.engines.registry import Engines
from runpod_worker.settings import OpenAiCompatibleSettings, WorkerSettings
from tests.doubles.chat_server import ChatServer, Kind, words
from tests.doubles.engines import FixedStt, FixedTts
from tests.doubles.http import serving
from tests.doubles.loudness_vad import LoudnessVad


pytestmark = [pytest.mark.virtual_time, pytest.mark.slow]

Json = dict[str, Any]

TURN_S = 30.0
MINUTES = 90
LONG = "y además quería contarle con calma todo lo que me pasó aquel día con el contador de la casa"


def last_words(body: Json) -> str:
    return next(m["content"] for m in reversed(body["messages"]) if m["role"] == "user")


def answer(body: Json) -> list[Json]:
    """What a model that reads its prompt says: the passage's amount, and the name if it has it."""
    prompt = json.dumps(body["messages"], ensure_ascii=False)
    name = "Lucía Ortega" if "Lucía Ortega" in prompt else "desconocida"
    told = last_words(body)
    amount = told.split("tarifa: «", 1)[1].split("»")[0] if "tarifa: «" in told else "sin dato"
    return words(f"{name}, son {amount}. " + "Le explico despacio cómo se calcula. " * 6)


class Client:
    """A gateway in front of a worker's connection, without a socket: it keeps what it was told."""

    def __init__(self, llm: OpenAiLlm, kind: str) -> None:
        self.turn = 0
        self.done: list[Json] = []
        self.heard = asyncio.Event()
        settings = WorkerSettings(session_max_s=MINUTES * 60 + 600)
        core = RealtimeCore(
            CoreSettings(model=kind, session_max_s=settings.session_max_s, penny_events=True),
            new_id,
        )
        self.connection = Connection(
            core,
            Engines(LoudnessVad(), FixedStt(), llm, FixedTts()),
            settings,
            penny_events=True,
            send_event=self._take,
            hang_up=self._hang_up,
        )

    async def _hang_up(self, hangup: Hangup) -> None:
        raise AssertionError(hangup)

    async def _take(self, event: Json) -> None:
        if event["type"] == "penny.house.call":
            passages = [f"- La tarifa: «{self.turn},50 euros»", *[f"- Otra: «{'p' * 700}»"] * 8]
            told = {"call_id": event["call_id"], "notes": "Hoy es lunes.", "passages": passages}
            await self.send({"type": "penny.house.result", **told})
        elif event["type"] == "response.done":
            self.done.append(event["response"])
            self.heard.set()
        elif event["type"] == "error":
            raise AssertionError(event)

    async def send(self, event: Json) -> None:
        await self.connection.receive(orjson.dumps(event).decode())

    async def ask(self, text: str) -> str:
        """One typed turn; the words of the answer."""
        self.turn += 1
        self.heard.clear()
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        await self.send({"type": "conversation.item.create", "item": item})
        await self.send({"type": "response.create"})
        await self.heard.wait()
        assert self.done[-1]["status"] == "completed", self.done[-1]
        return str(self.done[-1]["output"][0]["content"][0]["text"])


@pytest.mark.parametrize("kind", ["vllm", "ollama"])
async def test_a_call_of_ninety_minutes_with_a_window_of_4096_stays_alive_and_right(
    kind: Kind,
) -> None:
    server = ChatServer(answer, kind, window=4096)
    async with serving(server.routes()) as url:
        llm = OpenAiLlm(OpenAiCompatibleSettings(base_url=f"{url}/v1", model="modelo"))
        await llm.calibrate()
        client = Client(llm, kind)
        await client.connection.open(0.0)
        session = {"type": "realtime", "output_modalities": ["text"], "instructions": "Eres Penny."}
        await client.send({"type": "session.update", "session": session})
        await client.send({"type": "penny.house.open", "rules": "Reglas.", "tools": []})
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        await client.ask("hola, me llamo Lucía Ortega y mi contrato es el 48213")
        while loop.time() - started_s < MINUTES * 60:
            text = await client.ask(f"pregunta {client.turn}: {LONG} {LONG} {LONG}, ¿cuánto es?")
            assert text.startswith(f"Lucía Ortega, son {client.turn},50 euros.")
            await asyncio.sleep(TURN_S)
            client.connection.tick(loop.time() - started_s)
        await client.connection.aclose()
        await llm.aclose()

    assert client.turn > 170
    assert server.refused == []
    assert server.most_tokens <= 4096
    assert "48213" in last_words(server.asked[-1])
    beginnings = {body["messages"][1]["content"] for body in server.asked}
    assert len(beginnings) < client.turn * 0.8  # a step holds more than a turn, even here
