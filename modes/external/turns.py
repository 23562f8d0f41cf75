"""The caller's turns: speech, words, the end of a turn, and facts for its answer. Pure."""

from __future__ import annotations

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
    item_id = event["item_id"]
    s.is_speaking = True
    s.speech_from_ms = s.position_ms - ONSET_MS
    s.deadlines.pop("commit", None)
    s.deadlines["speech"] = s.now_s + SPEECH_S
    for kind in ("say", "filler"):
        s.wishes.pop(kind, None)
    _continue(s, item_id)
    s.speech_item = item_id
    begin_turn(s, item_id)
    return event


def speech_stopped(s: CallState, event: Json) -> Json:
    # The commitment that follows ends the speech: nothing may be said between the two.
    s.stopped = {event["item_id"]}
    s.deadlines.pop("speech", None)
    s.after("commit", COMMIT_S)
    return event


def committed(s: CallState, event: Json) -> Json:
    item_id = event["item_id"]
    s.speech_item = ""
    _silent(s)
    _continue(s, item_id)
    item = begin_turn(s, item_id)
    item.from_ms, item.until_ms = s.speech_from_ms or 0.0, s.position_ms
    s.speech_from_ms = None
    if item_id in s.stopped and s.view.wants_answers:  # a commit alone never asks for an answer
        s.unanswered = item_id
        if s.view.creates:
            answer(s, item, Wish("answer"))
    return {**event, "previous_item_id": s.conversation.visible_before(item_id)}


def begin_turn(s: CallState, item_id: str) -> ConversationItem:
    before = s.turn
    item = s.conversation.begin_turn(item_id)
    if s.turn != before:
        s.continued = ""
        s.context.turn_began(s.turn, s.now_s)
    return item


def _continue(s: CallState, item_id: str) -> None:
    """Speech that was replayed after a drop is the turn it was, not another one."""
    old_id, s.continued = s.continued, ""
    if old_id and old_id != item_id:
        s.conversation.continue_turn(old_id, item_id)
        s.tell({"type": "penny.turn_continued", "item_id": item_id, "continues": old_id})


def _silent(s: CallState) -> None:
    s.is_speaking = False
    s.deadlines.pop("speech", None)
    s.deadlines.pop("commit", None)


# -- words ----------------------------------------------------------------------------------------


def words_so_far(s: CallState, event: Json) -> Json | None:
    item = s.conversation.get(event["item_id"])
    if item is not None and not item.is_final:
        item.words += event.get("delta") or ""
        s.do("partial", (item.id, item.words, item.turn))
    return event if s.view.shows_words else None


def words_final(s: CallState, event: Json) -> Json | None:
    item = s.conversation.get(event["item_id"])
    if item is not None:
        item.words, item.is_final = event.get("transcript") or "", True
        turn_known(s, item)
        if not item.words.strip() and s.unanswered == item.id and not s.view.creates:
            s.unanswered = ""  # a noise: a server may well have nothing to say to it
        _words_known(s, item)
        if s.able is not None and s.able.answers_by_itself and s.timing.facts_s and s.has_brain:
            # Nobody waits for them, but they are there before it has said much.
            s.do("look_up", (item.id, item.turn, item.words))
    if s.view.shows_words:
        return event
    return {"type": "penny.transcription_usage", "usage": event.get("usage")}


def words_failed(s: CallState, event: Json) -> Json | None:
    item = s.conversation.get(event["item_id"])
    if item is not None:
        item.is_final = True
        _words_known(s, item)
    return event if s.view.shows_words else None


def turn_known(s: CallState, item: ConversationItem) -> None:
    """A turn's words are final."""
    s.do("final", (item.id, item.words, item.turn, s.now_s))


# -- facts for the answer -------------------------------------------------------------------------


def answer(s: CallState, item: ConversationItem, wish: Wish) -> None:
    """Ask for an answer to a turn, behind the facts for it if they are found in time."""
    if not s.has_brain or not s.timing.facts_s:
        s.wishes[wish.kind] = wish
        return
    s.waiting[item.id] = wish
    s.deadlines[f"facts {item.id}"] = s.now_s + s.timing.facts_s * WORDS_SHARE
    if item.is_final:
        _words_known(s, item)


