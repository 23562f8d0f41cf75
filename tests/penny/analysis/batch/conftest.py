"""Both databases, as for kept calls, with no call in them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import delete

from penny.calls.store import CallStore
from penny.calls.tables import calls
from tests.penny.calls.conftest import postgres, url


__all__ = ["postgres", "url"]


@pytest.fixture
async def store(url: str) -> AsyncIterator[CallStore]:
    """An empty store of either kind."""
    store = CallStore(url)
    async with store.database.begin() as connection:
        await connection.execute(delete(calls))
    yield store
    await store.aclose()
