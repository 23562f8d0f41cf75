"""Wiring that every test shares."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import hypothesis
import pytest

from tests.virtual_time import VirtualTimeLoop


# A busy machine is no failure: how long one example takes is not what these tests are about.
hypothesis.settings.register_profile("penny", deadline=None)
hypothesis.settings.load_profile("penny")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests marked ``virtual_time`` run on a clock that jumps, all others on asyncio's own loop."""
    if item.get_closest_marker("virtual_time") is not None:
        return {"virtual": VirtualTimeLoop}
    return {"asyncio": asyncio.new_event_loop}
