"""The two vendors of an EXTERNAL call, doubled."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.doubles.anthropic_server import AnthropicDouble
from tests.doubles.realtime_server import RealtimeDouble


@pytest.fixture
async def speaker() -> AsyncIterator[RealtimeDouble]:
    async with RealtimeDouble() as double:
        yield double


@pytest.fixture
async def claude() -> AsyncIterator[AnthropicDouble]:
    async with AnthropicDouble() as double:
        yield double
