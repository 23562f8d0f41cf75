"""The folios of one session: written, weighed against what is in force, offered, followed up.

What would say the same again is not offered, and a correction only if the desk lets it through.
"""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

import structlog

from brain.analysis import AnalysisRequest, Excerpt
from brain.claims import Claims
from brain.correction import CorrectionDesk, Evidence
from brain.facts import as_passages, update_from_facts
from brain.folio import ContextUpdate, CorrectionNote, Folio, SectionName
from brain.host import BrainHost, BrainProfile, Reply
from brain.render import render_correction, render_facts, render_passages, render_update
from brain.service import BrainService
from penny.ids import new_id


log = structlog.get_logger()

HEARD_WHOLE = 0.8
"""Share of a reply's letters from which it counts as heard: what was heard is an estimate."""


class FolioAuthor:
    """Writes for one session. ``newest_turn``: of the caller, as far as the brain was told."""

    def __init__(self, service: BrainService, profile: BrainProfile, host: BrainHost) -> None:
        self._service = service
        self._profile = profile
        self._host = host
        self.newest_turn = 0
        self.reply_items: dict[int, str] = {}
        """Turn -> the speaker's item that answered it."""
        self.claims = Claims(profile.language)
        self.corrections = CorrectionDesk(profile.settings.corrections, self.claims)

    # -- updates ------------------------------------------------------------------------------

    def offer_update(
        self, update: ContextUpdate, request: AnalysisRequest, usd: float, ended_s: float | None
    ) -> None:
        """Have the speaker know what the brain makes of a turn, unless it knows it already."""
        standing = self._host.in_force("folio")
        if standing and update.same_advice(ContextUpdate.model_validate(standing[-1].body)):
            return
        update = update.model_copy(update={"timestamp": self._timestamp()})
        text = render_update(update, request.turn, request.language)
        self._offer(update, text, request, request.passages, usd=usd, turn_ended_s=ended_s)

    def offer_passages(
        self, found: tuple[Excerpt, ...], request: AnalysisRequest, ended_s: float | None
    ) -> None:
        """What stands in for a brain that does not answer: the knowledge base alone."""
        update = update_from_facts(request.words, found, self._timestamp(), request.language)
        if update is not None:
            self._service.counts.kb_only += 1
            text = render_passages(request.words, found, request.turn, request.language)
            self._offer(update, text, request, found, source="kb", turn_ended_s=ended_s)

    def _offer(
        self,
        update: ContextUpdate,
        text: str,
        request: AnalysisRequest,
        found: tuple[Excerpt, ...],
        **fields: Any,
    ) -> None:
        fields |= {"body": update.model_dump(mode="json"), "passages": as_passages(found)}
        self._host.offer(self._folio("folio", text, request.turn, request.item_id, **fields))

    def facts_folio(
        self, found: tuple[Excerpt, ...], item_id: str, turn: int, ended_s: float
    ) -> Folio:
        """The same-turn facts as a folio; the call that asked for them places it."""
        return self._folio(
            "facts",
            render_facts(found, turn, self._profile.language),
            turn,
            item_id,
            body={"passages": [each.id for each in found]},
            source="kb",
            turn_ended_s=ended_s,
            passages=as_passages(found),
            expires_after_turns=0,
        )

    # -- corrections --------------------------------------------------------------------------

    def correct(
        self, note: CorrectionNote, heard: str, turn: int, item_id: str, request: AnalysisRequest
    ) -> None:
        """Have a mistake in ``item_id`` of ``turn`` put right, if the desk agrees."""
        later = [each.penny for each in self._host.history() if each.turn > turn]
        reason = self.corrections.reason_against(note, heard, item_id, _evidence_of(request), later)
        about = note.model_dump()
        self._host.note("correction", item_id=item_id, turn=turn, correction=about, dropped=reason)
        if not reason:
            folio = self._correction(note, turn, item_id)
            self.corrections.placed(note, folio.id, turn, item_id)
            self._host.offer(folio)

    def check_corrections(self, reply: Reply, heard: str) -> None:
        """What a reply did with the corrections that it had in force."""
        whole = reply.status == "completed" and len(heard) >= HEARD_WHOLE * len(reply.text)
        steps = self.corrections.reply_heard(heard, reply.words, reply.in_force, whole=whole)
        for progress, placed in steps:
            weak = placed.folio_id
            about = {"item_id": reply.item_id, "folio_id": weak, "progress": progress}
            self._host.note("correction_checked", **about)
            if progress == "confirmed":
                self._host.withdraw(weak, "confirmed")
            elif progress == "raise":
                about = {"urgent": True, "supersedes": (weak,)}
                folio = self._correction(placed.note, placed.turn, placed.item_id, **about)
                placed.folio_id = folio.id
                self._host.offer(folio)
            else:
                log.warning("correction_ignored", folio_id=weak)
                message = "the speaker did not put a mistake right"
                self._host.tell({"type": "penny.warning", "code": "degraded", "message": message})
                self._host.withdraw(weak, "ignored")

    def _correction(self, note: CorrectionNote, turn: int, item_id: str, **fields: Any) -> Folio:
        """It holds for as long as if it were made from the newest turn."""
        text = render_correction(note, self._profile.language)
        fields |= {"kind": "correction", "body": note.body}
        return self._folio("correction", text, max(turn, self.newest_turn), item_id, **fields)

    def _folio(
        self, section: SectionName, text: str, turn: int, item_id: str, **fields: Any
    ) -> Folio:
        fields = {
            "kind": "silent",
            "expires_after_turns": self._profile.settings.folio_turns,
            "created_s": self._service.clock(),
            **fields,
        }
        return Folio(
            id=new_id("folio"), section=section, text=text, turn=turn, based_on=item_id, **fields
        )

    def _timestamp(self) -> str:
        now = self._service.now().astimezone(UTC)
        return now.isoformat(timespec="seconds").replace("+00:00", "Z")


def _evidence_of(request: AnalysisRequest) -> Evidence:
    passages = {
        each.id: f"{each.title}. {each.text} {json.dumps(each.fields, ensure_ascii=False)}"
        for each in request.passages
    }
    actions = {
        each.call_id: json.dumps(
            {"arguments": each.arguments, "result": each.result}, ensure_ascii=False, default=str
        )
        for each in request.actions
        if each.status == "completed"
    }
    return Evidence(passages, actions)
