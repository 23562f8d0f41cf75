"""pocketsphinx in child processes, so that its decoding never holds the worker's loop.

It keeps the GIL while it decodes: in a thread, the worker's loop was late by up to 660 ms. A pool
of children, each with its decoders loaded once (0.3-1.2 s), hears the utterances; one that finds
no free child keeps its audio until there is one.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from penny.errors import EngineError
from runpod_worker.engines.sphinx_frames import (
    AUDIO,
    BEGIN,
    CANCEL,
    FINISH,
    HEADER,
    MAX_UTTERANCE_BYTES,
    PAUSE,
    PHRASES,
    RESUME,
)
from runpod_worker.engines.sphinx_judgement import Decoded, Heard, SpokenWord


log = structlog.get_logger()

_ROOT = Path(__file__).resolve().parents[2]
_MODULE = "runpod_worker.engines.sphinx_child"
# A line holds the words of a minute at most.
_LINE_LIMIT = 1 << 20

Message = dict[str, Any]
_ids = itertools.count(1)


class SphinxChild:
    """Handle of a PocketSphinx process.

    One process, for one utterance at a time.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.on_message: Callable[[Message], None] = lambda _: None
        self.on_end: Callable[[], None] = lambda: None

    @classmethod
    async def start(cls, phrases: Sequence[str]) -> SphinxChild:
        """Raises EngineError if the child does not come up."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            _MODULE,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_LIMIT,
            cwd=_ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert process.stdout is not None
        child = cls(process)
        if not await process.stdout.readline():
            await process.wait()
            raise EngineError("pocketsphinx does not start; see its message above", stage="stt")
        child.send(PHRASES, json.dumps(list(phrases)).encode())
        return child

    def send(self, letter: bytes, payload: bytes = b"") -> None:
        """Never blocks: the pipe's buffer takes an utterance, which is bounded."""
        assert self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(HEADER.pack(letter, len(payload)) + payload)

    async def listen(self) -> None:
        """Hand every message to ``on_message`` until the process ends, then call ``on_end``."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self.on_message(json.loads(line))
        self.on_end()

    async def aclose(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        # The pipe's transport closes a loop turn after the process; wait for it, so that no
        # transport outlives its loop.
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await self._process.stdin.wait_closed()
        except (BrokenPipeError, ConnectionResetError):
            return  # the killed child's end of the pipe: what was asked for


class SphinxUtterance:
    """Utterance decoded by a SphinxChild.

    An utterance on its way to a child. Bounded: audio beyond 60 s is not heard.
    """

    def __init__(self, pool: SphinxPool, language: str) -> None:
        self._pool = pool
        self._child: SphinxChild | None = None
        self._id = next(_ids)
        begin = json.dumps({"id": self._id, "language": language})
        self._waiting: list[tuple[bytes, bytes]] = [(BEGIN, begin.encode())]
        self._held_bytes = 0
        self._ended = False
        self.partial = ""
        self.early: Heard | None = None
        """What was decoded at the last pause, until the caller goes on."""
        self._result: asyncio.Future[Heard] = asyncio.get_running_loop().create_future()

    def feed(self, pcm: bytes) -> None:
        pcm = pcm[: MAX_UTTERANCE_BYTES - self._held_bytes]
        self._held_bytes += len(pcm)
        if pcm:
            self._send(AUDIO, pcm)

    def pause(self) -> None:
        self._send(PAUSE)

    def resume(self) -> None:
        self.early = None
        self._send(RESUME)

    async def finish(self) -> Heard:
        """Raises EngineError if the child dies over this utterance, or the pool closes."""
        self._send(FINISH)
        try:
            return await self._result
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Idempotent; the child is free for the next utterance at once."""
        if self._ended:
            return
        self._ended = True
        if not self._result.done():
            self._send(CANCEL, force=True)
            self._result.cancel()
        self._pool.release(self)

    def attach(self, child: SphinxChild) -> None:
        self._child = child
        child.on_message = self._take
        for frame in self._waiting:
            child.send(*frame)
        self._waiting.clear()

    def detach(self) -> SphinxChild | None:
        child, self._child = self._child, None
        if child is not None:
            child.on_message = lambda _: None
        return child

    def fail(self, error: EngineError) -> None:
        if not self._result.done():
            self._result.set_exception(error)

    def _send(self, letter: bytes, payload: bytes = b"", *, force: bool = False) -> None:
        if self._ended and not force:
            return
        if self._child is not None:
            self._child.send(letter, payload)
        else:
            self._waiting.append((letter, payload))

    def _take(self, message: Message) -> None:
        if message["id"] != self._id:
            return  # the answer to an utterance that was given up
        if "partial" in message:
            self.partial = message["partial"]
            return
        heard = _read_heard(message["result"])
        if not message["final"]:
            self.early = heard
        elif not self._result.done():
            self._result.set_result(heard)


