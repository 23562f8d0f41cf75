"""The houses of a file of attacks, started when first asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks.house import Street


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    with Street(tmp_path_factory.mktemp("attacks")) as standing:
        yield standing
