"""A rich conversation in both modes, with drops where it hurts: whatever a client is told of it has
the SDK's own types, strictly, and every request has its answer."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.fuzz.test_realtime_door import MODES, House, Json
from tests.realtime_schema import assert_server_event_valid


pytestmark = pytest.mark.slow

AUDIO = "AAAA" * 3_200  # 200 ms at 24 kHz


in_both_modes = pytest.mark.parametrize("house", list(MODES), indirect=True)


class Client:
    """Sends, and reads what is told of it."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._read = 0
        self.told: list[Json] = []

    def send(self, kind: str, **fields: Any) -> list[Json]:
        self._house.receive_event({"type": kind, **fields})
        return self.read()

    def read(self) -> list[Json]:
        news, self._read = self._house.told[self._read :], len(self._house.told)
        self.told += news
        return news

    def say(self, text: str, **fields: Any) -> str:
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        told = self.send("conversation.item.create", item=item, **fields)
        (added,) = (event for event in told if event["type"] == "conversation.item.added")
        return str(added["item"]["id"])

    def append(self) -> None:
        self.send("input_audio_buffer.append", audio=AUDIO)


@pytest.fixture
async def house(request: pytest.FixtureRequest) -> Any:
    wrong: list[str] = []
    house = House(wrong)
    speaker = await MODES[request.param](house)
    yield house
    await speaker.aclose()
    assert not wrong, wrong
    for event in house.told:
        assert_server_event_valid(event)
    ids = Counter(event["event_id"] for event in house.told)
    assert not [event_id for event_id, times in ids.items() if times > 1]


def the(told: list[Json], kind: str) -> Json:
    (found,) = (event for event in told if event["type"] == kind)
    return found


@in_both_modes
async def test_a_conversation_of_every_kind_with_a_drop_after_each_turn(house: House) -> None:
    client = Client(house)
    client.send("session.update", session={"type": "realtime", "instructions": "Sé breve."})
    first = client.say("hola")
    done = the(client.send("response.create"), "response.done")
    assert done["response"]["status"] == "completed"
    await house.replace()
    client.read()
    client.say("antes de todo", previous_item_id="root")
    aside = {"conversation": "none", "metadata": {"a": "b"}, "output_modalities": ["text"]}
    assert the(client.send("response.create", response=aside), "response.done")
    shown = the(
        client.send("conversation.item.retrieve", item_id=first), "conversation.item.retrieved"
    )
    assert shown["item"]["id"] == first
    answer = done["response"]["output"][0]["id"]
    cut = client.send(
        "conversation.item.truncate", item_id=answer, content_index=0, audio_end_ms=40
    )
    assert the(cut, "conversation.item.truncated")["item_id"] == answer
    await house.replace()
    client.read()
    for item_id in (first, answer):
        gone = client.send("conversation.item.delete", item_id=item_id)
        assert the(gone, "conversation.item.deleted")["item_id"] == item_id
    manual = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
    client.send("session.update", session=manual)
    client.append()
    assert the(client.send("input_audio_buffer.commit"), "input_audio_buffer.committed")
    assert the(client.send("input_audio_buffer.clear"), "input_audio_buffer.cleared")
    assert the(client.send("response.cancel"), "error")["error"]["code"] == (
        "response_cancel_not_active"
    )


@pytest.mark.parametrize(
    ("house", "aside"),
    [(mode, aside) for mode in MODES for aside in (False, True)],
    indirect=["house"],
)
async def test_an_answer_that_a_drop_cuts_is_closed_whole(house: House, aside: bool) -> None:
    client = Client(house)
    house.breaks_off = True
    client.say("hola")
    options: Json = {"conversation": "none"} if aside else {}
    begun = the(client.send("response.create", response=options), "response.created")["response"]
    house.breaks_off = False
    await house.replace()
    told = [
        e
        for e in client.read()
        if begun["id"] in (e.get("response_id"), e.get("response", {}).get("id"))
    ]
    kinds = [event["type"] for event in told]
    for kind in (
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
    ):
        assert kinds.count(kind) == 1, kinds
    done = told[-1]["response"]
    assert done["status"] in ("failed", "cancelled")
    assert done["output"][0]["status"] == "incomplete"
    assert done["usage"]["output_token_details"]["audio_tokens"] > 0


@in_both_modes
async def test_what_is_asked_while_nothing_answers_has_its_answer(house: House) -> None:
    client = Client(house)
    said = [client.say(f"hola {number}") for number in range(3)]
    manual = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
    client.send("session.update", session=manual)
    the(client.send("response.create"), "response.done")
    answer = client.told[-2 if client.told[-1]["type"] == "rate_limits.updated" else -1]
    item_id = answer["response"]["output"][0]["id"]
    house.lose()
    client.read()
    client.send("input_audio_buffer.append", audio=AUDIO)
    client.send("input_audio_buffer.clear")
    client.send("input_audio_buffer.append", audio=AUDIO)
    client.send("input_audio_buffer.commit")
    client.send("input_audio_buffer.append", audio=AUDIO)
    client.send("conversation.item.delete", item_id=said[0])
    client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=40)
    client.send("conversation.item.retrieve", item_id=said[1])
    client.send("response.cancel", event_id="mine")
    await house.recover()
    client.send("input_audio_buffer.commit")
    counted = Counter(event["type"] for event in client.told)
    for kind in (
        "conversation.item.deleted",
        "conversation.item.truncated",
        "input_audio_buffer.cleared",
    ):
        assert counted[kind] == 1, (kind, counted)
    assert counted["conversation.item.retrieved"] == 1, counted
    assert counted["input_audio_buffer.committed"] == 2, counted
    refused = [e["error"] for e in client.told if e["type"] == "error"]
    assert [(e["code"], e["event_id"]) for e in refused] == [("response_cancel_not_active", "mine")]


@in_both_modes
async def test_what_was_on_its_way_when_the_connection_broke_has_its_answer(house: House) -> None:
    client = Client(house)
    said = [client.say(f"hola {number}") for number in range(2)]
    manual = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
    client.send("session.update", session=manual)
    house.servers[-1].is_deaf = True
    client.append()
    client.send("input_audio_buffer.commit")
    client.send("conversation.item.delete", item_id=said[0])
    client.send("conversation.item.retrieve", item_id=said[1])
    client.send("input_audio_buffer.clear")
    assert not client.read()
    await house.replace()
    counted = Counter(event["type"] for event in client.read())
    for kind in (
        "input_audio_buffer.committed",
        "input_audio_buffer.cleared",
        "conversation.item.deleted",
        "conversation.item.retrieved",
    ):
        assert counted[kind] == 1, (kind, counted)


@in_both_modes
async def test_answers_owed_by_a_lost_server_are_not_given_once_cancelled(house: House) -> None:
    client = Client(house)
    house.breaks_off = True
    client.say("hola")
    client.send("response.create")
    house.lose()
    client.send("response.cancel")
    house.breaks_off = False
    await house.recover()
    client.read()
    ended = [e["response"]["id"] for e in client.told if e["type"] == "response.done"]
    begun = [e["response"]["id"] for e in client.told if e["type"] == "response.created"]
    assert begun == ended
    assert len(begun) == 1
