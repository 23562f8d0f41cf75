"""WebRTC beside the socket on a network that loses and delays: ``python -m tests.bench.webrtc``.

Both at the same time, each between two namespaces of its own (root on Linux), with people's
recordings and fixed engines. Turn latency is from the last sample spoken to the first loud sample
heard: decoded by the caller's jitter buffer, or for the socket the arrival of the first audio (its
playback buffer would come on top). Words are what Whisper base makes of what Penny's ears got,
against what it makes of the recording itself; without the weights of profile ``natural`` that
column is left out. Underruns: ms of concealment the caller's engine counted while Penny spoke; for
the socket ms in which nothing was there to play.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
import wave
from base64 import b64decode, b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import aiohttp
import numpy as np

from penny.audio.resample import Resampler
from tests.bench.lossy_network import LossyNetwork, loopback, lossy_network


Json = dict[str, Any]

Cell = tuple[float, int] | None
"""(packet loss, jitter in ms); None: on loopback, without a network between."""
CELLS: tuple[Cell, ...] = (
    None,
    *((loss, jitter_ms) for loss in (0.0, 0.02, 0.05, 0.10) for jitter_ms in (0, 40, 80)),
)
BY = ("socket", "webrtc")
TABLE = Path("penny/edges/webrtc/README.md")
TABLE_BEGINS = "<!-- written by `make bench-webrtc` -->\n"
HEAD = (
    "| loss, jitter | by | turns | p50 ms | p95 ms | word error | gaps ms a turn | lost |\n"
    "|---|---|---|---|---|---|---|---|"
)
PIECE_MS = 20
RATE_HZ = 24_000
TAIL_S = 3.0
WHISPER = Path("var/models/natural/whisper-base")


@dataclass
class Heard:
    """What one call measured."""

    turn_ms: list[float] = field(default_factory=list)
    gap_ms: float = 0.0


# -- the caller's side, a process of its own inside the other namespace -------------------------


def read_speech(path: Path) -> bytes:
    """A recording as PCM16 at 24,000 Hz."""
    with wave.open(str(path), "rb") as file:
        resampler = Resampler(file.getframerate(), RATE_HZ)
        return resampler.process(file.readframes(file.getnframes()))


async def call_by_webrtc(base: str, key: str, pcm: bytes, turns: int) -> Heard:
    from tests.doubles.webrtc_client import calling

    heard = Heard()
    async with calling(base, Authorization=f"Bearer {key}") as caller:
        await caller.until("session.created")
        for turn in range(1, turns + 1):
            await caller.speak(pcm)
            last_s, before = time.monotonic(), len(caller.voice)
            speaking = asyncio.ensure_future(caller.speak(bytes(2 * RATE_HZ * 60)))
            first_s = await _first_loud(caller, before)
            heard.turn_ms.append((first_s - last_s) * 1000)
            await caller.until("output_audio_buffer.stopped", turn)
            speaking.cancel()
        for stats in (await caller.connection.get_stats()).values():
            if stats.type == "inbound-rtp":
                concealed = stats.concealed_samples - stats.silent_concealed_samples
                heard.gap_ms += concealed / 48
    return heard


async def _first_loud(caller: Any, position: int) -> float:
    async with asyncio.timeout(30):
        while True:
            fresh = np.frombuffer(bytes(caller.voice[position:]), dtype="<i2")
            position += len(fresh) * 2
            if len(fresh) and int(np.abs(fresh.astype(np.int32)).max()) > 500:
                return time.monotonic()
            await asyncio.sleep(0.005)


async def call_by_socket(base: str, key: str, pcm: bytes, turns: int) -> Heard:
    heard = Heard()
    url = base.replace("http", "ws", 1) + "/v1/realtime?model=penny"
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession() as http, http.ws_connect(url, headers=headers) as socket:
        for _ in range(turns):
            await _speak(socket, pcm)
            last_s = time.monotonic()
            silence = asyncio.ensure_future(_speak(socket, bytes(2 * RATE_HZ * 60)))
            played_to_s = 0.0
            async for message in socket:
                event = json.loads(message.data)
                now_s = time.monotonic()
                if event["type"] == "response.output_audio.delta":
                    if not played_to_s:
                        heard.turn_ms.append((now_s - last_s) * 1000)
                        played_to_s = now_s
                    heard.gap_ms += max(0.0, now_s - played_to_s) * 1000
                    length_s = len(b64decode(event["delta"])) / 2 / RATE_HZ
                    played_to_s = max(played_to_s, now_s) + length_s
                elif event["type"] == "response.done":
                    break
            await asyncio.sleep(max(0.0, played_to_s - time.monotonic()))
            silence.cancel()
    return heard


async def _speak(socket: aiohttp.ClientWebSocketResponse, pcm: bytes) -> None:
    piece = RATE_HZ * PIECE_MS // 1000 * 2
    began = time.monotonic()
    for number, start in enumerate(range(0, len(pcm) - piece + 1, piece)):
        audio = b64encode(pcm[start : start + piece]).decode()
        await socket.send_json({"type": "input_audio_buffer.append", "audio": audio})
        await asyncio.sleep(max(0.0, began + (number + 1) * PIECE_MS / 1000 - time.monotonic()))


async def run_caller(arguments: argparse.Namespace) -> None:
    pcm = read_speech(Path(arguments.speech))
    make = call_by_webrtc if arguments.by == "webrtc" else call_by_socket
    results: list[Json] = []
    for _ in range(arguments.calls):
        try:
            heard = await make(arguments.base, arguments.key, pcm, arguments.turns)
        except (TimeoutError, AssertionError, aiohttp.ClientError) as error:
            results.append({"error": repr(error)})
        else:
            results.append({"turn_ms": heard.turn_ms, "gap_ms": heard.gap_ms})
    print(json.dumps(results))


# -- the measurement ------------------------------------------------------------------------------


def measure(network: LossyNetwork, by: str, speech: Path, options: argparse.Namespace) -> Json:
    """One cell: both sides started anew; the figures and the recordings of the ears."""
    folder = Path(tempfile.mkdtemp())
    python = sys.executable
    house = network.run(
        network.penny, python, "-m", "tests.bench.webrtc_house", str(folder), stdout=-1, stderr=-3
    )
    try:
        assert house.stdout is not None
        lines = (line.decode().strip() for line in house.stdout)
        key = next((line for line in lines if line.startswith("penny_")), "")  # after its log
        if not key:
            raise RuntimeError(f"Penny did not start: python -m tests.bench.webrtc_house {folder}")
        base = f"http://{network.address}:8080"
        sizes = (str(options.calls), str(options.turns))
        command = (python, "-m", "tests.bench.webrtc", "--by", by, "--base", base, "--key", key)
        caller = network.run(
            network.caller,
            *command,
            "--speech",
            str(speech),
            "--calls",
            sizes[0],
            "--turns",
            sizes[1],
            stdout=-1,
        )
        output, _ = caller.communicate(timeout=600)
        calls = json.loads(output.decode().strip().splitlines()[-1])
    finally:
        house.terminate()
        house.wait()
    good = [call for call in calls if "error" not in call]
    turns = [each for call in good for each in call["turn_ms"]]
    return {
        "turns": turns,
        "lost_calls": len(calls) - len(good),
        "gap_ms": sum(call["gap_ms"] for call in good) / max(1, len(turns)),
        "ears": sorted(folder.glob("*.wav")),
    }


def count_errors(reference: list[str], words: list[str]) -> int:
    """Words to change, add or drop (Levenshtein)."""
    row = list(range(len(words) + 1))
    for i, wanted in enumerate(reference, 1):
        before, row[0] = row[0], i
        for j, word in enumerate(words, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (wanted != word))
    return row[-1]


class Words:
    """Whisper base, to tell what the network does to words."""

    def __init__(self) -> None:
        from faster_whisper import WhisperModel

        self._model = WhisperModel(str(WHISPER), compute_type="int8")

    def of(self, path: Path, language: str) -> list[str]:
        with wave.open(str(path), "rb") as file:
            pcm = file.readframes(file.getnframes())
            samples = np.frombuffer(Resampler(file.getframerate(), 16_000).process(pcm), "<i2")
        segments, _ = self._model.transcribe(samples.astype(np.float32) / 32768, language=language)
        text = "".join(segment.text for segment in segments).lower()
        return "".join(c if c.isalnum() or c.isspace() else " " for c in text).split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--by", choices=BY, help="be the caller (inside)")
    parser.add_argument("--base")
    parser.add_argument("--key")
    parser.add_argument("--speech", nargs="+", default=[], help="recordings: es_….wav, en_….wav")
    parser.add_argument(
        "--cells", type=read_cell, nargs="+", default=CELLS, help="as 5/40; loopback"
    )
    parser.add_argument("--write", action="store_true", help="into the package's README")
    parser.add_argument("--calls", type=int, default=4)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    if options.by:
        options.speech = options.speech[0]
        asyncio.run(run_caller(options))
        return
    words = Words() if WHISPER.exists() else None
    print(HEAD)
    rows = {}
    for cell in options.cells:
        with ThreadPoolExecutor(len(BY)) as both:
            work = partial(_measure_all, cell, options=options)
            measured = list(both.map(work, BY))
        for by, cells in zip(BY, measured, strict=True):
            place = _place(cell, by)
            rows[place] = f"{place} {_row(cells, options, words)}"
            print(rows[place], flush=True)
        if options.write:
            write_table(rows)


def read_cell(text: str) -> Cell:
    """A cell as it is named: ``5/40`` or ``loopback``."""
    if text == "loopback":
        return None
    percent, jitter_ms = text.split("/")
    return float(percent) / 100, int(jitter_ms)


def write_table(rows: dict[str, str]) -> None:
    """Put these rows in the places of those that were measured before."""
    text, _, before = TABLE.read_text().partition(TABLE_BEGINS)
    kept = {"|".join(line.split("|")[:3]) + "|": line for line in before.splitlines()[2:]}
    places = [_place(cell, by) for cell in CELLS for by in BY]
    lines = [(kept | rows)[place] for place in places if place in kept | rows]
    TABLE.write_text(text + TABLE_BEGINS + "\n".join((HEAD, *lines)) + "\n")


def _place(cell: Cell, by: str) -> str:
    network = "loopback" if cell is None else f"{cell[0]:.0%}, {cell[1]} ms"
    return f"| {network} | {by} |"


def _measure_all(cell: Cell, by: str, *, options: argparse.Namespace) -> list[Json]:
    """A cell's measurement for each recording."""
    cells = []
    for name in options.speech:
        with loopback() if cell is None else lossy_network(*cell) as network:
            cells.append(measure(network, by, Path(name), options))
    return cells


def _row(cells: list[Json], options: argparse.Namespace, words: Words | None) -> str:
    errors = total = 0
    if words is not None:
        for name, cell in zip(options.speech, cells, strict=True):
            language = Path(name).name[:2]
            reference = words.of(Path(name), language)
            for ears in cell["ears"]:
                errors += min(len(reference), count_errors(reference, words.of(ears, language)))
                total += len(reference)
    turns = [each for cell in cells for each in cell["turns"]]
    p95 = quantiles(turns, n=20)[-1] if len(turns) > 1 else float("nan")
    told = f"{100 * errors / total:.1f} %" if total else "-"
    gaps_ms = sum(cell["gap_ms"] for cell in cells) / len(cells)
    lost = sum(cell["lost_calls"] for cell in cells)
    return f"{len(turns)} | {median(turns):.0f} | {p95:.0f} | {told} | {gaps_ms:.0f} | {lost} |"


if __name__ == "__main__":
    main()
