"""The speaker's declared context: what it should know now, and what its upstream has. Pure.

Sections are wanted or not; ``diff`` tells what brings an upstream from what it has to what is
wanted. Expiry, superseding, a confirmed correction, another upstream and another provider are
therefore one operation. A change that is not acknowledged in time is tried once more, then given
up and told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

from brain.folio import Folio, Outcome, OutcomeState, SectionName
from modes.external.speaker import Capabilities, Step


ACK_S = 5.0
"""A change whose acknowledgement does not come in this time is tried again, or given up."""
TRIES = 2
ORDER: tuple[SectionName, ...] = get_args(SectionName)
ONE_OF_EACH: frozenset[SectionName] = frozenset({"hint", "folio", "facts"})
"""Sections in which the newest replaces the older."""

Choose = Callable[[Folio, Sequence[str]], str]
"""Policy: for a folio and the notes that go at the same time, ``append`` or ``rewrite``."""


@dataclass(slots=True)
class Held:
    """What an upstream's context has, as far as it was sent: folio ids."""

    document: tuple[str, ...] = ()
    """In the instructions."""
    notes: dict[str, None] = field(default_factory=dict)
    """Appended, oldest first."""


def diff(wanted: Sequence[Folio], held: Held, able: Capabilities, choose: Choose) -> list[Step]:
    """What brings an upstream from what it has to what is wanted; steps without id, and a rewrite
    without its text."""
    if not (able.appends or able.rewrites):
        return []
    living = {folio.id for folio in wanted}
    gone = tuple(each for each in held.notes if each not in living)
    missing = [f for f in wanted if f.id not in held.document and f.id not in held.notes]
    written: list[Folio] = []
    if able.rewrites:
        alone = not able.appends
        written = [f for f in missing if alone or f.urgent or choose(f, gone) == "rewrite"]
    steps = [Step("", "remove", (each,)) for each in gone]
    steps += [
        Step("", "append", (f.id,), f.text, f.kind, f.urgent) for f in missing if f not in written
    ]
    if written or any(each not in living for each in held.document):
        document = (f.id for f in wanted if f.id in held.document or f in written)
        steps.append(Step("", "rewrite", tuple(document)))
    return steps


@dataclass(slots=True)
class _Pending:
    """A step that the vendor has not acknowledged yet. ``before``: the document it replaces."""

    step: Step
    due_s: float
    before: tuple[str, ...]
    tries: int = 1

    @property
    def key(self) -> str:
        """The same for another try."""
        return self.step.act + ("" if self.step.act == "rewrite" else self.step.folios[0])


