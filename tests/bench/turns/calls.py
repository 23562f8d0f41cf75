"""One call on virtual time: a worker with fixed engines, a line, and what both sides heard.

The caller is a script of sound; the worker's connection, the `/ws` edge's translator and player
(or a Realtime client's own playback) are Penny's own, the voice detector is real. The clock is a
loop's that jumps, so a minute of call takes a second or two.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from penny.audio.format import PCM24K
from penny.edges.player import Frame, Player
from penny.edges.socket.translate import Translator
from penny.ids import new_id
from penny.protocol.conversation import Interruption
from penny.realtime.commands import Hangup
from penny.realtime.core import RealtimeCore
from penny.realtime.settings import CoreSettings
from runpod_worker.connection import Connection
from runpod_worker.engines.registry import Engines
from runpod_worker.engines.silero import SileroVad
from runpod_worker.settings import WorkerSettings
from runpod_worker.stages import EngineInfo, SttOptions, Transcript, TurnDetector, Voice
from tests.bench.pipeline import parts
from tests.bench.turns.faults import break_stage
from tests.bench.turns.sounds import RATE_HZ, TICK, TICK_MS, Said, Samples, silence
from tests.doubles.engines import FixedLlm
from tests.doubles.speech import speak


Json = dict[str, Any]
Door = Literal["ws", "realtime"]
HEARD_DBFS = -50.0
"""A word quieter than this in what the recogniser got is not recognised."""


@dataclass(frozen=True)
class Word:
    """Something said on the line that a recogniser could write."""

    begin_s: float
    end_s: float
    text: str


@dataclass
class Script:
    """What a caller does: sounds placed on the line, and the words in them."""

    seconds: float
    door: Door = "ws"
    answer: str = parts.ANSWER
    room: Samples | None = None
    echo_delay_ms: int = 0
    fault: str = ""
    words: list[Word] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.line: Samples = silence(self.seconds)

    def say(self, at_s: float, said: Said | Samples, text: str | None = None) -> float:
        """Place a sound; the moment it ends."""
        samples = said.samples if isinstance(said, Said) else said
        words = said.text if isinstance(said, Said) and text is None else text or ""
        at = round(at_s * RATE_HZ)
        self.line[at : at + len(samples)] += samples[: len(self.line) - at]
        end_s = at_s + len(samples) / RATE_HZ
        if words:
            self.words.append(Word(at_s, end_s, words))
        return end_s


@dataclass
class Heard:
    """What a call sounded like: of every tick, whether the agent sounded, and when it was told
    what. ``created``: responses begun, ``said``: their texts."""

    agent: list[bool] = field(default_factory=list)
    events: list[tuple[float, Json]] = field(default_factory=list)

    def times(self, kind: str) -> list[float]:
        return [at for at, event in self.events if event["type"] == kind]


class _Utterance:
    """The words of the script that lie in what was fed, once 0.3 s have passed without sound."""

    def __init__(self, script: Script) -> None:
        self._loop = asyncio.get_running_loop()
        self._words = script.words
        self._fed = bytearray()
        self._fed_at_s = 0.0
        self._loud_s: float | None = None

    def feed(self, pcm: bytes) -> None:
        self._fed += pcm
        self._fed_at_s = self._loop.time()
        tail = np.frombuffer(pcm[-640:], "<i2").astype(np.float64)
        if len(tail) and (tail**2).mean() > (32768 * parts.LOUD / 3) ** 2:
            self._loud_s = self._fed_at_s

    def pause(self) -> None:
        return None

    def resume(self) -> None:
        return None

    def _text(self) -> str:
        """As Whisper writes it: a full stop behind anything."""
        begin_s = self._fed_at_s - len(self._fed) / 32_000
        heard = [
            word.text
            for word in self._words
            if begin_s - 0.05 <= word.end_s - 0.1 <= self._fed_at_s and self._is_loud(word, begin_s)
        ]
        return " ".join(heard)

    def _is_loud(self, word: Word, begin_s: float) -> bool:
        at = max(0, round((word.begin_s - begin_s) * 16_000))
        samples = np.frombuffer(bytes(self._fed), "<i2").astype(np.float64)
        samples = samples[at : max(at, round((word.end_s - begin_s) * 16_000))]
        if not len(samples):
            return False
        return bool(10 * np.log10((samples**2).mean() / 32768**2 + 1e-12) >= HEARD_DBFS)

    def partial(self) -> str:
        if self._loud_s is None or self._loop.time() < self._loud_s + parts.STT_S:
            return ""
        return self._text()

    async def finish(self) -> Transcript:
        if self._loud_s is not None:
            await asyncio.sleep(max(0.0, self._loud_s + parts.STT_S - self._loop.time()))
        text = self._text()
        return Transcript(text, "es", understood=bool(text))

    def cancel(self) -> None:
        return None


class _Stt:
    def __init__(self, script: Script) -> None:
        self.info = EngineInfo("scripted-stt", ("es", "en"))
        self._script = script

    def begin(self, options: SttOptions) -> _Utterance:
        return _Utterance(self._script)

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    async def aclose(self) -> None:
        return None


class _Tts:
    """A voice with the pipeline bench's fixed latency; it speaks, so its echo is speech."""

    def __init__(self) -> None:
        self.info = EngineInfo("fixed-voice", ("es", "en"))

    def voices(self) -> Sequence[str]:
        return ("marin",)

    async def synthesize(self, phrase: str, voice: Voice) -> AsyncIterator[bytes]:
        await asyncio.sleep(parts.TTS_FIRST_S)
        pcm = speak(phrase)
        for at in range(0, len(pcm), 9600):
            yield pcm[at : at + 9600]

    async def aclose(self) -> None:
        return None


