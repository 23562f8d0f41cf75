"""One real Penny for all end-to-end tests: `python -m penny serve`, embedded engines, no key."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.doubles.process import running_process, write_config


@pytest.fixture(scope="session")
def penny_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("penny")
    with running_process(write_config(folder), folder / "penny.log") as (url, _):
        yield url
