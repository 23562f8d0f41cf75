"""One real Penny for all end-to-end tests: `python -m penny serve`, embedded engines, no key."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from config.telephony import TelephonySection
from penny.telephony.reception import read_reception
from penny.telephony.store import TelephonyStore
from tests.doubles.process import running_process, write_config
from tests.penny.telephony.shapes import an_fxo


@pytest.fixture(scope="session")
def phones(tmp_path_factory: pytest.TempPathFactory) -> TelephonyStore:
    """The lines of its Asterisk: one gateway with one number."""
    folder = tmp_path_factory.mktemp("phones")
    asterisk = {"enabled": True, "wire": "websocket"}
    section = TelephonySection.model_validate({"folder": str(folder), "asterisk": asterisk})
    store = TelephonyStore(folder, section, {})
    store.save("default", read_reception(an_fxo()))
    return store


@pytest.fixture(scope="session")
def penny_url(tmp_path_factory: pytest.TempPathFactory, phones: TelephonyStore) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("penny")
    telephony: dict[str, object] = {
        "folder": str(phones.files.parent),
        "asterisk": {"enabled": True, "wire": "websocket"},
    }
    config = write_config(folder, telephony=telephony)
    with running_process(config, folder / "penny.log") as (url, _):
        yield url
