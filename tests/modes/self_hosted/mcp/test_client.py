"""What an MCP server streams, however the network cuts it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from modes.self_hosted.mcp.client import _messages


pytestmark = pytest.mark.pure

STREAM = b'event: message\r\ndata: {"id":1}\r\n\r\ndata: {"id":2}\r\n\r\n'


@pytest.mark.parametrize("at", range(1, len(STREAM)))
async def test_a_stream_is_read_wherever_it_is_cut(at: int) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield STREAM[:at]
        yield STREAM[at:]

    content = SimpleNamespace(iter_any=pieces)
    answer: Any = SimpleNamespace(content_type="text/event-stream", content=content)
    assert [message async for message in _messages(answer)] == [{"id": 1}, {"id": 2}]