class DeclaredContext:
    """The context of one call. ``base``: the speaker's own instructions; ``rules``: Penny's
    standing ones behind them; ``choose``: the policy over the diff."""

    def __init__(self, base: str, rules: str, choose: Choose, new_id: Callable[[str], str]) -> None:
        self.base = base
        self._revision = 0
        self._rules = rules
        self._choose = choose
        self._new_id = new_id
        self._wanted: dict[str, Folio] = {}
        self._told: set[str] = set()
        """Folios that were in force once: another upstream's taking them is no news."""
        self._newest: dict[str, int] = {}
        self._outcomes: list[tuple[Folio, OutcomeState, dict[str, Any]]] = []
        self._able: Capabilities | None = None
        self.attach(None)

    def attach(self, able: Capabilities | None) -> None:
        """Another upstream, which was opened with base and rules and has no section yet; None:
        there is none now."""
        self._able = able
        self._held = Held()
        self._pending: dict[str, _Pending] = {}
        self._tries: dict[str, int] = {}
        self._doubtful: list[str] = []
        """Notes that were sent and perhaps are there: they go before they come again."""
        self._in_force: dict[str, str] = {}
        """Acknowledged folio -> how it was placed."""

    def offer(self, folio: Folio) -> None:
        """Want a folio, unless it says something older than its section does."""
        older = set(folio.supersedes)
        if folio.section in ONE_OF_EACH:
            if folio.turn < self._newest.get(folio.section, 0):
                self._outcomes.append((folio, "gone", {"reason": "stale"}))
                return
            self._newest[folio.section] = folio.turn
            older |= {f.id for f in self.in_force(folio.section)}
        for each in older:
            self._leave(each, "superseded")
        self._wanted[folio.id] = folio

    def withdraw(self, folio_id: str, reason: str) -> None:
        """Want it no more: a correction that was said, or was not needed."""
        self._leave(folio_id, f"withdrawn:{reason}")

    def turn_began(self, turn: int) -> None:
        """Let go of what has outlived its turns."""
        for folio in list(self._wanted.values()):
            if turn - folio.turn > folio.expires_after_turns:
                self._leave(folio.id, "expired")

    def close(self) -> None:
        """The call ends: everything goes."""
        for each in list(self._wanted):
            self.withdraw(each, "call_ended")

    def _leave(self, folio_id: str, reason: str) -> None:
        folio = self._wanted.pop(folio_id, None)
        if folio is not None:
            self._in_force.pop(folio_id, None)
            self._told.discard(folio_id)
            self._outcomes.append((folio, "gone", {"reason": reason}))

    def steps(self, now_s: float) -> list[Step]:
        """What to send now, in order."""
        if self._able is None:
            return []
        steps = [self._send(Step("", "remove", (each,)), now_s) for each in self._doubtful]
        self._doubtful.clear()
        change = diff(self._ordered(), self._held, self._able, self._choose)
        return steps + [self._send(each, now_s) for each in change]

    def _send(self, step: Step, now_s: float) -> Step:
        step = replace(step, id=self._new_id("step"))
        pending = _Pending(step, now_s + ACK_S, self._held.document)
        pending.tries += self._tries.get(pending.key, 0)
        self._tries[pending.key] = pending.tries
        self._pending[step.id] = pending
        if step.act == "remove":
            self._held.notes.pop(step.folios[0], None)
        elif step.act == "append":
            self._held.notes[step.folios[0]] = None
        else:
            self._held.document = step.folios
            return replace(step, text=self.render(step.folios))
        return step

    def render(self, folios: Iterable[str] | None = None, base: str | None = None) -> str:
        """Instructions: base, rules, and the folios that stand in them (those held by default)."""
        shown = set(self._held.document if folios is None else folios)
        texts = [self.base if base is None else base, self._rules]
        texts += [folio.text for folio in self._ordered() if folio.id in shown]
        return "\n\n".join(text for text in texts if text)

    def _ordered(self) -> list[Folio]:
        return sorted(
            self._wanted.values(), key=lambda f: (not f.urgent, ORDER.index(f.section), f.turn)
        )

    def placed(self, step_id: str) -> None:
        """A change is acknowledged: what it carries is in force."""
        pending = self._pending.pop(step_id, None)
        if pending is None or self._able is None:
            return
        self._tries.pop(pending.key, None)
        if pending.step.act == "remove":
            return
        self._revision += 1
        rewritten = pending.step.act == "rewrite"
        placement = self._able.rewritten_as if rewritten else self._able.appended_as
        for each in pending.step.folios:
            if each in self._wanted and each not in self._in_force:
                self._in_force[each] = placement
                if each not in self._told:
                    self._told.add(each)
                    about = {"placement": placement, "revision": self._revision}
                    self._outcomes.append((self._wanted[each], "in_force", about))

    def refused(self, step_id: str) -> Step | None:
        """The upstream does not take a change; returns it, None if it is of another upstream."""
        pending = self._pending.pop(step_id, None)
        if pending is None:
            return None
        self._undo(pending, "refused")
        return pending.step

    def tick(self, now_s: float) -> list[Step]:
        """Give up what was not acknowledged twice, send the rest again; returns the former."""
        given_up = []
        for step_id, pending in list(self._pending.items()):
            if pending.due_s > now_s:
                continue
            del self._pending[step_id]
            if pending.tries >= TRIES:
                self._undo(pending, "given_up")
                given_up.append(pending.step)
            elif pending.step.act == "remove":
                self._held.notes[pending.step.folios[0]] = None  # the diff takes it out again
            elif pending.step.act == "append":
                self._doubtful.append(pending.step.folios[0])
            else:
                self._held.document = pending.before
        return given_up

    def _undo(self, pending: _Pending, reason: str) -> None:
        step = pending.step
        self._tries.pop(pending.key, None)
        if step.act == "remove":
            return  # it cannot be taken out: asking again and again would not mend it
        if step.act == "rewrite":
            self._held.document = tuple(e for e in pending.before if e in self._wanted)
        elif reason == "given_up":
            self._doubtful.append(step.folios[0])
        for each in step.folios:
            self._held.notes.pop(each, None)
            if each not in self._in_force:
                self._leave(each, reason)

    @property
    def due_s(self) -> float | None:
        """When the next acknowledgement is overdue."""
        return min((each.due_s for each in self._pending.values()), default=None)

    def response_created(self, response_id: str) -> tuple[str, ...]:
        """A response is answered with what is in force now; returns those folios."""
        for each, placement in self._in_force.items():
            about = {"placement": placement, "revision": self._revision}
            about["response_id"] = response_id
            self._outcomes.append((self._wanted[each], "used", about))
        return tuple(self._in_force)

    def in_force(self, section: SectionName) -> tuple[Folio, ...]:
        """The section's folios in force or on their way, oldest first."""
        return tuple(f for f in self._wanted.values() if f.section == section)

    def drain(self, turn: int, now_s: float) -> list[Outcome]:
        """What became of folios since the last time, as of ``turn``."""
        outcomes, self._outcomes = self._outcomes, []
        return [
            Outcome(folio, state, at_s=now_s, turn=turn, **about)
            for folio, state, about in outcomes
        ]
