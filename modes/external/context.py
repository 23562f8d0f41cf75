"""The speaker's declared context: what it should know now, and what its upstream has. Pure.

Sections are wanted or not; ``diff`` tells what brings an upstream from what it has to what is
wanted. Expiry, superseding, a confirmed correction, another upstream and another provider are
therefore one operation. A change that is not acknowledged in time is tried once more, then given
up and told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from brain.folio import Folio, Outcome, SectionName
from modes.external.speaker import Act, Capabilities, Step


ACK_S = 5.0
"""A change whose acknowledgement does not come in this time is tried again, or given up."""
TRIES = 2
ORDER: tuple[SectionName, ...] = ("summary", "folio", "facts", "results", "correction")
ONE_OF_EACH: frozenset[SectionName] = frozenset({"summary", "folio", "facts"})
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


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done: notes to take out, notes to add, and the document to write (or None)."""

    remove: tuple[str, ...] = ()
    append: tuple[Folio, ...] = ()
    document: tuple[Folio, ...] | None = None


def diff(wanted: Sequence[Folio], held: Held, able: Capabilities, choose: Choose) -> Change:
    """What brings an upstream from what it has to what is wanted."""
    living = {folio.id for folio in wanted}
    gone = tuple(each for each in held.notes if each not in living)
    missing = [f for f in wanted if f.id not in held.document and f.id not in held.notes]
    written = [f for f in missing if _is_written(f, gone, able, choose)]
    if not able.appends and not able.rewrites:
        return Change()
    stale = [each for each in held.document if each not in living]
    if not able.rewrites or not (written or stale):
        return Change(gone, tuple(missing))
    document = [f for f in wanted if f.id in held.document or f in written]
    return Change(gone, tuple(f for f in missing if f not in written), tuple(document))


def _is_written(folio: Folio, gone: Sequence[str], able: Capabilities, choose: Choose) -> bool:
    if not able.rewrites:
        return False
    return not able.appends or folio.urgent or choose(folio, gone) == "rewrite"


@dataclass(slots=True)
class _Pending:
    """A step that the vendor has not acknowledged yet."""

    step: Step
    due_s: float
    tries: int
    before: tuple[str, ...] = ()
    """Of a rewrite: the document it replaces."""


