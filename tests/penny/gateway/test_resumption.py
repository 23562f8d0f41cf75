"""A lost client comes back and has missed nothing: not an event, not a millisecond of audio."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.doubles.caller import Caller, calling
from tests.doubles.engines import FixedLlm
from tests.doubles.house import make_engines, running_penny


pytestmark = pytest.mark.engines

ANSWER = "Su factura vence el quince de enero. Son mil quinientos euros. Hasta pronto."


async def whole_answer(url: str) -> tuple[bytes, list[str]]:
    """What a caller who never loses the connection gets."""
    async with calling(url) as caller:
        await caller.send("session_start")
        await caller.until("session_started")
        await caller.send("text_input", text="hola")
        await caller.until("transcript_heard")
        return bytes(caller.audio), caller.kinds()


async def come_back(
    stack: AsyncExitStack, url: str, lost: Caller, token: str, received: int | None = None
) -> Caller:
    caller = await stack.enter_async_context(calling(url))
    await caller.send(
        "session_resume",
        resume_token=token,
        received=lost.received if received is None else received,
    )
    resumed = await caller.until("session_resumed")
    caller.received = lost.received if received is None else received
    assert resumed["lost_audio_ms"] == 0
    return caller


@pytest.mark.parametrize("missed", [0, 1, 7])
async def test_a_connection_lost_in_the_middle_of_an_answer_costs_nothing(missed: int) -> None:
    async with running_penny(make_engines(llm=FixedLlm(ANSWER))) as url, AsyncExitStack() as stack:
        audio, kinds = await whole_answer(url)

        first = await stack.enter_async_context(calling(url))
        await first.send("session_start")
        started = await first.until("session_started")
        assert started["capabilities"]["resume"] is True
        assert started["resume_within_ms"] == 30_000
        token = started["resume_token"]
        await first.send("text_input", text="hola")
        while len(first.audio) < 40 * 960:
            await first._receive("audio")
        first.vanish()
        # What the client never saw of what it was sent: the tail is taken away again.
        lost_frames = missed * 960
        kept = bytes(first.audio[: len(first.audio) - lost_frames])
        second = await come_back(stack, url, first, token, first.received - missed)
        heard = await second.until("transcript_heard")

    assert kept + bytes(second.audio) == audio
    assert heard["complete"] is True
    assert heard["text"] == ANSWER
    told = [kind for kind in first.kinds() + second.kinds() if kind != "session_resumed"]
    assert sorted(told) == sorted(kinds)


async def test_what_is_said_while_the_client_is_away_waits_for_it() -> None:
    async with running_penny() as url, AsyncExitStack() as stack:
        first = await stack.enter_async_context(calling(url))
        await first.send("session_start")
        token = (await first.until("session_started"))["resume_token"]
        await first.send("text_input", text="hola")
        first.vanish()
        second = await come_back(stack, url, first, token)
        final = await second.until("transcript_final", role="penny")
        assert final["text"].startswith("Su factura")
        await second.until("transcript_heard")
        await second.send("text_input", text="¿y ahora?")
        assert (await second.until("response_done"))["turn_id"] == "turn_2"


async def test_a_client_that_comes_back_learns_how_much_of_its_own_arrived() -> None:
    # In all connections together; the messages that open one do not count, one with a fault does.
    async with running_penny() as url, AsyncExitStack() as stack:
        caller = await stack.enter_async_context(calling(url))
        await caller.send("session_start")
        token = (await caller.until("session_started"))["resume_token"]
        arrived = []
        for said in (0, 3, 1):
            for _ in range(said):
                await caller.send("ping", nonce="1")
                await caller.until("pong")
            if said:
                await caller.send("no_such_message")
                await caller.until("error")
            caller.vanish()
            caller = await come_back(stack, url, caller, token)
            arrived.append(caller.events[0]["received"])
    assert arrived == [0, 4, 6]


async def test_a_client_may_be_lost_again_and_again() -> None:
    async with running_penny(make_engines(llm=FixedLlm(ANSWER))) as url, AsyncExitStack() as stack:
        audio, _ = await whole_answer(url)
        caller = await stack.enter_async_context(calling(url))
        await caller.send("session_start")
        token = (await caller.until("session_started"))["resume_token"]
        await caller.send("text_input", text="hola")
        heard = bytearray()
        for _ in range(4):
            already = len(caller.audio)
            while len(caller.audio) < already + 10 * 960:
                await caller._receive("audio")
            caller.vanish()
            heard += caller.audio
            caller = await come_back(stack, url, caller, token)
        await caller.until("transcript_heard")
        heard += caller.audio
    assert bytes(heard) == audio


async def test_a_half_open_connection_is_replaced_at_once() -> None:
    # The old socket never says that it is gone: a phone that changed its network.
    async with running_penny() as url, AsyncExitStack() as stack:
        first = await stack.enter_async_context(calling(url))
        await first.send("session_start")
        token = (await first.until("session_started"))["resume_token"]
        second = await come_back(stack, url, first, token)
        await second.send("text_input", text="hola")
        await second.until("response_done")
        await first.closed()
        assert "response_done" not in first.kinds()


async def test_a_token_opens_nothing_once_the_session_is_over() -> None:
    async with running_penny() as url:
        async with calling(url) as first:
            await first.send("session_start")
            token = (await first.until("session_started"))["resume_token"]
            await first.send("session_end")
            await first.closed()
        for wrong in (token, "resume_nobody"):
            async with calling(url) as second:
                await second.send("session_resume", resume_token=wrong, received=1)
                assert (await second.until("error"))["code"] == "resume_failed"
                assert await second.closed() == 4400


async def test_a_client_that_counts_wrong_is_told_and_loses_nothing() -> None:
    async with running_penny() as url, AsyncExitStack() as stack:
        first = await stack.enter_async_context(calling(url))
        await first.send("session_start")
        token = (await first.until("session_started"))["resume_token"]
        async with calling(url) as second:
            await second.send("session_resume", resume_token=token, received=1_000)
            assert (await second.until("error"))["code"] == "resume_failed"
        await first.send("ping", nonce="still here")
        await first.until("pong", nonce="still here")


async def test_a_client_that_stays_away_ends_its_session() -> None:
    async with running_penny(resume={"hold_s": 0.2}) as url, calling(url) as first:
        await first.send("session_start")
        token = (await first.until("session_started"))["resume_token"]
        first.vanish()
        async with asyncio.timeout(60):
            while True:
                async with calling(url) as late:
                    await asyncio.sleep(0.25)
                    await late.send("session_resume", resume_token=token, received=1)
                    if (await late.until("error"))["code"] == "resume_failed":
                        break


async def test_with_resuming_off_no_token_is_given() -> None:
    async with running_penny(resume={"hold_s": 0}) as url, calling(url) as caller:
        await caller.send("session_start")
        started = await caller.until("session_started")
        assert started["resume_token"] is None
        assert started["capabilities"]["resume"] is False
