"""Strangers' audio files, decoded in a process of their own, which a broken codec ends alone.

The child is ``python -m penny.aio.audio_files RATE_HZ MAX_S``: the file on its standard input,
PCM16 on its standard output. Its limits are the operating system's.
"""

from __future__ import annotations

import asyncio
import io
import os
import resource
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import numpy as np
import soundfile

from penny.audio.resample import Resampler
from penny.errors import ProtocolError


MEMORY_BYTES = 2 << 30
"""Address space: what a codec may take before the operating system stops it."""
CPU_S = 120
WALL_S = 240.0
"""Twice the limit of CPU, on a machine that does other things."""
UNREADABLE, TOO_LONG = 3, 4
"""Exit statuses."""
BLOCK_FRAMES = 65_536
ROOT = Path(__file__).parent.parent.parent
PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
"""What Python needs of the environment: no secret is in the process that runs the codec."""


async def decode(content: bytes, rate_hz: int, max_s: float) -> bytes:
    """Return a WAV, FLAC, OGG, Opus or MP3 file as mono PCM16; channels are mixed in equal parts.

    Raises:
        ProtocolError: it is no such audio, too heavy, or longer than ``max_s``; field ``file``.
    """
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "penny.aio.audio_files", str(rate_hz), str(max_s)),
        stdin=PIPE,
        stdout=PIPE,
        cwd=ROOT,
        env={name: os.environ[name] for name in PASSED_ON if name in os.environ},
    )
    try:
        async with asyncio.timeout(WALL_S):
            pcm16, _ = await child.communicate(content)
    except TimeoutError:
        raise _refused("it takes too long to decode; send it as WAV or in parts") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode == TOO_LONG:
        raise _refused(f"it is longer than {max_s:g} s; send it in parts")
    if child.returncode == UNREADABLE:
        raise _refused("it holds no audio that can be read; send WAV, FLAC, OGG, Opus or MP3")
    if child.returncode:
        raise _refused("its decoder gave up; send it as WAV")
    return pcm16


def _refused(reason: str) -> ProtocolError:
    return ProtocolError(f"file: {reason}", code="invalid_audio", field="file")


def _decode_here(rate_hz: int, max_s: float) -> int:
    """The child's work; returns its exit status."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with soundfile.SoundFile(io.BytesIO(sys.stdin.buffer.read())) as file:
            resampler = Resampler(file.samplerate, rate_hz)
            left = int(max_s * file.samplerate)
            for block in file.blocks(BLOCK_FRAMES, dtype="float32", always_2d=True):
                left -= len(block)
                if left < 0:
                    return TOO_LONG
                mono = np.rint(block.mean(axis=1) * 32768.0)
                pcm16 = np.clip(mono, -32768, 32767).astype("<i2").tobytes()
                sys.stdout.buffer.write(resampler.process(pcm16))
            sys.stdout.buffer.write(resampler.flush())
    except (soundfile.LibsndfileError, ValueError, MemoryError):
        return UNREADABLE
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(_decode_here(int(sys.argv[1]), float(sys.argv[2])))
