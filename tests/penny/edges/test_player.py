"""The player: what is due when, and what was heard when the caller cuts in."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penny.audio.format import PCM24K, AudioFormat
from penny.edges.player import Frame, ItemHeard, ItemSent, ItemStarted, Player


pytestmark = pytest.mark.pure


LEAD_MS = 100


def make_player(output: AudioFormat = PCM24K) -> Player:
    return Player(output, lead_ms=LEAD_MS, limit_ms=60_000)


def speak(player: Player, ms: int, *, item: str = "item_1", text: str = "hola mundo") -> None:
    player.queue_text(item, "resp_1", 0, text)
    assert player.queue_audio(item, "resp_1", 0, bytes(PCM24K.bytes_of(ms)))
    player.finish(item)


def play(player: Player, until_s: float, from_s: float = 0.0) -> list[tuple[float, object]]:
    """Everything that leaves, with its time, driving the player as a writer would."""
    out: list[tuple[float, object]] = []
    now_s = from_s
    while now_s <= until_s:
        out += [(now_s, due) for due in player.due(now_s)]
        next_s = player.next_due_s(now_s)
        if next_s is None:
            break
        now_s = max(next_s, now_s + 1e-6)
    return out


def test_frames_leave_every_20_ms_after_the_lead() -> None:
    player = make_player()
    speak(player, 400)
    frames = [at for at, due in play(player, 10.0) if isinstance(due, Frame)]
    assert len(frames) == 20
    # The lead leaves at once, then one frame every 20 ms on absolute deadlines.
    assert [round(at, 3) for at in frames[:6]] == [0.0] * 6
    assert [round(at, 3) for at in frames[6:]] == [round(0.02 * n, 3) for n in range(1, 15)]


def test_an_item_is_announced_sent_and_heard_in_that_order() -> None:
    player = make_player()
    speak(player, 400)
    kinds = [(at, due) for at, due in play(player, 10.0) if not isinstance(due, Frame)]
    (_, started), (sent_at, sent), (heard_at, heard) = kinds
    assert started == ItemStarted("item_1", "resp_1")
    assert sent == ItemSent("item_1", "resp_1", 400)
    assert round(sent_at, 2) == 0.28
    assert heard == ItemHeard("item_1", 400, "hola mundo")
    assert round(heard_at, 3) == 0.4


def test_an_underrun_starts_the_clock_again() -> None:
    player = make_player()
    player.queue_audio("item_1", "resp_1", 0, bytes(PCM24K.bytes_of(40)))
    play(player, 0.0)
    player.queue_audio("item_1", "resp_1", 0, bytes(PCM24K.bytes_of(40)))
    player.finish("item_1")
    heard = [at for at, due in play(player, 10.0, from_s=2.0) if isinstance(due, ItemHeard)]
    assert [round(at, 3) for at in heard] == [2.04]


def test_an_interruption_tells_the_words_heard_and_drops_the_rest() -> None:
    player = make_player()
    speak(player, 1000, text="uno dos tres cuatro cinco")
    play(player, 0.4)
    (cut,) = player.interrupt(0.5)
    assert cut.heard_ms == 500
    assert cut.heard_text + cut.cut_text == "uno dos tres cuatro cinco"
    assert cut.heard_text.startswith("uno dos")
    assert player.due(0.6) == []
    assert not player.is_playing(0.6)


def test_what_was_queued_behind_is_cut_with_nothing_heard() -> None:
    player = make_player()
    speak(player, 500, item="item_1")
    speak(player, 500, item="item_2")
    play(player, 0.2)
    first, second = player.interrupt(0.2)
    assert (first.item_id, second.item_id) == ("item_1", "item_2")
    assert first.heard_ms == 200
    assert second.heard_ms == 0


def test_deltas_that_come_after_the_cut_are_not_played() -> None:
    player = make_player()
    player.queue_audio("item_1", "resp_1", 0, bytes(PCM24K.bytes_of(500)))
    play(player, 0.1)
    player.interrupt(0.1)
    assert player.queue_audio("item_1", "resp_1", 0, bytes(PCM24K.bytes_of(500)))
    assert player.due(1.0) == []


def test_the_callers_own_report_counts_more_than_our_clock() -> None:
    player = make_player()
    speak(player, 1000)
    play(player, 0.5)
    player.report("item_1", 300, 0.5)
    (cut,) = player.interrupt(0.6)
    assert cut.heard_ms == 400


def test_a_report_beyond_what_was_sent_is_taken_as_what_was_sent() -> None:
    player = make_player()
    speak(player, 1000)
    play(player, 0.1)
    player.report("item_1", 90_000, 0.1)
    (cut,) = player.interrupt(0.1)
    assert cut.heard_ms == 220  # the lead and five frames


def test_the_last_report_ends_an_item_at_once() -> None:
    player = make_player()
    speak(player, 200)
    play(player, 0.1)
    player.report("item_1", 200, 0.25, ended=True)
    assert [d for d in player.due(0.25) if isinstance(d, ItemHeard)]


def test_what_is_held_goes_on_where_it_stopped() -> None:
    player = make_player()
    speak(player, 600)
    before = [due for _, due in play(player, 0.2) if isinstance(due, Frame)]
    player.hold(0.2)
    assert not [due for due in player.due(0.6) if isinstance(due, Frame)]
    assert player.is_playing(0.6)
    player.resume()
    after = [due for _, due in play(player, 5.0) if isinstance(due, Frame)]
    assert sum(PCM24K.ms_of(len(frame.data)) for frame in before + after) == 600


@pytest.mark.parametrize("has_ended", [True, False])
def test_what_was_cut_of_many_answers_is_no_memory(has_ended: bool) -> None:
    player = make_player()
    tracemalloc.start()
    try:
        for number in range(30):
            item, response = f"item_{number}", f"resp_{number}"
            player.queue_text(item, response, 0, "hola mundo")
            assert player.queue_audio(item, response, 0, bytes(PCM24K.bytes_of(10_000)))
            if has_ended:
                player.finish(item)
                player.forget(item)  # its response has ended too, while it plays
            play(player, number + 0.5, from_s=float(number))
            (cut,) = player.interrupt(number + 0.5)
            assert cut.heard_ms > 0
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept_bytes < PCM24K.bytes_of(10_000)


def test_a_hold_that_is_never_decided_ends_by_itself_and_with_an_interruption() -> None:
    player = make_player()
    speak(player, 400)
    player.hold(0.0)
    assert player.next_due_s(0.0) == Player.HOLD_S
    assert [due for due in player.due(Player.HOLD_S) if isinstance(due, Frame)]
    player.interrupt(1.1)
    speak(player, 40, item="item_2")
    assert [due for due in player.due(1.1) if isinstance(due, Frame)]


def test_audio_beyond_the_limit_is_refused_and_nothing_else_is_lost() -> None:
    player = Player(PCM24K, lead_ms=0, limit_ms=1000)
    assert player.queue_audio("item_1", "resp_1", 0, bytes(PCM24K.bytes_of(900)))
    assert not player.queue_audio("item_1", "resp_1", 0, bytes(PCM24K.bytes_of(200)))
    player.finish("item_1")
    sent = [due for _, due in play(player, 5.0) if isinstance(due, ItemSent)]
    assert sent == [ItemSent("item_1", "resp_1", 900)]


def test_g711_callers_get_frames_of_160_bytes() -> None:
    player = make_player(AudioFormat("pcmu", 8000))
    speak(player, 200)
    frames = [due for _, due in play(player, 5.0) if isinstance(due, Frame)]
    assert {len(frame.data) for frame in frames[:-1]} == {160}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 700), min_size=1, max_size=8),
    st.floats(0, 3, allow_nan=False),
)
def test_heard_never_exceeds_sent_nor_sent_what_was_queued(
    chunks_ms: list[int], cut_at_s: float
) -> None:
    player = make_player()
    for ms in chunks_ms:
        player.queue_audio("item_1", "resp_1", 0, bytes(PCM24K.bytes_of(ms)))
    sent = sum(
        PCM24K.ms_of(len(due.data)) for _, due in play(player, cut_at_s) if isinstance(due, Frame)
    )
    cuts = player.interrupt(cut_at_s)
    assert sent <= sum(chunks_ms) + 1e-6
    for cut in cuts:
        assert cut.heard_ms <= round(sent) <= sum(chunks_ms)
