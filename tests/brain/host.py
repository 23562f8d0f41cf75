"""A conversation that a brain is attached to in tests: it keeps what comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from brain.analysis import ActionRecord, BrainProfile, Exchange, Reply
from brain.brain import SessionBrain
from brain.claude import Claude
from brain.folio import Folio, Outcome, SectionName
from brain.service import BrainCounts, BrainService
from config.brain import BrainSection, Depth
from config.schema import ModelsSection
from kb import KnowledgeBase


Json = dict[str, Any]

NOW = datetime(2024, 12, 30, 9, 15, tzinfo=UTC)
MODEL = "claude-haiku-5-5"
PROMPT = "Eres Penny, de Acme."


class Host:
    """Everything offered is in force at once; what is heard is what ``heard_of`` says."""

    def __init__(self) -> None:
        self.told: list[Json] = []
        self.offered: list[Folio] = []
        self.standing: list[Folio] = []
        self.withdrawn: list[tuple[str, str]] = []
        self.turns: list[Exchange] = []
        self.ran: list[ActionRecord] = []
        self.heard_of: dict[str, str] = {}
        self.brain: SessionBrain | None = None

    def history(self) -> tuple[Exchange, ...]:
        return tuple(self.turns)

    def prompt(self) -> str:
        return PROMPT

    def actions(self) -> tuple[ActionRecord, ...]:
        return tuple(self.ran)

    async def heard(self, item_id: str) -> str:
        return self.heard_of.get(item_id, "")

    async def answered(self) -> None:
        """Every turn is answered at once."""

    def in_force(self, section: SectionName) -> tuple[Folio, ...]:
        return tuple(folio for folio in self.standing if folio.section == section)

    def offer(self, folio: Folio) -> None:
        self.offered.append(folio)
        gone = [f for f in self.standing if f.section == folio.section == "folio"]
        gone += [f for f in self.standing if f.id in folio.supersedes]
        self.standing = [f for f in self.standing if f not in gone] + [folio]
        assert self.brain is not None
        at_s = asyncio.get_running_loop().time()
        for each in gone:
            self.brain.outcome(Outcome(each, "gone", "superseded", at_s, folio.turn))
        self.brain.outcome(Outcome(folio, "in_force", "", at_s, folio.turn, "system_item", 1))

    def withdraw(self, folio_id: str, reason: str) -> None:
        self.withdrawn.append((folio_id, reason))
        [folio] = [f for f in self.standing if f.id == folio_id]
        self.standing.remove(folio)
        assert self.brain is not None
        at_s = asyncio.get_running_loop().time()
        self.brain.outcome(Outcome(folio, "gone", f"withdrawn:{reason}", at_s, folio.turn))

    def tell(self, event: Json) -> None:
        self.told.append(event)

    def note(self, kind: str, **fields: object) -> None:
        self.tell({"type": "penny.note", "note": kind, **fields})

    def all(self, kind: str) -> list[Json]:
        return [event for event in self.told if event["type"] == kind]

    def reply(self, text: str, turn: int, words: str = "", **more: Any) -> Reply:
        """A reply that was heard to its end, with all that stands in force."""
        item_id = f"reply_{turn}"
        self.heard_of.setdefault(item_id, text)
        in_force = tuple(folio.id for folio in self.standing)
        return Reply(item_id, f"resp_{turn}", turn, words, text, "completed", in_force, **more)


@asynccontextmanager
async def thinking(
    url: str | None,
    base: KnowledgeBase | None = None,
    *,
    model: str = MODEL,
    depth: Depth | None = None,
    settings: BrainSection | None = None,
    service: BrainService | None = None,
    **wishes: Any,
) -> AsyncIterator[tuple[SessionBrain, Host, BrainService]]:
    """A session's brain, its host and the service behind it."""
    clock = asyncio.get_running_loop().time
    own = service is None
    if service is None:
        thinker = Claude(url) if url is not None else None
        section = settings or BrainSection()
        counts = BrainCounts()
        service = BrainService(
            section, ModelsSection(), thinker, base, model, clock, lambda: NOW, counts
        )
    host = Host()
    profile = BrainProfile(
        language="es",
        ref="kb://empresa/documentos",
        depth=depth or Depth(searches=0),
        model=model,
        settings=service.settings.model_copy(update=wishes),
        session={"acciones": ["consultar_factura"]},
    )
    brain = host.brain = SessionBrain(service, profile, host)
    try:
        yield brain, host, service
    finally:
        await brain.aclose()
        if own:
            await service.aclose()
