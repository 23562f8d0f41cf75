"""Spoiled events of the SDK's own types, through the Realtime edge into both modes.

None may end a session, leave it deaf, or reach a server that it makes fail. A session loses its
worker or upstream now and then, and the next one must take what it is told of the conversation.
``python -m tests.fuzz.test_realtime_door 100000`` plays that many into each mode.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from itertools import count
from random import Random
from types import UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

import orjson
import pytest
from openai.types.realtime import realtime_client_event
from pydantic import BaseModel
from structlog.testing import capture_logs

from config.schema import Config
from config.trust import LimitsSection, TenantSection
from modes.external.mode import ExternalMode
from modes.external.speaker import Capabilities, Step
from modes.self_hosted.conversation import ConversationCopy
from modes.self_hosted.excuse import ExcuseRecorder
from modes.self_hosted.mcp.speaker import McpSpeaker
from modes.self_hosted.mcp.toolbox import Toolbox
from modes.self_hosted.source import Place
from modes.self_hosted.speaker import PrivateSpeaker
from penny.edges.realtime.edge import RealtimeEdge
from penny.errors import SpeakerLost
from penny.realtime import commands as c
from penny.realtime.core import RealtimeCore
from penny.realtime.settings import CoreSettings
from penny.session.mode import SessionSpec
from penny.trust.tenants import Policy
from tests.doubles.vendor_types import REALTIME, refuse


pytestmark = pytest.mark.slow

Json = dict[str, Any]

NOW_S = 1_800_000_000.0
SESSION = {"type": "realtime"}
EVENTS_OF_A_SESSION = 600
EVENTS_OF_A_WORKER = 250
DEEP: Any = []
for _ in range(300):
    DEEP = [DEEP]
STRANGE: list[Any] = [
    *(None, 5, -1, 2.5, 10**15, "x", "", "hola", [], ["a"], {}, {"a": 1}, True, [None], [[]]),
    *({"type": "message"}, {"id": []}, {"type": []}, "\ud800", "ñ" * 600, DEEP),
]
WORDS = ("hola", "item_1", "item_2", "root", "AAAA", "resp_1", "auto", "audio/pcm", "realtime")


# -- events ---------------------------------------------------------------------------------------


def make(kind: Any, random: Random) -> Any:
    """A value of one of the SDK's types."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return make(args[0], random)
    if origin is Literal:
        return random.choice(args)
    if origin in (Union, UnionType):
        return make(random.choice(args), random)
    if origin is list:
        return [make(args[0], random) for _ in range(random.randrange(3))]
    if origin is dict:
        return {random.choice(WORDS): make(args[1], random) for _ in range(random.randrange(3))}
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {
            name: make(field.annotation, random)
            for name, field in kind.model_fields.items()
            if field.is_required() or random.random() < 0.5
        }
    if kind is bool:
        return random.random() < 0.5
    if kind in (int, float):
        return kind(random.choice([0, 1, 20, 200, 24000]))
    return random.choice(WORDS) if kind is str else None


KINDS = get_args(get_args(realtime_client_event.RealtimeClientEvent)[0])


def spoil(value: Any, random: Random) -> Any:
    """The value with something in it missing, or of another kind."""
    if isinstance(value, dict) and value and random.random() < 0.85:
        name = random.choice(list(value))
        if random.random() < 0.2:
            return {key: each for key, each in value.items() if key != name}
        return {**value, name: spoil(value[name], random)}
    if isinstance(value, list) and value and random.random() < 0.7:
        return [spoil(value[0], random), *value[1:]]
    return random.choice(STRANGE)


def make_event(random: Random) -> str:
    event: Any = make(random.choice(KINDS), random)
    for _ in range(random.choice([0, 1, 1, 1, 2, 3])):
        kind = event.get("type") if isinstance(event, dict) else None
        event = spoil(event, random)
        if isinstance(event, dict) and random.random() < 0.9:
            event = {**event, "type": kind}  # else little but that would be refused
    return json.dumps(event)


# -- what answers ---------------------------------------------------------------------------------


