"""Server-sent events, cut anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpod_worker.server_events import MAX_EVENT_BYTES, ServerEvents


STREAM = (
    b': comment\n\nevent: x\ndata: {"a": 1}\n\ndata:dos\r\ndata: l\xc3\xadneas\r\n\r\n\n'
    b"data: [DONE]\n\n"
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_cut_of_the_bytes_gives_the_same_events(cuts: list[int]) -> None:
    events = ServerEvents()
    edges = [0, *sorted(cuts), len(STREAM)]

    found = [
        data
        for start, end in zip(edges, edges[1:], strict=False)
        for data in events.feed(STREAM[start:end])
    ]

    assert found == ['{"a": 1}', "dos\nlíneas", "[DONE]"]


def test_an_event_without_end_is_refused() -> None:
    events = ServerEvents()

    with pytest.raises(ValueError, match="longer than"):
        events.feed(b"data: " + b"x" * (MAX_EVENT_BYTES + 1))
