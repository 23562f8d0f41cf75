"""Transcription sessions through the gateway, private and at a vendor (a second Penny)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from config.schema import Config
from penny.gateway.app import Gateway
from tests.doubles.engines import FixedStt
from tests.doubles.house import NO_VECTORS, make_engines, running_penny
from tests.doubles.realtime_client import RealtimeClient, connected_to
from tests.doubles.speech import silence, speak
from tests.modes.external.gateways import external_only


pytestmark = pytest.mark.engines

Json = dict[str, Any]

MODES = ("SELF_HOSTED", "EXTERNAL")
COMPLETED = "conversation.item.input_audio_transcription.completed"


@asynccontextmanager
async def penny(mode: str, *words: str) -> AsyncIterator[str]:
    """The address of a Penny of that default mode whose ears hear ``words``, turn by turn."""
    async with running_penny(make_engines(FixedStt(*words))) as own:
        if mode == "SELF_HOSTED":
            yield own
            return
        vendor = {"portavoz_base_url": f"{own}/v1", "portavoz_model": "penny"}
        sections = {
            "penny": {"modes": {"EXTERNAL": vendor}},
            "brain": {"enabled": False},
            "speaker": {"transcription_model": "ears"},
            "kb": NO_VECTORS,
        }
        gateway = Gateway(external_only(Config.model_validate(sections)))
        try:
            await gateway.start("127.0.0.1", 0)
            yield f"http://127.0.0.1:{gateway.port}"
        finally:
            await gateway.stop(drain_s=1.0)


async def configure(client: RealtimeClient, **session: Any) -> Json:
    await client.send("session.update", session={"type": "transcription", **session})
    return dict((await client.until("session.updated"))["session"])


async def mint(url: str, session: Json) -> Json:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}/v1/realtime/client_secrets", json={"session": session}) as answer,
    ):
        assert answer.status == 200, await answer.text()
        return dict(await answer.json())


@pytest.mark.parametrize("mode", MODES)
async def test_turns_that_the_server_finds_are_transcribed_and_not_answered(mode: str) -> None:
    async with (
        penny(mode, "buenos días", "adiós") as url,
        connected_to(url, "intent=transcription") as client,
    ):
        created = (await client.until("session.created"))["session"]
        assert (created["type"], created["object"]) == (
            "transcription",
            "realtime.transcription_session",
        )
        assert "model" not in created
        assert not [key for key in created if key.startswith("penny")]
        heard = {"transcription": {"model": "gpt-4o-mini-transcribe", "language": "es"}}
        session = await configure(client, audio={"input": heard})
        assert session["audio"]["input"]["transcription"]["language"] == "es"
        turn = silence(300) + speak("buenos días") + silence(1500)
        for words in ("buenos días", "adiós"):
            await client.stream(turn)
            assert (await client.until(COMPLETED))["transcript"] == words
        assert client.kinds().count("input_audio_buffer.committed") == 2
        assert not [kind for kind in client.kinds() if kind.startswith("response")]


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_commits_by_itself_where_nothing_finds_turns(mode: str) -> None:
    async with (
        penny(mode, "uno", "dos") as url,
        connected_to(url, "intent=transcription") as client,
    ):
        await configure(client, audio={"input": {"turn_detection": None}})
        for words in ("uno", "dos"):
            await client.stream(speak("uno"))
            await client.send("input_audio_buffer.commit")
            committed = await client.until("input_audio_buffer.committed")
            completed = await client.until(COMPLETED)
            assert (completed["item_id"], completed["transcript"]) == (committed["item_id"], words)
            assert completed["usage"]["total_tokens"] > 0
        assert "input_audio_buffer.speech_started" not in client.kinds()


@pytest.mark.parametrize("mode", MODES)
async def test_what_it_cannot_have_is_refused_by_name_and_it_goes_on(mode: str) -> None:
    async with penny(mode, "hola") as url, connected_to(url, "intent=transcription") as client:
        await client.send("response.create")
        assert (await client.the_error())["code"] == "unsupported_event"
        logprobs = {"type": "transcription", "include": ["item.input_audio_transcription.logprobs"]}
        await client.send("session.update", session=logprobs)
        assert (await client.the_error())["param"] == "session.include[0]"
        await client.stream(silence(300) + speak("hola") + silence(1500))
        assert (await client.until(COMPLETED))["transcript"] == "hola"


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_secret_opens_the_transcription_session_it_was_minted_for(mode: str) -> None:
    wanted = {"type": "transcription", "audio": {"input": {"turn_detection": None}}}
    async with penny(mode, "hola") as url:
        secret = await mint(url, wanted)
        assert secret["session"]["type"] == "transcription"
        shown = {"protocols": ("realtime", f"openai-insecure-api-key.{secret['value']}")}
        async with connected_to(url, "", **shown) as client:
            created = (await client.until("session.created"))["session"]
            assert created["type"] == "transcription"
            assert created["audio"]["input"]["turn_detection"] is None
            await client.stream(speak("hola"))
            await client.send("input_audio_buffer.commit")
            assert (await client.until(COMPLETED))["transcript"] == "hola"
