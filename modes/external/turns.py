"""The caller's turns: speech, words, the end of a turn, and facts for its answer. Pure."""

from __future__ import annotations

from functools import partial

from brain.folio import Folio
from modes.external.conversation import ConversationItem
from modes.external.state import CallState, Json, Wish


ONSET_MS = 1_000
"""Audio before ``speech_started`` arrives that belongs to the speech: padding and detection."""
COMMIT_S = 2.0
"""Speech that stopped and was not committed in this time is over all the same."""
SPEECH_S = 60.0
"""Speech whose end does not come in this time has ended: the event was lost."""
WORDS_SHARE = 0.7
"""Of the facts' budget, what the words may take; the rest is the search's and the placement's."""


def speech_started(s: CallState, event: Json) -> Json:
    s.is_speaking = True
    s.speech_from_ms = s.position_ms - ONSET_MS
    s.drop_due("commit")
    s.set_due("speech", SPEECH_S, _speech_is_over)
    s.wishes.pop("say", None)
    s.wishes.pop("filler", None)
    s.speech_item = event["item_id"]
    _begin_turn(s, s.speech_item)
    return event


def speech_stopped(s: CallState, event: Json) -> Json:
    # The commitment that follows ends the speech: nothing may be said between the two.
    s.stopped = event["item_id"]
    s.drop_due("speech")
    s.set_due("commit", COMMIT_S, _speech_is_over)
    return event


def committed(s: CallState, event: Json) -> Json:
    item_id = event["item_id"]
    s.speech_item = ""
    _silent(s)
    item = _begin_turn(s, item_id)
    from_ms = s.buffer_from_ms if s.speech_from_ms is None else s.speech_from_ms
    item.from_ms, item.until_ms = from_ms, s.position_ms
    s.speech_from_ms = None
    if item_id == s.stopped and s.view.wants_answers:  # a commit alone never asks for an answer
        s.unanswered = item_id
        if s.view.creates:
            answer(s, item, Wish("answer"))
    return {**event, "previous_item_id": s.conversation.visible_before(item_id)}


def _begin_turn(s: CallState, item_id: str) -> ConversationItem:
    """The turn of a spoken item; speech that was replayed after a drop is the turn it was."""
    old_id, s.continued = s.continued, ""
    if old_id and old_id != item_id:
        s.conversation.continue_turn(old_id, item_id)
        s.do("tell", {"type": "penny.turn_continued", "item_id": item_id, "continues": old_id})
    before = s.turn
    item = s.conversation.begin_turn(item_id)
    if s.turn != before:
        s.context.turn_began(s.turn)
    return item


def _silent(s: CallState) -> None:
    s.is_speaking = False
    s.drop_due("speech", "commit")


def _speech_is_over(s: CallState) -> None:
    """The event that ends the speech was lost."""
    _silent(s)
    item = s.conversation.get(s.speech_item)
    s.speech_item, s.speech_from_ms = "", None
    if item is not None and s.view.wants_answers:
        s.unanswered = item.id
        if s.view.creates:
            s.wish(Wish("answer"))


def words_so_far(s: CallState, event: Json) -> Json | None:
    item = s.conversation.get(event["item_id"])
    if item is not None and not item.is_final:
        item.words += event.get("delta") or ""
        s.do("partial", (item.id, item.words, item.turn))
    return event if s.view.shows_words else None


def words_final(s: CallState, event: Json) -> Json | None:
    """The transcript, or that there is none."""
    item = s.conversation.get(event["item_id"])
    failed = event["type"].endswith(".failed")
    if item is not None:
        item.is_final = True
        if not failed:
            item.words = event.get("transcript") or ""
            turn_known(s, item)
            if not item.words.strip() and s.unanswered == item.id and not s.view.creates:
                s.unanswered = ""  # a noise: a server may well have nothing to say to it
        if item.id in s.waiting:
            _look_up(s, item)
        elif s.able is not None and s.able.answers_by_itself and s.facts_s and s.has_brain:
            # No answer waits for them, but they are there before it has said much.
            s.do("look_up", (item.id, item.turn, item.words))
    if s.view.shows_words:
        return event
    if failed:
        return None
    told = {name: event.get(name) for name in ("item_id", "transcript", "usage")}
    return {"type": "penny.transcription_usage", **told}


