"""conversation.item.retrieved with audio: the newest items', in the session's format, bounded."""

from __future__ import annotations

import base64
from itertools import count
from typing import Any

import pytest

from penny.realtime import commands as c
from penny.realtime.kept_audio import KeptAudio
from tests.penny.realtime.talk import MS, Talk, the


pytestmark = pytest.mark.pure


def tone(ms: int, start: int = 0) -> bytes:
    """Bytes of which no two milliseconds are the same."""
    numbers = count(start)
    return b"".join(next(numbers).to_bytes(2, "little") * (MS // 2) for _ in range(ms))


def append(talk: Talk, pcm: bytes) -> None:
    talk.send("input_audio_buffer.append", audio=base64.b64encode(pcm).decode())


def retrieved(talk: Talk, item_id: str) -> Any:
    (event,) = talk.send("conversation.item.retrieve", item_id=item_id)
    part = event["item"]["content"][-1]
    return base64.b64decode(part["audio"]) if part.get("audio") else None


def test_a_turn_is_shown_with_the_audio_of_its_own_span() -> None:
    talk = Talk(kept_audio_ms=10_000)
    heard = tone(1500)
    append(talk, heard)
    talk.report(c.SpeechStarted(200), c.SpeechStopped(1000))
    item_id = talk.last_command(c.CommitBuffer).item_id
    assert retrieved(talk, item_id) == heard[200 * MS : 1000 * MS]


def test_an_answer_is_shown_with_what_was_heard_of_it() -> None:
    talk = Talk(kept_audio_ms=10_000)
    response_id = talk.respond()
    said = tone(800)
    told = talk.report(c.PhraseDelta(response_id, "uno dos"), c.AudioDelta(response_id, said))
    item_id = the(told, "conversation.item.added")["item"]["id"]
    talk.report(c.GenerationDone(response_id))
    assert retrieved(talk, item_id) == said
    talk.truncate(item_id, 300)
    assert retrieved(talk, item_id) == said[: 300 * MS]


def test_a_clients_own_audio_comes_back_and_goes_with_its_item() -> None:
    talk = Talk(kept_audio_ms=10_000)
    sound = tone(100)
    part = {"type": "input_audio", "audio": base64.b64encode(sound).decode()}
    words = {"type": "input_text", "text": "escuche"}
    item = {"type": "message", "role": "user", "content": [words, part]}
    item_id = the(talk.create(item), "conversation.item.added")["item"]["id"]
    assert retrieved(talk, item_id) == sound
    talk.send("conversation.item.delete", item_id=item_id)
    assert talk.core._state.audio.find(item_id) == b""


def test_it_is_shown_in_the_sessions_format() -> None:
    talk = Talk(kept_audio_ms=10_000)
    talk.update(audio={"input": {"format": {"type": "audio/pcmu"}}})
    append(talk, bytes([0xFF]) * 8 * 500)
    talk.send("input_audio_buffer.commit")
    item_id = talk.last_command(c.CommitBuffer).item_id
    wire = retrieved(talk, item_id)
    assert len(wire) == pytest.approx(8 * 500, abs=8 * 5)
    assert set(wire) <= {0xFF, 0x7F}


def test_without_room_for_it_items_are_shown_without_audio() -> None:
    talk = Talk()
    append(talk, tone(500))
    talk.send("input_audio_buffer.commit")
    assert retrieved(talk, talk.last_command(c.CommitBuffer).item_id) is None


def test_the_oldest_items_lose_theirs_first_and_nothing_grows_beyond_the_limit() -> None:
    kept = KeptAudio(100)
    for number in range(30):
        kept.hear(tone(10, number * 10))
        kept.commit(f"item_{number}", number * 10, number * 10 + 10)
    assert [bool(kept.find(f"item_{number}")) for number in (0, 19, 20, 29)] == [
        False,
        False,
        True,
        True,
    ]
    assert kept.find("item_29") == tone(10, 290)
    assert len(kept._heard) == 100 * MS
    kept.add("item_29", tone(200))
    assert kept.find("item_29") == b""
    assert kept._kept == 0