def _words_known(s: CallState, item: ConversationItem) -> None:
    if item.id in s.waiting:
        s.deadlines[f"facts {item.id}"] = s.now_s + s.timing.facts_s
        s.do("look_up", (item.id, item.turn, item.words))


def facts_found(s: CallState, found: tuple[str, Folio | None]) -> None:
    item_id, folio = found
    wish = s.waiting.pop(item_id, None)
    began_s = s.deadlines.pop(f"facts {item_id}", s.now_s) - s.timing.facts_s
    if wish is None and not (s.able is not None and s.able.answers_by_itself):
        return  # too late: it is being answered
    if folio is not None:
        s.context.offer(folio, s.turn, s.now_s)
    if wish is not None:
        s.wishes[wish.kind] = wish
        outcome = "placed" if folio is not None else "nothing_found"
        _note_facts(s, item_id, outcome, folio, s.now_s - began_s)


def _note_facts(
    s: CallState, item_id: str, outcome: str, folio: Folio | None, waited_s: float
) -> None:
    item = s.conversation.get(item_id)
    turn = item.turn if item is not None else s.turn
    passages = len(folio.passages) if folio is not None else 0
    waited_ms = round(1000 * waited_s, 1)
    s.journal("facts", turn=turn, outcome=outcome, passages=passages, waited_ms=waited_ms)


# -- deadlines ------------------------------------------------------------------------------------


def overdue(s: CallState, name: str) -> None:
    """One of this part's deadlines has come."""
    if name in ("speech", "commit"):
        _silent(s)
        item = s.conversation.get(s.speech_item)
        s.speech_item, s.speech_from_ms = "", None
        if item is not None and s.view.wants_answers:
            s.unanswered = item.id  # the event that ends the turn was lost
            if s.view.creates:
                s.wishes.setdefault("answer", Wish("answer"))
        return
    item_id = name.removeprefix("facts ")
    item = s.conversation.get(item_id)
    if item is not None and not item.is_final and item_id in s.waiting and item.words:
        item.is_final = True  # as far as it is known: later words change no search
        _words_known(s, item)
        item.is_final = False
    elif (wish := s.waiting.pop(item_id, None)) is not None:
        s.wishes[wish.kind] = wish
        _note_facts(s, item_id, "too_late", None, s.timing.facts_s)


# -- a replaced upstream --------------------------------------------------------------------------


def unheard(s: CallState) -> ConversationItem | None:
    """The turn without a transcript whose answer is due: the next upstream hears it again."""
    item = s.conversation.get(s.conversation.newest_turn_id())
    if item is None or item.is_final or not item.until_ms:
        return None
    return item if s.unanswered == item.id or "answer" in s.wishes else None


def lost(s: CallState) -> None:
    """Who speaks will be heard by the next upstream, as another item."""
    for item_id in list(s.waiting):
        s.deadlines.pop(f"facts {item_id}", None)
        wish = s.waiting.pop(item_id)
        s.wishes.setdefault(wish.kind, wish)
    again = unheard(s)
    s.continued = s.speech_item or (again.id if again is not None else "")
    _silent(s)


def attached(s: CallState) -> None:
    """A turn without words is not in the seed: its audio was replayed, its end is found again."""
    if not s.continued:
        return
    if s.view.detects_turns:
        if s.wishes.pop("answer", None) is not None or s.view.wants_answers:
            s.unanswered = s.continued
    elif unheard(s) is not None:
        s.send({"type": "input_audio_buffer.commit"})  # nobody else finds its end


def replay_from_ms(s: CallState) -> float | None:
    """Where the audio begins that the next upstream must hear; None: nothing but its preroll."""
    if s.speech_from_ms is not None:
        return max(0.0, s.speech_from_ms)
    again = unheard(s)
    return None if again is None else max(0.0, again.from_ms)
