"""The folios of one session: written, weighed against what is in force, offered, followed up.

What would say the same again is not offered, and a correction only if the desk lets it through.
"""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

import structlog

from brain.analysis import AnalysisRequest, BrainHost, BrainProfile, Excerpt, Reply
from brain.claims import Claims
from brain.correction import CorrectionDesk, Evidence
from brain.folio import (
    MAX_DATA_KEYS,
    ContextUpdate,
    CorrectionNote,
    Folio,
    Json,
    Outcome,
    SectionName,
)
from brain.render import (
    clean_text,
    quote_json,
    render_correction,
    render_facts,
    render_passages,
    render_update,
)
from brain.service import BrainService, Effectiveness
from brain.texts import texts_of
from brain.thinking import as_passages
from penny.ids import new_id


log = structlog.get_logger()

HEARD_WHOLE = 0.8
"""Share of a reply's letters from which it counts as heard: what was heard is an estimate."""


class FolioAuthor:
    """Writes for one session. ``newest_turn``: of the caller, as far as the brain was told."""

    def __init__(self, service: BrainService, profile: BrainProfile, host: BrainHost) -> None:
        self._service, self._profile, self._host = service, profile, host
        self.newest_turn = 0
        self.reply_items: dict[int, str] = {}
        """Turn -> the speaker's item that answered it."""
        self.claims = Claims(profile.language)
        self.corrections = CorrectionDesk(profile.settings.corrections, self.claims)
        self.effectiveness = Effectiveness()
        self._used: dict[str, bool] = {}
        self._told: Json = {}

    def offer_update(
        self, update: ContextUpdate, request: AnalysisRequest, usd: float, ended_s: float | None
    ) -> None:
        """Have the speaker know what the brain makes of a turn, unless it knows it already."""
        standing = self._host.in_force("folio")
        if standing and update.same_advice(ContextUpdate.model_validate(standing[-1].body)):
            return
        text = render_update(update, request.turn, request.language)
        self._offer(update, text, request, usd=usd, turn_ended_s=ended_s)

    def offer_passages(self, request: AnalysisRequest, ended_s: float | None) -> None:
        """What stands in for a brain that does not answer: the request's passages, quoted."""
        if request.passages:
            self._service.counts.kb_only += 1
            turn, language = request.turn, request.language
            text = render_passages(request.words, request.passages, turn, language)
            update = _update_of(request)
            self._offer(update, text, request, source="kb", turn_ended_s=ended_s)

    def _offer(
        self, update: ContextUpdate, text: str, request: AnalysisRequest, **fields: Any
    ) -> None:
        now = self._service.now().astimezone(UTC)
        timestamp = now.isoformat(timespec="seconds").replace("+00:00", "Z")
        body = {**update.model_dump(mode="json"), "timestamp": timestamp}
        fields |= {"body": body, "passages": as_passages(request.passages)}
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

    def _folio(
        self, section: SectionName, text: str, turn: int, item_id: str, **fields: Any
    ) -> Folio:
        fields.setdefault("kind", "silent")
        fields.setdefault("expires_after_turns", self._profile.settings.folio_turns)
        created_s = self._service.clock()
        return Folio(
            new_id("folio"),
            section,
            text=text,
            turn=turn,
            based_on=item_id,
            created_s=created_s,
            **fields,
        )

    def correct(
        self, note: CorrectionNote, heard: str, turn: int, item_id: str, request: AnalysisRequest
    ) -> None:
        """Have a mistake in ``item_id`` of ``turn`` put right, if the desk agrees."""
        later = [each.penny for each in self._host.history() if each.turn > turn]
        reason = self.corrections.reason_against(note, heard, item_id, _evidence_of(request), later)
        about = note.model_dump()
        self._host.note("correction", item_id=item_id, turn=turn, correction=about, dropped=reason)
        if not reason:
            cited = as_passages(tuple(p for p in request.passages if p.id == note.evidence))
            folio = self._correction(note, turn, item_id, passages=cited)
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
                raised = {"urgent": True, "supersedes": (weak,)}
                before = [f.passages for f in self._host.in_force("correction") if f.id == weak]
                raised["passages"] = before[0] if before else ()
                folio = self._correction(placed.note, placed.turn, placed.item_id, **raised)
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

    def take(self, outcome: Outcome) -> None:
        """Note, count and tell what became of a folio."""
        folio, state = outcome.folio, outcome.state
        was_used = self._used.get(folio.id)
        self.effectiveness.take(outcome, is_new=was_used is None, was_used=bool(was_used))
        self._used[folio.id] = bool(was_used) or state == "used"
        names = ("reason", "placement", "response_id")
        about = {name: getattr(outcome, name) for name in names} | {"status": state}
        about |= {name: getattr(folio, name) for name in ("section", "source", "turn")}
        self._host.note("folio", item_id=folio.based_on, folio_id=folio.id, **about)
        if state == "in_force":
            self._tell_in_force(outcome)
        elif state == "gone":
            del self._used[folio.id]
            self.corrections.gone(folio.id)
        told = self.effectiveness.as_json()
        if told != self._told:
            self._told = told
            self._host.tell({"type": "penny.effectiveness", "effectiveness": told})

    def _tell_in_force(self, outcome: Outcome) -> None:
        folio, trace = outcome.folio, self._profile.trace
        if trace is not None:
            trace.start(
                "folio",
                item_id=folio.based_on,
                at_s=folio.created_s,
                attributes={
                    "penny.folio.id": folio.id,
                    "penny.folio.section": folio.section,
                    "penny.folio.placement": outcome.placement,
                },
            ).end()
        common: Json = {"item_id": folio.based_on, "revision": outcome.revision}
        if folio.kind == "correction" and not folio.urgent:
            self._host.tell({"type": "penny.correction", **folio.body, **common})
        elif folio.section == "folio":
            ended_s = folio.turn_ended_s
            latency_ms = None if ended_s is None else max(0, round((outcome.at_s - ended_s) * 1000))
            self._host.tell(
                {
                    "type": "penny.context_update",
                    "context_update": folio.body,
                    "placement": outcome.placement,
                    "passages": list(folio.passages),
                    "latency_ms": latency_ms,
                    "usd": round(folio.usd, 6),
                    **common,
                }
            )


def _update_of(request: AnalysisRequest) -> ContextUpdate:
    """The caller's words and the passages themselves, quoted."""
    texts = texts_of(request.language)
    data: Json = quote_json(request.passages[0].fields)
    if not data:
        data = {
            f"{texts['fact']}_{n}": clean_text(p.text) for n, p in enumerate(request.passages, 1)
        }
    return ContextUpdate(
        user_intent=texts["asks"].format(clean_text(request.words, 200).strip(" .¿?¡!")),
        relevant_data=dict(list(data.items())[:MAX_DATA_KEYS]),
    )


def _evidence_of(request: AnalysisRequest) -> Evidence:
    def dump(value: object) -> str:
        return json.dumps(value, ensure_ascii=False, default=str)

    return Evidence(
        {p.id: f"{p.title}. {p.text} {dump(p.fields)}" for p in request.passages},
        {
            each.call_id: dump({"arguments": each.arguments, "result": each.result})
            for each in request.actions
            if each.status == "completed"
        },
    )
