from __future__ import annotations

import asyncio

import pytest

from penny.aio.patience import Patience


pytestmark = pytest.mark.virtual_time


async def stay(patience: Patience, seconds: float) -> str:
    with patience:
        await asyncio.sleep(seconds)
    return "done"


async def test_a_call_that_returns_in_time_is_left_alone() -> None:
    patience = Patience(5)

    assert await stay(patience, 4.9) == "done"
    assert await stay(patience, 4.9) == "done"
    patience.close()


async def test_a_call_that_stays_too_long_ends_after_one_to_two_limits() -> None:
    patience = Patience(5)
    loop = asyncio.get_running_loop()
    await stay(patience, 1)
    begun_s = loop.time()

    with pytest.raises(TimeoutError):
        await stay(patience, 60)
    patience.close()

    assert 5 <= loop.time() - begun_s <= 10


async def test_only_the_call_that_stays_too_long_ends() -> None:
    patience = Patience(5)

    async def busy() -> str:
        for _ in range(100):
            await stay(patience, 0.5)
        return "done"

    slow, other = await asyncio.gather(stay(patience, 60), busy(), return_exceptions=True)
    patience.close()

    assert isinstance(slow, TimeoutError)
    assert other == "done"


async def test_a_cancelled_call_stays_cancelled() -> None:
    patience = Patience(5)
    task = asyncio.create_task(stay(patience, 60))
    await asyncio.sleep(1)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    patience.close()


async def test_an_error_inside_passes_through() -> None:
    patience = Patience(5)

    with pytest.raises(ConnectionError), patience:
        raise ConnectionError
    patience.close()

    assert await stay(patience, 0) == "done"