def turn_known(s: CallState, item: ConversationItem) -> None:
    """A turn's words are final."""
    s.do("final", (item.id, item.words, item.turn, s.now_s))


def answer(s: CallState, item: ConversationItem, wish: Wish) -> None:
    """Ask for an answer to a turn, behind the facts for it if they are found in time."""
    if not s.has_brain or not s.facts_s:
        s.wishes[wish.kind] = wish
        return
    s.waiting[item.id] = wish
    s.set_due(f"facts {item.id}", s.facts_s * WORDS_SHARE, partial(_facts_due, item.id))
    if item.is_final:
        _look_up(s, item)


def _look_up(s: CallState, item: ConversationItem) -> None:
    s.set_due(f"facts {item.id}", s.facts_s, partial(_too_late, item.id))
    s.do("look_up", (item.id, item.turn, item.words))


def facts_found(s: CallState, found: tuple[str, Folio | None]) -> None:
    item_id, folio = found
    due = s.deadlines.pop(f"facts {item_id}", None)
    is_waiting = item_id in s.waiting
    if not is_waiting and not (s.able is not None and s.able.answers_by_itself):
        return  # too late: it is being answered
    if folio is not None:
        s.context.offer(folio)
    if is_waiting:
        waited_s = 0.0 if due is None else s.now_s - due[0] + s.facts_s
        _answer_now(s, item_id, "nothing_found" if folio is None else "placed", folio, waited_s)


def _facts_due(item_id: str, s: CallState) -> None:
    """The words are not final: search with what is known, or answer without."""
    item = s.conversation.get(item_id)
    if item is not None and item.words and item_id in s.waiting:
        _look_up(s, item)
    else:
        _too_late(item_id, s)


def _too_late(item_id: str, s: CallState) -> None:
    _answer_now(s, item_id, "too_late", None, s.facts_s)


def _answer_now(
    s: CallState, item_id: str, outcome: str, folio: Folio | None, waited_s: float
) -> None:
    wish = s.waiting.pop(item_id, None)
    if wish is None:
        return
    s.wishes[wish.kind] = wish
    passages, waited_ms = len(folio.passages) if folio is not None else 0, round(1000 * waited_s, 1)
    about = {"outcome": outcome, "passages": passages, "waited_ms": waited_ms}
    s.tell("penny.note", note="facts", item_id=item_id, **about)


def _unheard(s: CallState) -> ConversationItem | None:
    """The turn without a transcript whose answer is due: the next upstream hears it again."""
    item = s.conversation.get(s.conversation.newest_turn_id())
    if item is None or item.is_final or not item.until_ms:
        return None
    return item if s.unanswered == item.id or "answer" in s.wishes else None


def lost(s: CallState) -> None:
    """Speech in progress will be heard by the next upstream, as another item."""
    for item_id, wish in s.waiting.items():
        s.drop_due(f"facts {item_id}")
        s.wish(wish)
    s.waiting.clear()
    again = _unheard(s)
    s.continued = s.speech_item or (again.id if again is not None else "")
    _silent(s)


def attached(s: CallState) -> None:
    """A turn without words is not in the seed: its audio was replayed, its end is found again."""
    if not s.continued or not s.view.detects_turns:
        return
    if s.wishes.pop("answer", None) is not None or s.view.wants_answers:
        s.unanswered = s.continued


def replay_from_ms(s: CallState) -> float | None:
    """Where the audio begins that the next upstream must hear; None: nothing but its preroll."""
    if s.speech_from_ms is not None:
        return max(0.0, s.speech_from_ms)
    again = _unheard(s)
    if again is not None:
        return max(0.0, again.from_ms)
    return None if s.view.detects_turns else s.buffer_from_ms


def replayed_requests(s: CallState) -> list[tuple[float, Json]]:
    """What stands between that audio, and behind how much: commits and clears, oldest first."""
    requests = [
        (at_ms, {**s.pending[event_id], "event_id": event_id})
        for event_id, at_ms in s.asked_ms.items()
        if event_id in s.pending
    ]
    again = _unheard(s)
    if again is not None and not s.view.detects_turns:
        # Its end is found by no one else.
        requests.insert(0, (again.until_ms, {"type": "input_audio_buffer.commit"}))
    return requests