class _Ear:
    """What reaches the caller's ear, tick by tick, through one of the two doors."""

    def __init__(self, door: Door, connection: Connection) -> None:
        self._loop = asyncio.get_running_loop()
        self._door = door
        self._connection = connection
        self.heard = Heard()
        self._player = Player(PCM24K, lead_ms=120, limit_ms=300_000)
        self._view = Translator(self._player)
        self._queue: deque[bytes] = deque()
        self._rest = b""
        self._item: tuple[str, float] = ("", 0.0)
        self._orders: list[Json] = []

    async def take(self, event: Json) -> None:
        now_s = self._loop.time()
        if event["type"] != "response.output_audio.delta":
            self.heard.events.append((now_s, event))
        if self._door == "realtime":
            self._take_as_client(event)
            return
        effects = self._view.speaker_event(event, now_s)
        if any(isinstance(told, Interruption) for told in effects.to_caller):
            self._queue.clear()
        self._orders += effects.to_speaker

    def _take_as_client(self, event: Json) -> None:
        """As OpenAI's own clients play: at once, and silent from ``speech_started`` on."""
        if event["type"] == "response.output_audio.delta":
            if event["item_id"] != self._item[0]:
                self._item = (event["item_id"], 0.0)
            self._rest += b64decode(event["delta"])
            while len(self._rest) >= TICK * 2:
                self._queue.append(self._rest[: TICK * 2])
                self._rest = self._rest[TICK * 2 :]
        elif event["type"] == "input_audio_buffer.speech_started" and self._queue:
            self._queue.clear()
            self._rest = b""
            item_id, played_ms = self._item
            self._orders.append(
                {
                    "type": "conversation.item.truncate",
                    "item_id": item_id,
                    "content_index": 0,
                    "audio_end_ms": int(played_ms),
                }
            )

    async def tick(self) -> Samples:
        """20 ms of what the caller hears."""
        if self._door == "ws":
            for due in self._player.due(self._loop.time()):
                if isinstance(due, Frame):
                    self._queue.append(due.data)
                else:
                    self._view.played(due)
        orders, self._orders = self._orders, []
        for order in orders:
            await self._connection.receive(json.dumps(order))
        pcm = self._queue.popleft() if self._queue else b""
        if pcm and self._door == "realtime":
            self._item = (self._item[0], self._item[1] + TICK_MS)
        frame = np.zeros(TICK)
        samples = np.frombuffer(pcm, "<i2")
        frame[: len(samples)] = samples
        self.heard.agent.append(bool(samples.size))
        return frame


async def run(
    script: Script, turn: TurnDetector | None = None, settings: WorkerSettings | None = None
) -> Heard:
    """The call from its beginning to its end."""
    settings = settings or WorkerSettings.model_validate({"log_level": "warning"})
    llm = FixedLlm(script.answer, first_s=parts.LLM_FIRST_S, gap_s=parts.LLM_GAP_S)
    engines = Engines(SileroVad(gather_ms=0), _Stt(script), llm, _Tts(), turn)
    engines = break_stage(engines, script.fault)
    core = RealtimeCore(CoreSettings(penny_events=script.door == "ws"), new_id)
    box: list[_Ear] = []

    async def send(event: Json) -> None:
        await box[0].take(event)

    async def hang_up(_hangup: Hangup) -> None:
        return None

    connection = Connection(
        core,
        engines,
        settings,
        penny_events=script.door == "ws",
        send_event=send,
        hang_up=hang_up,
    )
    ear = _Ear(script.door, connection)
    box.append(ear)
    await connection.open(0.0)
    detection = {"type": "semantic_vad", "eagerness": "auto"}
    audio = {"input": {"turn_detection": detection, "transcription": {"model": "penny"}}}
    session = {"type": "realtime", "audio": audio, "penny_holds_playback": script.door == "ws"}
    await connection.receive(json.dumps({"type": "session.update", "session": session}))
    await _talk(script, ear, connection)
    await connection.aclose()
    await engines.aclose()
    return ear.heard


async def _talk(script: Script, ear: _Ear, connection: Connection) -> None:
    loop = asyncio.get_running_loop()
    noise = np.random.default_rng(7)
    back = np.zeros(len(script.line) + RATE_HZ)
    for index in range(len(script.line) // TICK):
        await asyncio.sleep(max(0.0, (index + 1) * TICK_MS / 1000 - loop.time()))
        said = await ear.tick()
        at = index * TICK
        if script.room is not None and said.any():
            returned = np.convolve(said, script.room)
            begin = at + script.echo_delay_ms * RATE_HZ // 1000
            end = min(begin + len(returned), len(back))
            back[begin:end] += returned[: end - begin]
        line = script.line[at : at + TICK] + back[at : at + TICK] + noise.integers(-8, 9, TICK)
        pcm = np.clip(line, -32768, 32767).astype("<i2").tobytes()
        audio = b64encode(pcm).decode("ascii")
        await connection.receive(f'{{"type":"input_audio_buffer.append","audio":"{audio}"}}')
