"""The key of a query or a claim: said in groups, kept, found and told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from brain.actions import ActionDesk
from brain.tool_desk import ActionRunner, ToolDesk
from config.brain import Action
from penny.calls.query import CallQuery
from penny.calls.record import measure
from penny.calls.store import CallStore
from penny.calls.tracking import SIGNS, new_key, spell
from penny.webhooks.telling import events_of
from tests.penny.calls.test_sound import Kept


pytestmark = pytest.mark.engines

Json = dict[str, Any]

CLAIM = Action(description="abre una reclamación", callable="penny.calls.tracking:open_claim")


def test_a_key_is_said_in_groups_and_no_two_are_alike() -> None:
    keys = {new_key() for _ in range(1000)}
    assert len(keys) == 1000
    assert set("".join(keys)) <= {*SIGNS, "-"}
    assert spell("K7M-4QX-29D") == "K 7 M, 4 Q X, 2 9 D"


@pytest.mark.parametrize("keeps_text", [True, False])
async def test_a_claim_is_in_the_record_the_search_and_the_event(
    tmp_path: Path, keeps_text: bool
) -> None:
    kept = Kept(tmp_path / "call", keeps_text=keeps_text)

    async def search(_query: str) -> Json:
        return {}

    runner = ActionRunner({"reclamar": CLAIM})
    desk = ToolDesk(
        ActionDesk({"reclamar": CLAIM}, "sess_1"),
        runner,
        search,
        lambda event: kept.speaker(event, 2000),
        lambda: "",
        {},
    )
    kept.hears("quiero reclamar", 0, "i1")
    kept.recorder.pause(1.5)  # numbers are masked meanwhile, and the key is none
    result = await desk.run("c1", "reclamar", "{}", 1, "quiero reclamar")
    kept.end(9000)
    call = kept.call()
    call.metrics = measure(call)
    (claim,) = call.claims
    assert (claim.action, claim.at_ms) == ("reclamar", 2000)
    assert claim.key in str(result)
    assert spell(claim.key) in str(result)
    store = CallStore(f"sqlite:///{tmp_path / 'calls.sqlite'}")
    await store.put(call)
    for asked, count in ((claim.key, 1), (claim.key.lower().replace("-", " "), 1), ("K0K", 0)):
        found, _ = await store.find("default", CallQuery(text=asked))
        assert len(found) == count
    again = await store.get("default", call.id)
    await store.aclose()
    assert again is not None
    assert again.claims == [claim]
    (ended,) = [event for event in events_of(call) if event.type == "call.ended"]
    assert ended.data["claims"] == [claim.key]
