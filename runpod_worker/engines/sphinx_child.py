"""The child process of ``sphinx``: hears one utterance after another on stdin.

    python -m runpod_worker.engines.sphinx_child

Frames on stdin: one letter, the length as 4 bytes little-endian, the payload.

| letter | payload | |
|---|---|---|
| G | JSON list of Spanish phrases | the grammar from now on |
| B | JSON ``{"id", "language"}``: ``es``, ``en`` or ``auto`` | an utterance begins |
| A | PCM16 at 16 kHz | more of it |
| P | | it pauses: decode now |
| R | | it goes on: forget what was decoded |
| F | | it ends: answer |
| C | | it is given up |

On stdout one JSON object per line: ``{"ready": true}``, ``{"id", "partial": text}``, and for P
and F ``{"id", "result": …, "final": bool}``. The id lets an answer that was given up be told from
the next one's.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
from dataclasses import asdict
from typing import Any, BinaryIO

from runpod_worker.engines.sphinx_decoders import (
    decode,
    open_english,
    open_english_stream,
    open_grammar,
    open_phone_loop,
    prepare,
)
from runpod_worker.engines.sphinx_frames import HEADER, MAX_UTTERANCE_BYTES
from runpod_worker.engines.sphinx_judgement import Decoded, is_spanish_sure
from runpod_worker.stages import STT_RATE_HZ


# Smaller blocks wreck the streaming decoder's normalisation.
BLOCK_BYTES = STT_RATE_HZ * 2 // 10

Frame = tuple[bytes, bytes]
NO_FRAME: Frame = (b"", b"")


def read_frames(source: BinaryIO, frames: queue.SimpleQueue[Frame]) -> None:
    """In a thread: so that a finish is seen while decoding lags behind the audio."""
    while len(header := source.read(HEADER.size)) == HEADER.size:
        letter, length = HEADER.unpack(header)
        frames.put((letter, source.read(length)))
    frames.put(NO_FRAME)


class Child:
    """A PocketSphinx process: reads frames from stdin, writes what it decodes to stdout."""

    def __init__(self) -> None:
        self._english = open_english()
        self._stream: Any = None
        self._streaming = False
        self._loop = open_phone_loop()
        self._grammar: Any = None
        self._language = "auto"
        self._id = 0
        self._audio = bytearray()
        self._streamed_bytes = 0
        self._decoded: dict[str, Any] | None = None

    def handle(self, letter: bytes, payload: bytes, *, waiting: int) -> None:
        match letter:
            case b"G":
                phrases = json.loads(payload)
                self._grammar = open_grammar(phrases) if phrases else None
            case b"B":
                begin = json.loads(payload)
                self._begin(begin["id"], begin["language"])
            case b"A":
                room = MAX_UTTERANCE_BYTES - len(self._audio)
                self._audio += payload[: max(0, room)]
                if self._streaming and not waiting:
                    self._show_partial()
            case b"P":
                self._decoded = self._decode()
                self._answer(final=False)
            case b"R":
                self._decoded = None
            case b"F":
                self._decoded = self._decoded or self._decode()
                self._answer(final=True)
                self._end()
            case b"C":
                self._end()

    def _begin(self, utterance_id: int, language: str) -> None:
        self._end()
        self._id = utterance_id
        self._language = language
        # Partials of English words over Spanish speech are nonsense: only where English is sure.
        if language == "en":
            self._stream = self._stream or open_english_stream()
            self._stream.start_utt()
            self._streaming = True

    def _end(self) -> None:
        if self._streaming:
            self._stream.end_utt()
            self._streaming = False
        self._audio.clear()
        self._streamed_bytes = 0
        self._decoded = None

    def _show_partial(self) -> None:
        whole = len(self._audio) - (len(self._audio) - self._streamed_bytes) % BLOCK_BYTES
        if whole == self._streamed_bytes:
            return
        self._stream.process_raw(bytes(self._audio[self._streamed_bytes : whole]))
        self._streamed_bytes = whole
        hypothesis = self._stream.hyp()
        if hypothesis is not None:
            send({"id": self._id, "partial": hypothesis.hypstr})

    def _decode(self) -> dict[str, Any]:
        prepared = prepare(bytes(self._audio))
        loop = decode(self._loop, prepared)
        nothing = Decoded("", -1000.0, ())
        spanish = english = nothing
        if self._language != "en" and self._grammar is not None:
            spanish = decode(self._grammar, prepared)
        # English costs ten times as much: not after a Spanish phrase that leaves no doubt.
        if self._language != "es" and not is_spanish_sure(spanish, loop):
            english = decode(self._english, prepared)
        return {"spanish": asdict(spanish), "english": asdict(english), "loop": asdict(loop)}

    def _answer(self, *, final: bool) -> None:
        send({"id": self._id, "result": self._decoded, "final": final})


def send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> None:
    frames: queue.SimpleQueue[Frame] = queue.SimpleQueue()
    reader = threading.Thread(target=read_frames, args=(sys.stdin.buffer, frames), daemon=True)
    reader.start()
    child = Child()
    send({"ready": True})
    while (frame := frames.get()) != NO_FRAME:
        child.handle(*frame, waiting=frames.qsize())


if __name__ == "__main__":
    main()
