"""The parent's end of one XTTS process: start it, give it a phrase, take the audio, stop it."""

from __future__ import annotations

import asyncio
import json
import os
import struct
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import structlog

from penny.aio.channel import Channel, ChannelClosed
from penny.errors import EngineError


log = structlog.get_logger()

Json = dict[str, Any]

PROGRAM = Path(__file__).with_name("xtts_process.py")
HEAD = struct.Struct("<cI")
JOB = struct.Struct("<I")
PIECES = 512
"""Pieces of one phrase not yet taken; a piece is about a second, a phrase at most half a minute."""
STDERR_BYTES = 2000


class XttsInstance:
    """Handle of an XTTS process.

    One process, one phrase at a time.
    """

    def __init__(self, python: str, folder: Path, device: str) -> None:
        self._command = (python, str(PROGRAM), str(folder), device)
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._stderr: asyncio.Task[None] | None = None
        self._last_words = b""
        self._job = 0
        self._audio: Channel[bytes] | None = None
        self._failure = ""
        self._idle = asyncio.Event()
        self._killed = False
        self.ready: Json = {}
        """What the process told of its model: rate_hz, device, languages, voices."""

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self, limit_s: float) -> None:
        """Start and wait for the model. Raises EngineError with the process's last words."""
        self._killed = False
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # Coqui asks on a terminal whether its terms are accepted: the settings did that.
            env=os.environ | {"COQUI_TOS_AGREED": "1", "HF_HUB_OFFLINE": "1"},
        )
        self._process = process
        self._stderr = asyncio.create_task(self._drain(process), name="xtts stderr")
        try:
            async with asyncio.timeout(limit_s):
                kind, payload = await self._read_frame(process)
        except (TimeoutError, asyncio.IncompleteReadError):
            await self.kill()
            told = self._last_words.decode(errors="replace").strip().splitlines()
            raise EngineError(
                f"XTTS does not start: {told[-1] if told else f'no word in {limit_s:.0f} s'}",
                stage="tts",
                code="tts_not_loaded",
            ) from None
        if kind != b"R":
            await self.kill()
            raise EngineError("XTTS does not start: unexpected frame", stage="tts")
        self.ready = json.loads(payload)
        self._idle.set()
        self._reader = asyncio.create_task(self._read(process), name="xtts reader")

    async def speak(self, **job: Any) -> AsyncGenerator[bytes, None]:
        """Stream the PCM16 of a phrase at the model's rate. Raises EngineError."""
        self._job += 1
        audio: Channel[bytes] = Channel(PIECES)
        self._audio, self._failure = audio, ""
        self._idle.clear()
        await self._send(b"S", job=self._job, **job)
        ended = False
        try:
            async for pcm in audio:
                yield pcm
            ended = True
            if self._failure:
                raise EngineError(f"XTTS failed: {self._failure}", stage="tts")
        finally:
            self._audio = None
            if not ended and self.alive:
                await self._send(b"C", job=self._job)

    async def until_idle(self, limit_s: float) -> bool:
        """Wait until the last phrase has really ended; False when it does not, or it died."""
        try:
            async with asyncio.timeout(limit_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return self.alive

    async def kill(self) -> None:
        self._killed = True
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        for task in (self._reader, self._stderr):
            if task is not None:
                await asyncio.wait((task,))

    async def _send(self, kind: bytes, **fields: Any) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        payload = json.dumps(fields).encode()
        try:
            self._process.stdin.write(HEAD.pack(kind, len(payload)) + payload)
            await self._process.stdin.drain()
        except ConnectionError as error:
            raise EngineError("the XTTS process is gone", stage="tts") from error

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Everything the process says, until its end."""
        try:
            while True:
                self._take(*await self._read_frame(process))
        except asyncio.IncompleteReadError:
            self._failure = "the process ended"
            status = await process.wait()
            if not self._killed:
                log.warning("xtts_process_ended", status=status)
        finally:
            self._end()

    def _take(self, kind: bytes, payload: bytes) -> None:
        if kind == b"A":
            job = JOB.unpack_from(payload)[0]
            if job == self._job and self._audio is not None:
                try:
                    fits = self._audio.try_send(payload[JOB.size :])
                except ChannelClosed:
                    return
                if not fits:
                    self._failure = f"more than {PIECES} pieces of a phrase"
                    self._audio.close()
        elif kind == b"E":
            told = json.loads(payload)
            if told["job"] == self._job:
                self._failure = self._failure or told["error"]
                self._end()

    def _end(self) -> None:
        if self._audio is not None:
            self._audio.close()
        self._idle.set()

    async def _drain(self, process: asyncio.subprocess.Process) -> None:
        """Libraries chat on stderr: the end is kept for an error's message, nothing is logged."""
        assert process.stderr is not None
        while chunk := await process.stderr.read(4096):
            self._last_words = (self._last_words + chunk)[-STDERR_BYTES:]

    async def _read_frame(self, process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
        assert process.stdout is not None
        kind, size = HEAD.unpack(await process.stdout.readexactly(HEAD.size))
        return kind, await process.stdout.readexactly(size)
