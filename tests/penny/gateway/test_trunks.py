"""Rounds of a gateway's trunks: who is asked, who no more, and what the operator sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from config.telephony import TelephonySection
from penny.gateway.trunks import TrunkRounds
from penny.telephony.lines import Fxo, Trunk
from penny.telephony.probe import Probe, Step
from penny.telephony.reception import read_reception
from penny.telephony.store import TelephonyStore


pytestmark = pytest.mark.virtual_time

RESOLVED = Step("resolve", "ok", "resolved")
REFUSED = Step("register", "failed", "credentials_refused", {"status": 403})
TAKEN = Step("register", "ok", "credentials_accepted")


class Carrier:
    """A probe's place: what every trunk says, and how often it was asked."""

    def __init__(self) -> None:
        self.says = REFUSED
        self.asked: list[str | None] = []

    async def test(self, line: Fxo | Trunk, password: str | None) -> list[Step]:
        assert isinstance(line, Trunk)
        self.asked.append(password)
        return [RESOLVED, self.says]


def save(store: TelephonyStore, password: str, auth: str = "register") -> None:
    trunk: dict[str, Any] = {"host": "sip.example.com", "user": "acme", "password": password}
    trunk |= {"auth_type": auth, "dids": [{"number": "+34910000000", "label": "", "active": True}]}
    if auth == "ip_auth":
        trunk["match"] = ["203.0.113.7"]
    store.save("default", read_reception({"method": "carrier_grade", "carrier_grade": trunk}))


async def test_a_password_that_is_refused_is_tried_three_times_and_a_new_one_anew(
    tmp_path: Path,
) -> None:
    store = TelephonyStore(tmp_path, TelephonySection(), {})
    save(store, "old secret")
    carrier, now_s = Carrier(), 0.0
    rounds = TrunkRounds(store, cast(Probe, carrier), lambda: now_s)
    for _ in range(6):
        await rounds.ask_all()
    assert carrier.asked == ["old secret"] * 3
    (family,) = rounds.collect()
    assert [sample.labels["reason"] for sample in family.samples] == ["trunk_rejected"]
    state = store.read_state("default")
    assert (state["status"], state["code"]) == ("error", "credentials_refused")
    save(store, "new secret")
    carrier.says = TAKEN
    await rounds.ask_all()
    await rounds.ask_all()
    assert carrier.asked[3:] == ["new secret"] * 2
    assert [sample for family in rounds.collect() for sample in family.samples] == []
    assert store.read_state("default")["status"] == "connected"


async def test_a_trunk_that_is_known_by_its_address_is_not_asked(tmp_path: Path) -> None:
    store = TelephonyStore(tmp_path, TelephonySection(), {})
    save(store, "", "ip_auth")
    carrier = Carrier()
    await TrunkRounds(store, cast(Probe, carrier), lambda: 0.0).ask_all()
    assert carrier.asked == []
