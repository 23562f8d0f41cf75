"""A scripted Penny, and a Chromium page that keeps what it played, asked for and complained of."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.doubles.chromium import launch_chromium, voice, write_microphone
from tests.doubles.scripted_penny import ScriptedPenny, serve


VOICE_MS = 900
TALK_OR_HANG_UP = re.compile("Hablar|Colgar|Talk|Hang up")

# Everything that reaches the loudspeaker also reaches an analyser: what a person would hear.
TAP = """
window.heard = [];
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...rest) {
  if (target === this.context.destination) {
    const tap = this.context.createAnalyser();
    tap.fftSize = 2048;
    connect.call(this, tap);
    const samples = new Float32Array(tap.fftSize);
    const look = () => {
      tap.getFloatTimeDomainData(samples);
      const level = Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
      window.heard.push({ at: performance.now(), level });
      if (this.context?.state !== "closed") setTimeout(look, 20);
    };
    look();
  }
  return connect.call(this, target, ...rest);
};
"""


@dataclass
class Visit:
    """An open page and all that must not happen on it."""

    page: Page
    penny: ScriptedPenny
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    async def heard(self) -> list[dict[str, float]]:
        """``{at, level}`` of the loudspeaker, every 20 ms."""
        samples: list[dict[str, float]] = await self.page.evaluate("window.heard")
        return samples

    async def type(self, text: str) -> None:
        """Type a turn and send it; begins a call when there is none."""
        await expect(self.page.get_by_role("button", name=TALK_OR_HANG_UP)).to_be_enabled()
        await self.page.locator("#text").fill(text)
        await self.page.locator("#text").press("Enter")

    async def until(self, condition: Callable[[], Any], *, within_s: float = 15) -> None:
        """Wait for something the server saw."""
        async with asyncio.timeout(within_s):
            while not condition():
                await asyncio.sleep(0.01)


@pytest_asyncio.fixture(loop_scope="session")
async def scripted() -> AsyncIterator[ScriptedPenny]:
    async with serve(ScriptedPenny()) as penny:
        yield penny
    assert penny.faults == []


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """One for all tests; its microphone says something for 0.9 s, every 3 s."""
    path = tmp_path_factory.mktemp("microphone") / "voice.wav"
    async with launch_chromium(write_microphone(path, 400, voice(VOICE_MS), 1700)) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def visit(scripted: ScriptedPenny, browser: Browser) -> AsyncIterator[Visit]:
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    page = await context.new_page()
    found = Visit(page, scripted)
    await page.add_init_script(TAP)
    page.on("console", lambda line: _note(found, line.type, line.text))
    page.on("pageerror", lambda error: found.complaints.append(str(error)))
    page.on("request", lambda request: found.requests.append(request.url))
    await page.goto(scripted.url)
    yield found
    await context.close()


def _note(visit: Visit, kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        visit.complaints.append(f"{kind}: {text}")
