"""Calls that Asterisk announced over HTTP before their sound comes. Pure: the time is an argument.

AudioSocket knows no password: the id of a call that was announced a moment ago is all that lets a
connection in, once.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


WITHIN_S = 10.0
"""From the announcement to the connection."""
KEPT_S = 60.0
"""How long Asterisk may ask what comes after a call that has ended, and a place may ring."""
MOST = 10_000
Next = str
"""What the dialplan does after Penny: ``done`` hangs up, ``person`` and ``to-NAME`` ring a place,
``again`` announces the call anew, ``away`` does as if Penny were away."""


@dataclass(frozen=True, slots=True)
class Handed:
    """A call that is put through to a person: what is told to them, and to the caller who comes
    back."""

    session_id: str
    tenant: str
    mode: str | None
    language: str
    summary: str


@dataclass(frozen=True, slots=True)
class Announced:
    """A call: by which line, to which number, from whom ('' where the number is withheld)."""

    id: UUID
    line: str
    tenant: str
    did: str
    caller: str
    dial: str = ""
    """The record of a call that Penny placed."""
    analogue: str | None = None
    """The country of a line that signals no hang-up; None for any other."""
    handed: Handed | None = None
    """Of a call that comes back, and of the leg to the person who has answered one."""
    is_again: bool = False
    """It was connected before, and nothing was heard of the caller."""
    person_of: UUID | None = None
    """It is that leg: of this call."""


@dataclass(frozen=True, slots=True)
class Places:
    """Who the dialplan can ring: by name, and the person that every other name leads to."""

    names: frozenset[str]
    has_person: bool

    def find(self, destination: str) -> Next | None:
        """What rings a destination of the operator's; None where there is no one."""
        if destination in self.names:
            return f"to-{destination}"
        return "person" if self.has_person else None


class Announcements:
    """Those that wait for their sound, and what follows those that ended."""

    def __init__(self) -> None:
        self._waiting: dict[UUID, tuple[float, Announced]] = {}
        self._ended: dict[UUID, tuple[float, Next]] = {}
        self._handed: dict[UUID, tuple[float, Handed]] = {}
        self._joined: dict[UUID, float | None] = {}

    def announce(self, call: Announced, now_s: float) -> bool:
        """Let its sound in; False where too many wait."""
        self._forget(now_s)
        if len(self._waiting) >= MOST or call.id in self._waiting:
            return False
        self._waiting[call.id] = (now_s, call)
        return True

    def take(self, call_id: UUID, now_s: float) -> Announced | None:
        """The call whose sound has come, once; None for one that was not announced in time."""
        self._forget(now_s)
        found = self._waiting.pop(call_id, None)
        return found[1] if found is not None else None

    def end(self, call_id: UUID, then: Next, now_s: float) -> None:
        """Keep what follows until Asterisk asks."""
        self._ended[call_id] = (now_s, then)

    def hand(self, call_id: UUID, handed: Handed, now_s: float) -> None:
        """Keep what is told of a call that is put through, while it rings."""
        self._handed[call_id] = (now_s, handed)

    def handed(self, call_id: UUID, now_s: float) -> Handed | None:
        """What was kept of it; None where it was not put through, or long ago."""
        self._forget(now_s)
        found = self._handed.get(call_id)
        return found[1] if found is not None else None

    def join(self, call_id: UUID, now_s: float) -> None:
        """Keep since when a person has it."""
        self._joined[call_id] = now_s
        while len(self._joined) > MOST:
            del self._joined[next(iter(self._joined))]

    def whispered(self, call_id: UUID, now_s: float, *, declined: bool) -> None:
        """That person was told of it, or left meanwhile; nothing where the transfer is over."""
        if call_id in self._joined:
            self._joined[call_id] = None if declined else now_s

    def part(self, call_id: UUID, now_s: float) -> tuple[bool, float | None]:
        """A transfer is over: whether its person declined it, and for how many seconds they had
        it; None where that is not known."""
        joined_s = self._joined.pop(call_id, now_s + 1)
        if joined_s is None:
            return True, None
        return False, now_s - joined_s if joined_s <= now_s else None

    def after(self, call_id: UUID, now_s: float) -> Next:
        """What follows a call: ``away`` for one that Penny never had, or that has not ended."""
        self._forget(now_s)
        found = self._ended.pop(call_id, None)
        return found[1] if found is not None else "away"

    def _forget(self, now_s: float) -> None:
        """In the order they came: only the oldest are looked at."""
        waiting = ((self._waiting, WITHIN_S), (self._ended, KEPT_S), (self._handed, KEPT_S))
        for kept, most_s in waiting:
            while kept and now_s - kept[next(iter(kept))][0] > most_s:
                del kept[next(iter(kept))]
