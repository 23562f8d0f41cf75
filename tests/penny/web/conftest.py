"""A scripted Penny, and a Chromium page that keeps what it played, asked for and complained of.

The browser's library and the double are imported when wanted: every run reads this file.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio


if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

    from tests.doubles.scripted_penny import ScriptedPenny


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
      window.heard.push({ at: this.context.currentTime * 1000, level });
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

    tab: Tab
    penny: ScriptedPenny

    @property
    def page(self) -> Page:
        return self.tab.page

    @property
    def complaints(self) -> list[str]:
        return self.tab.complaints

    @property
    def requests(self) -> list[str]:
        return self.tab.requests

    async def heard(self) -> list[dict[str, float]]:
        """``{at, level}`` of the loudspeaker, every 20 ms; ``at`` in ms of the audio clock."""
        samples: list[dict[str, float]] = await self.page.evaluate("window.heard")
        return samples

    async def type(self, text: str) -> None:
        """Type a turn and send it; begins a call when there is none."""
        from playwright.async_api import expect

        await expect(self.page.get_by_role("button", name=TALK_OR_HANG_UP)).to_be_enabled()
        await self.page.locator("#text").fill(text)
        await self.page.locator("#text").press("Enter")

    async def until(self, condition: Callable[[], Any], *, within_s: float = 60) -> None:
        """Wait for something the server saw."""
        async with asyncio.timeout(within_s):
            while not condition():
                await asyncio.sleep(0.01)


@pytest_asyncio.fixture(loop_scope="session")
async def scripted() -> AsyncIterator[ScriptedPenny]:
    from tests.doubles.scripted_penny import ScriptedPenny, serve

    async with serve(ScriptedPenny()) as penny:
        yield penny
    assert penny.faults == []


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """One for all tests; its microphone says something for 0.9 s, every 3 s."""
    from tests.doubles.chromium import launch_chromium, voice, write_microphone

    path = tmp_path_factory.mktemp("microphone") / "voice.wav"
    async with launch_chromium(write_microphone(path, 400, voice(VOICE_MS), 1700)) as browser:
        yield browser


@dataclass
class Tab:
    """One page for all tests, since opening one costs more than most of them."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(f"{kind}: {text}")

    async def open(self, url: str) -> None:
        """As new: each address has a port of its own, hence a storage of its own."""
        await self.page.set_viewport_size({"width": 1280, "height": 800})
        await self.page.emulate_media(color_scheme="light", reduced_motion="no-preference")
        self.complaints, self.requests = [], []
        await self.page.context.clear_cookies()  # which know no ports: another house's sign-in
        await self.page.goto(url)

    async def close(self) -> None:
        """End its call and its requests before its server goes."""
        await self.page.goto("about:blank")


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def only_tab(browser: Browser) -> AsyncIterator[Tab]:
    context = await browser.new_context()
    tab = Tab(await context.new_page())
    await tab.page.add_init_script(TAP)
    tab.page.on("console", lambda line: tab.note(line.type, line.text))
    tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
    tab.page.on("request", lambda request: tab.requests.append(request.url))
    yield tab
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def tab(only_tab: Tab) -> AsyncIterator[Tab]:
    yield only_tab
    await only_tab.close()


@pytest_asyncio.fixture(loop_scope="session")
async def visit(scripted: ScriptedPenny, tab: Tab) -> Visit:
    await tab.open(scripted.url)
    return Visit(tab, scripted)
