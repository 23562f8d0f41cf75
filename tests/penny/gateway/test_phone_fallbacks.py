"""A hundred callers of a house that cannot talk: each hears the sentence, and is put through.

What Twilio does by itself is read from the document that it was given: with the stream lost, its
verbs after ``<Connect>`` come, unless it is told that the call is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import aiohttp
import pytest

from config.schema import Config
from penny.gateway.app import Gateway
from tests.doubles.house import make_engines, running_worker
from tests.doubles.twilio_api import TwilioApiDouble, twilio_api
from tests.doubles.twilio_stream import (
    ACCOUNT,
    AUTH_TOKEN,
    PUBLIC,
    TwilioStream,
    new_sid,
    post_webhook,
    read_connect,
    streaming,
    until,
    voice_form,
)


pytestmark = pytest.mark.engines

Json = dict[str, Any]

NUMBER, PERSON = "+34910000000", "+34911111111"
SAID = "Ahora no podemos atenderle. Le paso con una persona."
LIVE, LATE = 20, 30
"""A worker has twenty slots."""


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", AUTH_TOKEN)


def reaches_a_person(document: Element) -> bool:
    """What is left of it after the stream says the sentence, then rings the person."""
    verbs = [verb for verb in document if verb.tag != "Connect"]
    said = [verb.tag for verb in verbs] == ["Say", "Dial"]
    return said and verbs[0].text == SAID and verbs[1].findtext("Number") == PERSON


@asynccontextmanager
async def gateway_of(
    endpoint: str, api: TwilioApiDouble, folder: Path, places: int
) -> AsyncIterator[tuple[Gateway, str]]:
    fallback = {"say": SAID, "transfer": "soporte"}
    telephony = {
        "folder": str(folder),
        "numbers": {NUMBER: {"fallback": fallback}},
        "dialing": {"default": {"transfers": {"soporte": PERSON}}},
        "twilio": {
            "enabled": True,
            "account_sid": ACCOUNT,
            "public_url": PUBLIC,
            "api_url": api.url,
        },
    }
    sections: Json = {
        "penny": {"modes": {"SELF_HOSTED": {"endpoint": endpoint}}},
        "worker": {"replace_timeout_s": 0.5},
        "gateway": {"max_sessions": places},
        "calls": {"enabled": False},
        "telephony": telephony,
    }
    gateway = Gateway(Config.model_validate(sections))
    await gateway.start("127.0.0.1", 0)
    try:
        yield gateway, f"http://127.0.0.1:{gateway.port}"
    finally:
        await gateway.stop(drain_s=0.0)


class Callers:
    """Many at a time, and what each of their calls was told to do."""

    def __init__(self, http: aiohttp.ClientSession, url: str, api: TwilioApiDouble) -> None:
        self._http, self._url, self._api = http, url, api
        self.saved = 0

    async def call(self, streams: AsyncExitStack) -> tuple[Element, TwilioStream | None]:
        call_sid = new_sid()
        self._api.live.add(call_sid)
        answer = await post_webhook(self._http, self._url, "/twilio/voice", voice_form(call_sid))
        text = await answer.text()
        document = fromstring(text)
        if document.find("Connect") is None:
            return document, None
        _, parameters, _ = read_connect(text)
        opened = streaming(self._http, self._url, call_sid, parameters)
        return document, await streams.enter_async_context(opened)

    def count(self, document: Element, stream: TwilioStream | None) -> None:
        """After the end of its stream: nobody told Twilio that the call is over."""
        ended = {sid for sid, fields in self._api.updates if "Status" in fields}
        is_over = stream is not None and stream.call_sid in ended
        self.saved += reaches_a_person(document) and not is_over


async def test_with_worker_or_gateway_gone_or_full_a_hundred_of_a_hundred_reach_a_person(
    tmp_path: Path,
) -> None:
    async with twilio_api() as api, aiohttp.ClientSession() as http, AsyncExitStack() as streams:
        async with running_worker(make_engines()) as endpoint:
            house = gateway_of(endpoint, api, tmp_path / "a", LIVE)
            _, url = await streams.enter_async_context(house)
            callers = Callers(http, url, api)
            talking = [await callers.call(streams) for _ in range(LIVE)]
            await until(lambda: all(s is not None and s.loud_ms() > 0 for _, s in talking))
            full = [await callers.call(streams) for _ in range(LATE)]  # all places are taken
            await until(lambda: all(s is None or s.closed.is_set() for _, s in full))
        # The worker is gone, under those who talk and for those who call now.
        await until(lambda: all(s is not None and s.closed.is_set() for _, s in talking))
        late = [await callers.call(streams) for _ in range(LATE)]
        await until(lambda: all(s is None or s.closed.is_set() for _, s in late))
        async with (
            AsyncExitStack() as others,
            running_worker(make_engines()) as endpoint,
        ):
            async with gateway_of(endpoint, api, tmp_path / "b", LIVE) as (_, url):
                again = Callers(http, url, api)
                cut = [await again.call(others) for _ in range(LIVE)]
                await until(lambda: all(s is not None and s.loud_ms() > 0 for _, s in cut))
            # The gateway is gone.
            await until(lambda: all(s is not None and s.closed.is_set() for _, s in cut))
        for document, stream in (*talking, *full, *late, *cut):
            callers.count(document, stream)
    assert callers.saved == 100


async def test_none_of_a_hundred_who_call_a_gateway_that_drains_hears_busy(tmp_path: Path) -> None:
    gathered: list[str] = []
    async with twilio_api() as api, aiohttp.ClientSession() as http, AsyncExitStack() as streams:
        endpoint = await streams.enter_async_context(running_worker(make_engines()))
        old = gateway_of(endpoint, api, tmp_path / "a", LIVE)
        new = gateway_of(endpoint, api, tmp_path / "b", LIVE)
        (leaving, url), (_, other) = [await streams.enter_async_context(one) for one in (old, new)]
        _, stream = await Callers(http, url, api).call(streams)
        assert stream is not None
        await until(lambda: stream.loud_ms() > 0)
        stopping = asyncio.create_task(leaving.stop(drain_s=60.0))
        for _ in range(100):
            call_sid = new_sid()
            asked = await post_webhook(http, url, "/twilio/voice", voice_form(call_sid))
            again = fromstring(await asked.text()).findtext("Redirect") or ""
            path = again.removeprefix(PUBLIC)
            taken = await post_webhook(http, other, path, voice_form(call_sid))
            gathered += [each.tag for each in fromstring(await taken.text())]
        # None but the one that drains: a second time it is not sent round again.
        alone = await post_webhook(http, url, path, voice_form(new_sid()))
        assert reaches_a_person(fromstring(await alone.text()))
        await stream.stop()
        await stopping
    assert gathered.count("Connect") == 100
    assert "Reject" not in gathered