class Server:
    """A Realtime server in memory: as a worker takes events, or as the vendor's types do.

    It is a ``RealtimeSpeaker`` to PrivateSpeaker and an ``UpstreamSpeaker`` to an EXTERNAL call.
    """

    is_full = False
    able = Capabilities()

    def __init__(self, house: House, *, is_vendor: bool, wrong: list[str]) -> None:
        self._house = house
        self.is_deaf = False
        """What it is sent gets lost on the way."""
        serial = count(1)
        self._core = RealtimeCore(
            CoreSettings(penny_events=not is_vendor, accept_images=is_vendor),
            lambda prefix: f"{prefix}_{id(self) % 997}_{next(serial)}",
        )
        self._is_vendor = is_vendor
        self._wrong = wrong
        self._said: deque[Json] = deque()
        self._sink: Any = None
        self._is_lost = False
        self._carry_out(self._core.open(NOW_S))
        if not is_vendor:  # a mode configures its worker before any client does
            self._carry_out(self._core.receive({"type": "session.update", "session": SESSION}))
        self._said.clear()
        self.info: Json = {"session": self._core.session, "model": "m", "expires_at": None}

    def start(self, sink: Any) -> None:
        self._sink = sink

    def send(self, event: Json) -> None:
        if self._is_lost:
            raise SpeakerLost("the connection broke")
        if self.is_deaf:
            return
        text = orjson.dumps(event)  # as it would travel
        refusal = refuse(json.loads(text), REALTIME) if self._is_vendor else None
        if refusal is None:
            self._carry_out(self._core.receive(text))
            return
        code, message, param = refusal
        fault: Json = {"type": "invalid_request_error", "code": code, "message": message}
        fault |= {"param": param, "event_id": event.get("event_id")}
        self._said.append({"type": "error", "event_id": "e", "error": fault})

    def configure(self, session: Json, seed: Sequence[Json]) -> None:
        """As a new upstream is told of a call: nothing of it may be refused."""
        self.send({"type": "session.update", "session": {"type": "realtime", **session}})
        for item in seed:
            self.seed(item)
        self.info["session"] = self._core.session
        refused = [event["error"]["message"] for event in self._said if event["type"] == "error"]
        self._wrong += [f"a replacement is refused: {message}" for message in refused]
        self._said.clear()

    def change(self, step: Step) -> None:
        self._said.append({"type": "penny.placed", "step_id": step.id})

    def seed(self, item: Json) -> None:
        self.send({"type": "conversation.item.create", "item": item})

    def unbilled(self) -> tuple[Json, ...]:
        """Nothing: its usage comes with each answer."""
        return ()

    async def drain(self) -> None:
        """There is always room."""

    async def aclose(self) -> None:
        self._is_lost = True

    def pump(self) -> None:
        """Bring what it says to whoever listens."""
        while self._said and self._sink is not None and not self._is_lost:
            self._sink.on_event(json.loads(orjson.dumps(self._said.popleft())))

    def lose(self) -> None:
        self._is_lost = True
        self._sink.on_closed(SpeakerLost("the connection broke"))

    def _carry_out(self, outputs: list[c.Output]) -> None:
        for output in outputs:
            if isinstance(output, c.Send):
                self._said.append(output.event)
            elif isinstance(output, c.Generate):
                self._answer(output.response_id)

    def _answer(self, response_id: str) -> None:
        for report in (
            c.PhraseDelta(response_id, "Buenos días."),
            c.AudioDelta(response_id, bytes(4_800)),
            *([] if self._house.breaks_off else [c.GenerationDone(response_id)]),
        ):
            self._carry_out(self._core.report(report))


class Provider:
    name = "openai"
    default_model = "m"
    able = Capabilities()

    def __init__(self, house: House) -> None:
        self._house = house

    async def open(self, model: str, session: Json, seed: Sequence[Json]) -> Any:
        server = self._house.open_server(is_vendor=True)
        server.configure(session, seed)
        return server

    async def aclose(self) -> None:
        """Nothing is open."""


class House:
    """One session: a client's socket, the edge, and a mode's speaker, as the session joins them."""

    is_full = False
    close_code = 1000

    def __init__(self, wrong: list[str]) -> None:
        self._wrong = wrong
        self._receiver: Any = None
        self._speaker: Any = None
        self.servers: list[Server] = []
        self.told: list[Json] = []
        self.breaks_off = False
        """Whether answers end in the middle, with no end told."""
        self.edge = RealtimeEdge(
            cast(Any, self),
            session_id="sess_1",
            model="m",
            expires_at=0,
            penny_events=True,
            check=Policy("acme", TenantSection(), LimitsSection(), servers=("hola",)).check_event,
        )

    # as the socket
    def start(self, receiver: Any) -> None:
        self._receiver = receiver

    def slow_down(self, rest_s: float = 0.0) -> None:
        """It is never paused."""

    def send_text(self, data: bytes) -> None:
        self.told.append(orjson.loads(data))

    # as the session
    def on_event(self, event: Json) -> None:
        self._speaker.send(event)

    def on_closed(self, error: SpeakerLost | None = None) -> None:
        self._wrong.append(f"the session ended: {error}")

    def open_server(self, *, is_vendor: bool) -> Server:
        self.servers.append(Server(self, is_vendor=is_vendor, wrong=self._wrong))
        return self.servers[-1]

    def begin(self, speaker: Any) -> None:
        self._speaker = speaker
        self.edge.start(self)
        outer = self

        class Sink:
            def on_event(self, event: Json) -> None:
                outer.edge.deliver(event)

            def on_closed(self, error: SpeakerLost | None) -> None:
                outer.on_closed(error)

        speaker.start(Sink())

    def receive(self, text: str) -> None:
        self._receiver.on_message(text)
        self.servers[-1].pump()

    def receive_event(self, event: Json) -> None:
        self.receive(json.dumps(event))

    async def settle(self) -> None:
        for _ in range(8):
            await asyncio.sleep(0)

    async def replace(self) -> None:
        """Lose the worker or the upstream; another one goes on."""
        self.lose()
        await self.recover()

    def lose(self) -> None:
        self._before = len(self.servers)
        self.servers[-1].lose()

    async def recover(self) -> None:
        while len(self.servers) == self._before:
            await asyncio.sleep(0.01)
        await self.settle()
        self.servers[-1].pump()

    def probe(self) -> None:
        """Whether it still hears, with the session as it is by now."""
        self.told.clear()
        self.receive(json.dumps({"type": "session.update", "session": {"type": "realtime"}}))
        if "session.updated" not in [event["type"] for event in self.told]:
            self._wrong.append(f"deaf: {[event['type'] for event in self.told]}")