class DeclaredContext:
    """The context of one call.

    Args:
        base: the speaker's own instructions. rules: Penny's standing ones behind them.
        choose: the policy over the diff.
        new_id: makes the ids of steps.
    """

    def __init__(self, base: str, rules: str, choose: Choose, new_id: Callable[[str], str]) -> None:
        self.base = base
        self.revision = 0
        self._rules = rules
        self._choose = choose
        self._new_id = new_id
        self._able: Capabilities | None = None
        self._wanted: dict[str, Folio] = {}
        self._held = Held()
        self._pending: dict[str, _Pending] = {}
        self._tries: dict[str, int] = {}
        self._doubtful: list[str] = []
        """Notes that were sent and perhaps are there: they go before they come again."""
        self._in_force: dict[str, str] = {}
        """Acknowledged folio -> how it was placed."""
        self._told: set[str] = set()
        self._newest: dict[str, int] = {}
        self._outcomes: list[Outcome] = []

    # -- what is wanted -----------------------------------------------------------------------

    def offer(self, folio: Folio, turn: int, now_s: float) -> bool:
        """Want a folio; False when it says something older than its section does."""
        if folio.section in ONE_OF_EACH and folio.turn < self._newest.get(folio.section, 0):
            self._outcomes.append(Outcome(folio, "gone", "stale", now_s, turn))
            return False
        older = set(folio.supersedes)
        if folio.section in ONE_OF_EACH:
            self._newest[folio.section] = folio.turn
            older |= {f.id for f in self._wanted.values() if f.section == folio.section}
        for each in older:
            self._leave(each, "superseded", turn, now_s)
        self._wanted[folio.id] = folio
        return True

    def withdraw(self, folio_id: str, reason: str, turn: int, now_s: float) -> None:
        """Want it no more: a correction that was said, or was not needed."""
        self._leave(folio_id, f"withdrawn:{reason}", turn, now_s)

    def turn_began(self, turn: int, now_s: float) -> None:
        """Let go of what has outlived its turns."""
        for folio in list(self._wanted.values()):
            if turn - folio.turn > folio.expires_after_turns:
                self._leave(folio.id, "expired", turn, now_s)

    def close(self, turn: int, now_s: float) -> None:
        """The call ends: everything goes."""
        for each in list(self._wanted):
            self._leave(each, "withdrawn:call_ended", turn, now_s)

    def _leave(self, folio_id: str, reason: str, turn: int, now_s: float) -> None:
        folio = self._wanted.pop(folio_id, None)
        if folio is not None:
            self._in_force.pop(folio_id, None)
            self._told.discard(folio_id)
            self._outcomes.append(Outcome(folio, "gone", reason, now_s, turn))

    # -- what goes out ------------------------------------------------------------------------

    def steps(self, now_s: float) -> list[Step]:
        """What to send now, in order."""
        able = self._able
        if able is None:
            return []
        steps = [self._send("remove", (each,), now_s) for each in self._doubtful]
        self._doubtful.clear()
        change = diff(self._ordered(), self._held, able, self._choose)
        steps += [self._send("remove", (each,), now_s) for each in change.remove]
        steps += [self._send("append", (folio.id,), now_s, folio) for folio in change.append]
        if change.document is not None:
            ids = tuple(folio.id for folio in change.document)
            steps.append(self._send("rewrite", ids, now_s, text=self.render(change.document)))
        return steps

    def _send(
        self,
        act: Act,
        folios: tuple[str, ...],
        now_s: float,
        note: Folio | None = None,
        text: str = "",
    ) -> Step:
        if note is None:
            step = Step(self._new_id("step"), act, folios, text)
        else:
            step = Step(self._new_id("step"), act, folios, note.text, note.kind, note.urgent)
        tries = self._tries[_key(step)] = 1 + self._tries.get(_key(step), 0)
        self._pending[step.id] = _Pending(step, now_s + ACK_S, tries, self._held.document)
        if act == "remove":
            self._held.notes.pop(folios[0], None)
        elif act == "append":
            self._held.notes[folios[0]] = None
        else:
            self._held.document = folios
        return step

    def render(self, folios: Iterable[Folio] | None = None, base: str | None = None) -> str:
        """Instructions: base, rules, and the folios that stand in them (those held by default)."""
        if folios is None:
            folios = [f for f in self._ordered() if f.id in self._held.document]
        texts = [self.base if base is None else base, self._rules, *(f.text for f in folios)]
        return "\n\n".join(text for text in texts if text)

    def _ordered(self) -> list[Folio]:
        return sorted(
            self._wanted.values(), key=lambda f: (not f.urgent, ORDER.index(f.section), f.turn)
        )

    # -- what comes back ----------------------------------------------------------------------

    def placed(self, step_id: str, turn: int, now_s: float) -> None:
        """A change is acknowledged: what it carries is in force."""
        pending = self._pending.pop(step_id, None)
        if pending is None or self._able is None:
            return
        self._tries.pop(_key(pending.step), None)
        if pending.step.act == "remove":
            return
        self.revision += 1
        rewritten = pending.step.act == "rewrite"
        placement = self._able.rewritten_as if rewritten else self._able.appended_as
        for each in pending.step.folios:
            folio = self._wanted.get(each)
            if folio is not None and each not in self._in_force:
                self._in_force[each] = placement
                if each not in self._told:  # another upstream's taking it is no news
                    self._told.add(each)
                    self._outcomes.append(
                        Outcome(folio, "in_force", "", now_s, turn, placement, self.revision)
                    )

    def refused(self, step_id: str, turn: int, now_s: float) -> Step | None:
        """The upstream does not take a change; returns it, None if it is of another upstream."""
        pending = self._pending.pop(step_id, None)
        if pending is None:
            return None
        self._undo(pending, "refused", turn, now_s)
        return pending.step

    def tick(self, turn: int, now_s: float) -> list[Step]:
        """Give up what was not acknowledged twice, send the rest again; returns the former."""
        given_up = []
        for step_id, pending in list(self._pending.items()):
            if pending.due_s > now_s:
                continue
            del self._pending[step_id]
            if pending.tries >= TRIES:
                self._undo(pending, "given_up", turn, now_s)
                given_up.append(pending.step)
            elif pending.step.act == "remove":
                self._held.notes[pending.step.folios[0]] = None  # the diff takes it out again
            elif pending.step.act == "append":
                self._doubtful.append(pending.step.folios[0])
            else:
                self._held.document = pending.before
        return given_up

    def _undo(self, pending: _Pending, reason: str, turn: int, now_s: float) -> None:
        step = pending.step
        self._tries.pop(_key(step), None)
        if step.act == "remove":
            return  # it cannot be taken out: asking again and again would not mend it
        if step.act == "rewrite":
            self._held.document = tuple(e for e in pending.before if e in self._wanted)
        if step.act == "append" and reason == "given_up":
            self._doubtful.append(step.folios[0])
        for each in step.folios:
            self._held.notes.pop(each, None)
            if each not in self._in_force:
                self._leave(each, reason, turn, now_s)

    @property
    def due_s(self) -> float | None:
        """When the next acknowledgement is overdue."""
        return min((each.due_s for each in self._pending.values()), default=None)

    # -- what it has become -------------------------------------------------------------------

    def response_created(self, response_id: str, turn: int, now_s: float) -> tuple[str, ...]:
        """A response answers ``turn`` with what is in force now; returns those folios."""
        used = [self._wanted[each] for each in self._in_force]
        self._outcomes += [
            Outcome(f, "used", "", now_s, turn, self._in_force[f.id], self.revision, response_id)
            for f in used
        ]
        return tuple(f.id for f in used)

    def in_force(self, section: SectionName) -> tuple[Folio, ...]:
        """The section's folios in force or on their way, oldest first."""
        return tuple(f for f in self._wanted.values() if f.section == section)

    def drain(self) -> list[Outcome]:
        """What became of folios since the last time."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    # -- upstreams ----------------------------------------------------------------------------

    def attach(self, able: Capabilities) -> None:
        """Another upstream, which was opened with base and rules: it has no section yet."""
        self._able = able
        self._held = Held()
        self._pending.clear()
        self._tries.clear()
        self._doubtful.clear()
        self._in_force.clear()

    def detach(self) -> None:
        """There is no upstream now."""
        self._able = None


def _key(step: Step) -> str:
    return f"{step.act} {step.folios[0] if step.act != 'rewrite' else ''}"
