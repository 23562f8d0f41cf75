"""A real headless Chromium whose microphone is a file."""

from __future__ import annotations

import math
import os
import shutil
import struct
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright, expect


RATE_HZ = 48_000
VOICE_HZ = 140

expect.set_options(
    timeout=60_000
)  # it ends tests that hang; playwright's own 5 s fail busy machines


def find_chromium() -> str:
    """Return the browser's path, or fail with the way to get one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("PENNY_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    assert found, "these tests drive a real Chromium and none was found: run `make setup-browser`"
    return found


@asynccontextmanager
async def launch_chromium(
    microphone: Path | None = None, autoplay: str = "user-gesture-required"
) -> AsyncIterator[Browser]:
    """Start a browser that hears ``microphone`` over and over; without one it has no devices.

    Sound needs a gesture each time, as on a telephone; a desktop's policy is
    ``document-user-activation-required``.
    """
    arguments = [
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        f"--autoplay-policy={autoplay}",
    ]
    if microphone is not None:
        arguments += [
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-audio-capture={microphone}",
        ]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_chromium(), headless=True, args=arguments
        )
        try:
            yield browser
        finally:
            await browser.close()


def voice(duration_ms: int, pitch_hz: float = VOICE_HZ) -> list[float]:
    """Return a voice-like buzz: harmonics with a syllable rhythm, which noise suppression keeps."""
    samples, phase = [], 0.0
    for n in range(duration_ms * RATE_HZ // 1000):
        at_s = n / RATE_HZ
        phase += 2 * math.pi * pitch_hz * (1 + 0.1 * math.sin(2 * math.pi * 2.3 * at_s)) / RATE_HZ
        buzz = sum(math.sin(phase * k) / k for k in range(1, 13))
        samples.append(0.3 * buzz * (0.25 + 0.75 * math.sin(math.pi * 4.5 * at_s) ** 2))
    return samples


def write_microphone(path: Path, *parts: int | list[float]) -> Path:
    """Write a WAV of samples and silences (whole numbers: ms of silence)."""
    samples: list[float] = []
    for part in parts:
        samples += [0.0] * (part * RATE_HZ // 1000) if isinstance(part, int) else part
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        clipped = (int(max(-1.0, min(1.0, sample)) * 32767) for sample in samples)
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in clipped))
    return path