class Tools:
    """An MCP server in memory, at the address that events are made with."""

    async def list_tools(self) -> list[Json]:
        return [{"name": "x", "description": "", "inputSchema": {}}]

    async def call(self, name: str, arguments: Json) -> str:
        return name

    async def aclose(self) -> None:
        """It keeps no session."""


async def open_private(house: House) -> Any:
    async def reopen(copy: ConversationCopy) -> Any:
        server = house.open_server(is_vendor=False)
        server.configure(copy.session, ())
        return server, Place(cast(Any, None))

    speaker = PrivateSpeaker(
        cast(Any, house.open_server(is_vendor=False)),
        Place(cast(Any, None)),
        cast(Any, reopen),
        session_id="s",
        excuse=ExcuseRecorder({}, ("es", ""), "x"),
    )
    tooled = McpSpeaker(speaker, Toolbox(lambda _: cast(Any, Tools()), ("hola",)))
    house.begin(tooled)
    return tooled


async def open_external(house: House) -> Any:
    config = Config.model_validate({"brain": {"enabled": False}})
    mode = ExternalMode(config, providers={"openai": cast(Any, Provider(house))})
    call = await mode.open(SessionSpec("s", "es", instructions="Eres Penny."))
    house.begin(call)
    return call


MODES = {"SELF_HOSTED": open_private, "EXTERNAL": open_external}


async def play(mode: str, events: int, seed: int = 1) -> tuple[Counter[str], list[str]]:
    """(events told to the client by type, what went wrong)."""
    random, wrong, told = Random(seed), list[str](), Counter[str]()
    played = 0
    while played < events:
        house = House(wrong)
        speaker = await MODES[mode](house)
        for number in range(min(EVENTS_OF_A_SESSION, events - played)):
            text = make_event(random)
            try:
                house.receive(text)
            except Exception as fault:
                wrong.append(f"{type(fault).__name__}: {fault} at {text[:400]}")
            if number % EVENTS_OF_A_WORKER == EVENTS_OF_A_WORKER - 1:
                told.update(event["type"] for event in house.told)
                await house.replace()
                house.probe()
            played += 1
        told.update(event["type"] for event in house.told)
        house.probe()
        await speaker.aclose()
    return told, wrong


async def play_listening(mode: str, events: int) -> tuple[Counter[str], list[str]]:
    """As ``play``; what the log calls a fault is one."""
    with capture_logs() as logs:
        told, wrong = await play(mode, events)
    faults = [line for line in logs if line["log_level"] in ("error", "critical")]
    faults += [line for line in logs if line["event"] == "event_not_understood"]
    return told, wrong + [str(line) for line in faults]


@pytest.mark.parametrize("mode", MODES)
async def test_no_spoiled_event_ends_a_session_or_leaves_it_deaf(mode: str) -> None:
    told, wrong = await play_listening(mode, 3_000)
    assert not wrong, wrong[:5]
    assert told["error"] > 1_000
    for kind in ("session.updated", "conversation.item.added", "response.done"):
        assert told[kind] > 5, (kind, told)


if __name__ == "__main__":
    for name in MODES:
        began_s = time.monotonic()
        counted, faults = asyncio.run(play_listening(name, int(sys.argv[1])))
        print(f"{name}: {len(faults)} faults, {time.monotonic() - began_s:.0f} s, {counted}")
        print(*faults[:20], sep="\n")
