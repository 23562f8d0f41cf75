"""The browser client's voices over WebRTC, on a real Penny; and over the socket when that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from penny.audio.wav import write_wav
from tests.doubles.chromium import launch_chromium
from tests.doubles.engines import FixedStt
from tests.doubles.house import make_engines, running_penny
from tests.doubles.speech import silence, speak
from tests.penny.web.conftest import TAP


pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

QUESTION = "¿Cuándo vence mi factura de la luz?"

START = """async ({ webrtc, wishes }) => {
  const { PennyClient } = await import("/web/client.js");
  const penny = new PennyClient({ webrtc });
  Object.assign(window, { penny, seen: [], binary: 0 });
  for (const kind of ["message", "media", "played"]) {
    penny.addEventListener(kind, ({ detail }) => seen.push({ kind, ...detail }));
  }
  return await penny.start(wishes);
}"""

# Binary messages that the page's socket sent and got.
COUNT_AUDIO = """
window.sent = window.got = 0;
const Socket = window.WebSocket;
window.WebSocket = class extends Socket {
  constructor(...about) {
    super(...about);
    this.addEventListener("message", ({ data }) => (window.got += typeof data !== "string"));
  }
  send(data) {
    window.sent += typeof data !== "string";
    super.send(data);
  }
};
"""
NO_ANSWER = """
RTCPeerConnection.prototype.setRemoteDescription = () => Promise.reject(new Error("no answer"));
"""


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """A browser whose microphone asks a question every few seconds.

    It is spoken: Silero, which hears it, takes a buzz for speech at its first appearance at most,
    and that may be before the session.
    """
    path = tmp_path_factory.mktemp("microphone") / "question.wav"
    write_wav(path, silence(500) + speak(QUESTION) + silence(3500), 24_000)
    async with launch_chromium(path) as browser:
        yield browser


@asynccontextmanager
async def visiting(
    browser: Browser, *scripts: str, webrtc: str = "always", **sections: Any
) -> AsyncIterator[Page]:
    engines = make_engines(FixedStt("cuándo vence mi factura"))
    async with running_penny(engines, session={"greeting": ""}, **sections) as url:
        page = await browser.new_page()
        try:
            for script in (TAP, COUNT_AUDIO, *scripts):
                await page.add_init_script(script)
            await page.goto(url)
            await page.evaluate(START, {"webrtc": webrtc, "wishes": {}})
            yield page
            await page.evaluate("penny.end()")
        finally:
            await page.close()


async def until(page: Page, condition: str) -> None:
    async with asyncio.timeout(60):
        while not await page.evaluate(condition):  # the pages forbid what playwright waits with
            await asyncio.sleep(0.02)


def seen(**wanted: str) -> str:
    return f"seen.some((event) => {' && '.join(f'event.{k} === {v!r}' for k, v in wanted.items())})"


async def test_both_voices_go_by_webrtc_and_what_was_heard_is_told(browser: Browser) -> None:
    async with visiting(browser) as page:
        await until(page, seen(kind="media", by="webrtc"))
        await page.evaluate("sent = got = 0")
        await until(page, seen(type="transcript_final", role="user"))
        await until(page, "heard.some(({ level }) => level > 0.01)")
        await until(page, seen(type="transcript_heard"))
        await until(page, "seen.some(({ kind, played_ms }) => kind === 'played' && played_ms > 0)")
        assert await page.evaluate("[sent, got]") == [0, 0]


@pytest.mark.parametrize("sections", [{}, {"gateway": {"webrtc": {"enabled": False}}}])
async def test_the_socket_goes_on_where_webrtc_does_not_come_about(
    browser: Browser, sections: dict[str, Any]
) -> None:
    async with visiting(browser, NO_ANSWER, **sections) as page:
        await until(page, seen(type="transcript_final", role="user"))
        await until(page, "heard.some(({ level }) => level > 0.01)")
        assert await page.evaluate("sent > 0 && got > 0")
        assert not await page.evaluate(seen(kind="media", by="webrtc"))
