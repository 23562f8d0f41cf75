"""The two vendors of an EXTERNAL call, doubled.

Imported when wanted: the vendors' SDKs take two seconds, and every run reads this file.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest


if TYPE_CHECKING:
    from tests.doubles.anthropic_server import AnthropicDouble
    from tests.doubles.realtime_server import RealtimeDouble


@pytest.fixture
async def speaker() -> AsyncIterator[RealtimeDouble]:
    from tests.doubles.realtime_server import RealtimeDouble

    async with RealtimeDouble() as double:
        yield double


@pytest.fixture
async def claude() -> AsyncIterator[AnthropicDouble]:
    from tests.doubles.anthropic_server import AnthropicDouble

    async with AnthropicDouble() as double:
        yield double
