"""Wiring that every test shares."""

from __future__ import annotations

import asyncio
import atexit
import gc
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import hypothesis
import pytest

from tests.doubles.operator import HOUSE_KEY
from tests.virtual_time import VirtualTimeLoop


CATEGORIES = ("pure", "virtual_time", "socket", "process", "engines", "browser", "slow")
LONGEST_FIRST = ("slow", "engines", "process", "browser", "socket", "virtual_time", "pure")
"""So that a run on several processes does not end with one file that takes minutes."""
LEAVES_THE_PROCESS = frozenset(
    {"socket.bind", "socket.connect", "subprocess.Popen", "os.fork", "os.posix_spawn"}
)
"""Audit events of Python that a test marked ``pure`` or ``slow`` may not cause."""

READER = "kb.sources.child"
"""The process in which the knowledge base reads documents: any test with documents starts it."""

os.environ["PENNY_ADMIN_API_KEY"] = HOUSE_KEY

gc.disable()  # until the tests run: a quarter of the time it takes to read them
atexit.register(gc.freeze)  # nothing of millions of objects is looked through as the process ends

# A busy machine is no failure: how long one example takes is not what these tests are about.
# The same commit gives the same answer; --hypothesis-profile=explore draws anew.
hypothesis.settings.register_profile("penny", deadline=None, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=1000)
hypothesis.settings.register_profile("fast", deadline=None, max_examples=20)  # make test-fast
hypothesis.settings.load_profile("penny")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tests marked ``virtual_time`` run on a clock that jumps, all others on asyncio's own loop."""
    if item.get_closest_marker("virtual_time") is not None:
        return {"virtual": VirtualTimeLoop}
    return {"asyncio": asyncio.new_event_loop}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse tests without a category; put files first whose tests take long."""
    bare = {
        item.location[0]
        for item in items
        if not any(item.get_closest_marker(category) for category in CATEGORIES)
    }
    if bare:
        raise pytest.UsageError(
            f"no category in {', '.join(sorted(bare))}; begin the module with "
            f"pytestmark = pytest.mark.<{'|'.join(CATEGORIES)}> (pytest --markers explains them)"
        )
    ranks: dict[str, int] = {}
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        rank = min(LONGEST_FIRST.index(each) for each in marks & set(CATEGORIES))
        ranks[item.location[0]] = min(rank, ranks.get(item.location[0], rank))
    items.sort(key=lambda item: ranks[item.location[0]])


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """From here on garbage is collected, but not among all that was imported."""
    gc.freeze()
    gc.enable()


class _Purity:
    """An audit hook cannot be taken out again: it is there once, and asks what runs now."""

    running = ""

    def __call__(self, event: str, arguments: Any) -> None:
        if self.running and event in LEAVES_THE_PROCESS and READER not in str(arguments):
            raise AssertionError(f"{self.running} is marked pure and caused {event}")


_PURITY = _Purity()
sys.addaudithook(_PURITY)


@pytest.fixture(autouse=True)
def pure_tests_stay_in_the_process(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that is marked ``pure`` or ``slow`` and leaves its process all the same."""
    node = request.node
    markers = {mark.name for mark in node.iter_markers()}
    is_pure = bool(markers & {"pure", "slow"}) and not markers & set(CATEGORIES[1:-1])
    _PURITY.running = node.nodeid if is_pure else ""
    yield
    _PURITY.running = ""
