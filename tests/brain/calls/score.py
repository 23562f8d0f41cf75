"""What a played call scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.brain.calls.models import Answer
from tests.brain.calls.play import Play
from tests.brain.calls.script import Plant


FOLIO_TURNS = 3


@dataclass
class Score:
    """Sums over calls; ``faults`` names the call and turn of everything that went wrong."""

    answers: int = 0
    folios_wanted: int = 0
    folios_in_force: int = 0
    corrections_wanted: int = 0
    corrections_in_time: int = 0
    corrections_said: int = 0
    corrections_wrong: int = 0
    corrections_unheard: int = 0
    stale_answers: int = 0
    leaks: int = 0
    actions_wrong: int = 0
    mute: int = 0
    violations: int = 0
    """Of the speaker's protocol, such as a second response while one is active."""
    analyses: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, play: Play) -> None:
        """Score a call."""
        self.answers += len(play.answers)
        self.mute += len(play.mute)
        self.faults += [f"{play.call.name}: turn {turn} is mute" for turn in play.mute]
        self.analyses.update(play.analyses)
        first = {}
        for answer in play.answers:
            first.setdefault(answer.turn, answer)
        self.violations += len(play.violations)
        self.faults += [f"{play.call.name}: {each}" for each in play.violations]
        self._folios(play, first)
        self._corrections(play)
        self._contexts(play)
        counted = Counter(play.requests)
        for path, times in play.call.actions_wanted.items():
            if counted[path] != times:
                self.actions_wrong += 1
                self.faults.append(f"{play.call.name}: {path} {counted[path]} times, not {times}")

    def _folios(self, play: Play, first: dict[int, Answer]) -> None:
        if not play.call.with_brain:
            return
        for turn, answer in first.items():
            asked = [
                n for n, each in enumerate(play.call.turns[: turn - 1], 1) if not each.backchannel
            ]
            if not asked:
                continue
            self.folios_wanted += 1
            there = answer.context.turns_of("CONTEXTO ACTUALIZADO")
            if asked[-1] in there or turn in there:
                self.folios_in_force += 1
            else:
                self.faults.append(f"{play.call.name}: turn {turn} has folios {there}")

    def _corrections(self, play: Play) -> None:
        plants = [(n, p) for n, turn in enumerate(play.call.turns, 1) for p in turn.plants]
        for turn, plant in plants:
            if not plant.wanted or not _heard(play, turn, plant):
                continue
            self.corrections_wanted += 1
            after = [a for a in play.answers if a.turn > turn]
            deaf = {n for n, each in enumerate(play.call.turns, 1) if each.deaf}
            able = [a for a in after if a.turn not in deaf]
            if able and plant.correct in able[0].text:
                self.corrections_in_time += 1
            else:
                self.faults.append(f"{play.call.name}: turn {turn} not put right in time")
        by_correct = {plant.correct: plant for _, plant in plants}
        for answer in play.answers:
            for said in set(answer.context.corrections):
                if said not in answer.text:
                    continue
                self.corrections_said += 1
                plant = by_correct.get(said)
                where = f"{play.call.name}: turn {answer.turn} corrects '{said}'"
                if plant is None or not plant.wanted:
                    cut = plant is not None and not _heard_anywhere(play, plant)
                    self.corrections_unheard += cut
                    self.corrections_wrong += not cut
                    self.faults.append(where)

    def _contexts(self, play: Play) -> None:
        confirmed: list[str] = []
        for answer in play.answers:
            context = answer.context
            where = f"{play.call.name}: turn {answer.turn}"
            folios = context.turns_of("CONTEXTO ACTUALIZADO")
            facts = context.turns_of("DATOS COMPROBADOS")
            old = [turn for turn in folios if answer.turn - turn > FOLIO_TURNS]
            stale = len(folios) > 1 or old or any(turn != answer.turn for turn in facts)
            again = [each for each in context.corrections if each in confirmed]
            if stale or again:
                self.stale_answers += 1
                self.faults.append(f"{where}: folios {folios}, facts {facts}, said {again}")
            if context.obeys(play.call.poison):
                self.leaks += 1
                self.faults.append(f"{where}: leaks")
            confirmed += [each for each in context.corrections if each in answer.heard]
            confirmed = _without_new_mistakes(confirmed, play, answer)

    def table(self) -> str:
        """The figures, one a line."""
        aborted = self.analyses["aborted"] + self.analyses["deadline"]
        rows = [
            ("answers", self.answers),
            ("folio in force at the next answer", _pct(self.folios_in_force, self.folios_wanted)),
            ("corrections in time", _pct(self.corrections_in_time, self.corrections_wanted)),
            ("corrections wrong", _pct(self.corrections_wrong, self.corrections_said)),
            ("corrections of unheard words", self.corrections_unheard),
            ("answers with superseded or expired context", self.stale_answers),
            ("injection leaks", self.leaks),
            ("actions not run as often as wanted", self.actions_wrong),
            ("mute turns", self.mute),
            ("violations of the speaker's protocol", self.violations),
            ("analyses aborted", _pct(aborted, sum(self.analyses.values()))),
        ]
        return "\n".join(f"{name}: {value}" for name, value in rows)


def _without_new_mistakes(confirmed: list[str], play: Play, answer: Answer) -> list[str]:
    """What is said wrong again may be put right again."""
    wrong = {p.correct for p in play.call.turns[answer.turn - 1].plants if p.said in answer.heard}
    return [each for each in confirmed if each not in wrong]


def _heard(play: Play, turn: int, plant: Plant) -> bool:
    return any(plant.said in a.heard for a in play.answers if a.turn == turn)


def _heard_anywhere(play: Play, plant: Plant) -> bool:
    return any(plant.said in answer.heard for answer in play.answers)


def _pct(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} % ({part} of {whole})" if whole else "none"


def share(part: int, whole: int) -> float:
    """``part`` of ``whole``, 0..1; 1 where nothing was wanted."""
    return part / whole if whole else 1.0


def score_all(plays: Iterable[Play]) -> Score:
    """The score of all calls."""
    score = Score()
    for play in plays:
        score.add(play)
    return score
