"""After a reply: was it right, and did it say the correction it was to say?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from modes.external.speaker import Json


if TYPE_CHECKING:
    from modes.external.call import ExternalCall


log = structlog.get_logger()


class Review:
    """One per call."""

    def __init__(self, call: ExternalCall) -> None:
        self._call = call

    def look_at(self, response: Json, said: list[Json]) -> None:
        """A response of the conversation ended with these items."""
        call = self._call
        now_s = call.clock()
        cancelled = response.get("status") == "cancelled"
        items = [item for item in (call.mirror.get(raw["id"]) for raw in said) if item is not None]
        items = [item for item in items if item.role == "assistant"]
        parts = [
            item.heard(now_s) if cancelled else item.spoken.spoken or item.words for item in items
        ]
        text = " ".join(part for part in parts if part)
        if not text:
            return
        call.journal.write(
            "reply",
            turn=call.mirror.turn,
            response_id=response["id"],
            status=response.get("status"),
            penny=text,
            usage=response.get("usage"),
        )
        self._check_correction(response["id"], text, items[-1].id)
        if call.brain is not None:
            turn = call.mirror.turn
            call.brain.replied(items[-1].id, text, turn, call.mirror.words_of(turn))

    def _check_correction(self, response_id: str, text: str, item_id: str) -> None:
        """The reply that had a correction in force: said, or to be raised, or reported."""
        call = self._call
        desk = call.injector.desk
        folio = desk.in_force("correction")
        if call.brain is None or folio is None or folio.response_id != response_id:
            return
        author = call.brain.author
        outcome = author.corrections.reply_heard(text)
        if outcome is None:
            return
        progress, note, folio_id = outcome
        now_s = call.clock()
        call.journal.write("correction_checked", folio_id=folio_id, progress=progress)
        if progress == "confirmed":
            desk.worth.corrections_confirmed += 1
            desk.settle(folio_id, now_s)
        elif progress == "raise":
            stronger = author.correction_folio(note, call.mirror.turn, item_id, strong=True)
            author.corrections.raised_as(stronger.id)
            desk.offer(stronger, now_s)
        else:
            desk.worth.corrections_ignored += 1
            desk.settle(folio_id, now_s)
            log.warning("correction_ignored", folio_id=folio_id)
            message = "the speaker did not put a mistake right"
            call.tell({"type": "penny.warning", "code": "degraded", "message": message})