class SphinxPool:
    """Pool of PocketSphinx processes.

    Children kept for the life of the engine; one that dies is replaced and counted in the log.

    Utterances beyond the pool's size wait in order; each holds at most 60 s of audio.
    """

    def __init__(self, phrases: Sequence[str], *, size: int) -> None:
        self._phrases = tuple(phrases)
        self._size = size
        self._free: list[SphinxChild] = []
        self._children: dict[SphinxChild, asyncio.Task[None]] = {}
        self._queue: deque[SphinxUtterance] = deque()
        self._starting: set[asyncio.Task[None]] = set()
        self._closed = False

    async def start(self) -> None:
        """Raises EngineError if a child does not come up."""
        await asyncio.gather(*(self._add() for _ in range(self._size)))

    def begin(self, language: str) -> SphinxUtterance:
        """Raises EngineError if the pool is closed."""
        if self._closed:
            raise EngineError("the STT is closed", stage="stt")
        utterance = SphinxUtterance(self, language)
        self._queue.append(utterance)
        self._assign()
        return utterance

    def release(self, utterance: SphinxUtterance) -> None:
        if utterance in self._queue:
            self._queue.remove(utterance)
        child = utterance.detach()
        if child is not None and child in self._children:
            self._free.append(child)
            self._assign()

    async def aclose(self) -> None:
        self._closed = True
        for utterance in self._queue:
            utterance.fail(EngineError("the STT is closed", stage="stt"))
        for task in self._starting:
            task.cancel()
        children, self._children = self._children, {}
        self._free.clear()
        for child, task in children.items():
            await child.aclose()
            await task
        await asyncio.gather(*self._starting, return_exceptions=True)

    def _assign(self) -> None:
        while self._free and self._queue:
            self._queue.popleft().attach(self._free.pop())

    async def _add(self) -> None:
        child = await SphinxChild.start(self._phrases)
        child.on_end = lambda: self._replace(child)
        name = f"sphinx child {len(self._children)}"
        self._children[child] = asyncio.create_task(child.listen(), name=name)
        self._free.append(child)
        self._assign()

    def _replace(self, child: SphinxChild) -> None:
        """A child ended by itself: its utterance fails, another child takes its place."""
        if self._closed or child not in self._children:
            return
        log.error("sphinx_child_ended")
        del self._children[child]
        if child in self._free:
            self._free.remove(child)
        owner = getattr(child.on_message, "__self__", None)
        if isinstance(owner, SphinxUtterance):
            owner.detach()
            owner.fail(EngineError("pocketsphinx ended in the middle of a turn", stage="stt"))
        task = asyncio.create_task(self._restart(child), name="sphinx replacement")
        self._starting.add(task)
        task.add_done_callback(self._added)

    async def _restart(self, dead: SphinxChild) -> None:
        await dead.aclose()
        await self._add()

    def _added(self, task: asyncio.Task[None]) -> None:
        self._starting.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("sphinx_child_not_replaced", error=type(task.exception()).__name__)


def _read_heard(result: Message) -> Heard:
    def read(part: Message) -> Decoded:
        words = tuple(SpokenWord(**word) for word in part["words"])
        return Decoded(part["text"], part["score"], words)

    return Heard(read(result["spanish"]), read(result["english"]), read(result["loop"]))
