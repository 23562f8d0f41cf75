"""The folios of one session: written, weighed against what is in force, offered.

What would say the same again is not offered, and a correction only if the desk lets it through.
"""

from __future__ import annotations

from typing import Any

from brain.analysis import AnalysisRequest, Excerpt
from brain.correction import CorrectionDesk, CorrectionSettings
from brain.facts import as_passages
from brain.folio import ContextUpdate, CorrectionNote, Folio
from brain.host import BrainHost, BrainProfile
from brain.journal import Journal
from brain.render import render_correction, render_facts, render_update
from brain.service import BrainService
from penny.ids import new_id


Json = dict[str, Any]


class FolioAuthor:
    """Args: host: where folios go."""

    def __init__(
        self, service: BrainService, profile: BrainProfile, journal: Journal, host: BrainHost
    ) -> None:
        self._service = service
        self._settings = service.settings
        self._language = profile.language
        self._journal = journal
        self._host = host
        corrections = service.settings.corrections
        self.corrections = CorrectionDesk(
            CorrectionSettings(
                corrections.enabled,
                corrections.min_severity,
                corrections.every_n_turns,
                corrections.max_per_session,
            ),
            profile.language,
        )

    def offer_update(
        self,
        update: ContextUpdate,
        request: AnalysisRequest,
        source: str,
        usd: float,
        ended_s: float | None,
    ) -> None:
        if update.same_advice(_current(self._host.in_force())):
            self._journal.write("folio_unchanged", turn=request.turn)
            return
        text = render_update(update, request.turn, request.language)
        body = update.model_dump(mode="json")
        folio = self._folio("folio", request.turn, request.item_id, text, body, request.passages)
        folio.source, folio.usd, folio.turn_ended_s = source, usd, ended_s
        self._host.offer(folio)

    def correct(
        self, note: CorrectionNote, heard: str, request: AnalysisRequest, usd: float
    ) -> None:
        verdict = self.corrections.consider(note, heard, request.turn)
        self._journal.write(
            "correction",
            turn=request.turn,
            note=note.model_dump(),
            decision=verdict.decision,
            reason=verdict.reason,
            severity=verdict.severity,
        )
        if verdict.decision == "drop":
            return
        body = note.model_dump(mode="json")
        if verdict.decision == "silent":
            text = render_facts([("", note.correct_info)], request.turn, request.language)
            self._host.offer(
                self._folio("facts", request.turn, request.item_id, text, body, request.passages)
            )
            return
        folio = self.correction_folio(note, request.turn, request.item_id)
        folio.usd = usd
        self.corrections.placed(note, folio.id, request.turn)
        self._host.offer(folio)

    def correction_folio(
        self, note: CorrectionNote, turn: int, item_id: str, *, strong: bool = False
    ) -> Folio:
        text = render_correction(note, self._language)
        body = note.model_dump(mode="json")
        folio = self._folio("correction", turn, item_id, text, body, ())
        folio.kind, folio.strong = "correction", strong
        return folio

    def facts_folio(self, found: tuple[Excerpt, ...], item_id: str, turn: int) -> Folio:
        """The same-turn facts as a folio."""
        text = render_facts([(p.title, p.text) for p in found], turn, self._language)
        return self._folio(
            "facts", turn, item_id, text, {"passages": [p.id for p in found]}, found, expires=1
        )

    def _folio(
        self,
        section: Any,
        turn: int,
        item_id: str,
        text: str,
        body: Json,
        found: tuple[Excerpt, ...],
        *,
        expires: int | None = None,
    ) -> Folio:
        return Folio(
            id=new_id("folio"),
            kind="silent",
            section=section,
            turn=turn,
            based_on=item_id,
            text=text,
            body=body,
            source="kb" if section == "facts" else "claude",
            expires_after_turns=self._settings.folio_turns if expires is None else expires,
            created_s=self._service.clock(),
            passages=as_passages(found),
        )


def _current(body: Json | None) -> ContextUpdate | None:
    return ContextUpdate.model_validate(body) if body and "user_intent" in body else None
