"""The cells of the table: what a caller does in each, and when Penny did right. Pure.

Names as in tau-voice: L_R and R_R answer a turn, L_Y and R_Y yield to an interruption, I_A is
cutting into a pause; S_BC, S_VT and S_ND are right when a backchannel, someone spoken to beside
the telephone, and a noise do not stop an answer. All from the agent's channel of sound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tests.bench.pipeline import parts
from tests.bench.turns import sounds
from tests.bench.turns.calls import Heard, Script
from tests.bench.turns.faults import FAULTS
from tests.bench.turns.sounds import TICK_MS, Said


ASKED_S = 0.6
GIVE_UP_S = 4.0
HELD_S = 0.5
"""The longest silence within an answer that still counts as holding it: its length is told, too."""
BACKCHANNEL_S = 0.75
"""The same beside a backchannel, whose own half a second the caller has the floor for."""
FAILURE_S = 2.0
LONG = " ".join(
    "Su contrato incluye la línea de casa, la fibra y dos móviles con llamadas sin límite. "
    "La factura llega el día cinco de cada mes y se paga con tarjeta o por el banco. "
    "Si cambia de casa, la instalación no le cuesta nada durante el primer año."
    for _ in range(1)
)


@dataclass(frozen=True)
class Score:
    """One call's result: right or wrong, and how long it took where a time is the point."""

    right: bool
    seconds: float | None = None


@dataclass(frozen=True)
class Trial:
    """A script and how its sound is judged."""

    script: Script
    judge: Callable[[Heard], Score]


def _at(seconds: float) -> int:
    return round(seconds * 1000 / TICK_MS)


def first_sound(heard: Heard, since_s: float) -> float | None:
    """Seconds from ``since_s`` to the agent's next sound."""
    for index in range(_at(since_s), len(heard.agent)):
        if heard.agent[index]:
            return index * TICK_MS / 1000 - since_s
    return None


def silences(heard: Heard, since_s: float, until_s: float) -> list[tuple[float, float]]:
    """Begin and length of the agent's silences that begin in this span, in seconds."""
    found = []
    begin: int | None = None
    for index in range(_at(since_s), len(heard.agent) + 1):
        sounding = index < len(heard.agent) and heard.agent[index]
        if not sounding and begin is None and index < len(heard.agent):
            begin = index
        elif (sounding or index == len(heard.agent)) and begin is not None:
            if begin <= _at(until_s):
                found.append((begin * TICK_MS / 1000, (index - begin) * TICK_MS / 1000))
            begin = None
    return found


def longest_gap(heard: Heard, since_s: float) -> float:
    """The longest silence between two sounds of the agent's after ``since_s``, in seconds."""
    spoken = [index for index in range(_at(since_s), len(heard.agent)) if heard.agent[index]]
    gaps = (after - before - 1 for before, after in pairwise(spoken))
    return max(gaps, default=0) * TICK_MS / 1000


def was_cut(heard: Heard) -> bool:
    """Whether speech was told to the agent's side while the agent sounded: a client cuts then."""
    return any(
        any(heard.agent[max(0, _at(at) - 2) : _at(at)])
        for at in heard.times("input_audio_buffer.speech_started")
    )


def _asked(seconds: float, question: Said, **fields: object) -> tuple[Script, float]:
    script = Script(seconds, **fields)  # type: ignore[arg-type]  # the script's own fields
    return script, script.say(ASKED_S, question)


def response(door: str, index: int) -> Trial:
    """The recogniser writes the pipeline bench's question, whatever was said."""
    question = Said(_pick(index).samples, parts.QUESTION)
    script, end_s = _asked(ASKED_S + question.seconds + GIVE_UP_S, question, door=door)

    return Trial(script, _answered(end_s))


def _answered(end_s: float) -> Callable[[Heard], Score]:
    def judge(heard: Heard) -> Score:
        after_s = first_sound(heard, end_s)
        early = first_sound(heard, 0.0)
        right = after_s is not None and early is not None and early >= end_s
        return Score(right, after_s if right else None)

    return judge


def statement(door: str, index: int) -> Trial:
    """As ``response``, with the words as Whisper wrote them: none is a question in Spanish."""
    question = _pick(index)
    script, end_s = _asked(ASKED_S + question.seconds + GIVE_UP_S, question, door=door)
    return Trial(script, _answered(end_s))


def _over(door: str, index: int, over: Said, text: str | None = None) -> tuple[Script, float]:
    """A question, and something over its answer from somewhere in its middle."""
    question = _pick(index)
    at_s = ASKED_S + question.seconds + 2.2 + (index % 5) * 0.7
    script, _ = _asked(at_s + over.seconds + 6.0, question, door=door, answer=LONG)
    script.say(at_s, over, text)
    return script, at_s


def interruption(door: str, index: int) -> Trial:
    over = _pick(index + 3)
    script, at_s = _over(door, index, over)

    def judge(heard: Heard) -> Score:
        """Yielding is a silence until the caller has ended, begun within two seconds."""
        for begin_s, length_s in silences(heard, at_s, at_s + 2.0):
            if begin_s + length_s >= at_s + over.seconds:
                return Score(True, begin_s - at_s)
        return Score(False)

    return Trial(script, judge)


def held(script: Script, at_s: float, most_s: float = HELD_S) -> Callable[[Heard], Score]:
    """Right when the answer goes on without a long silence and still does at the end of the call,
    and nothing else is said."""

    def judge(heard: Heard) -> Score:
        ends = [e["response"]["status"] for _, e in heard.events if e["type"] == "response.done"]
        longest = longest_gap(heard, at_s)
        goes_on = ends in ([], ["completed"]) and any(heard.agent[-_at(most_s) :])
        whole = goes_on and longest <= most_s and not was_cut(heard)
        return Score(whole, longest)

    return judge


def backchannel(door: str, index: int) -> Trial:
    text = sounds.BACKCHANNELS[index % len(sounds.BACKCHANNELS)]
    said = sounds.spoken(
        text, voice=("marin", "cedar")[index % 2], speed=(1.0, 0.85, 1.15)[index % 3]
    )
    script, at_s = _over(door, index, said, f"{text.capitalize()}.")
    return Trial(script, held(script, at_s, BACKCHANNEL_S))


def side_talk(door: str, index: int) -> Trial:
    said = _pick(index + 5)
    quiet = Said(sounds.at_level(said.samples, sounds.LEVEL_DBFS - 12), said.text)
    script, at_s = _over(door, index, quiet)
    return Trial(script, held(script, at_s))


def noise(door: str, index: int) -> Trial:
    made = Said(sounds.noises(index), "")
    script, at_s = _over(door, index, made)
    return Trial(script, held(script, at_s))


def pause(pause_s: float) -> Callable[[str, int], Trial]:
    def trial(door: str, index: int) -> Trial:
        said = _pick(index)
        first, second = sounds.halves_of(said.samples)
        seconds = ASKED_S + (len(first) + len(second)) / sounds.RATE_HZ + pause_s + GIVE_UP_S
        script = Script(seconds, door=door)  # type: ignore[arg-type]
        script.say(ASKED_S, first, said.parts[0])
        paused_s = ASKED_S + len(first) / sounds.RATE_HZ
        end_s = script.say(paused_s + pause_s, second, said.parts[1])

        def judge(heard: Heard) -> Score:
            sound_s = first_sound(heard, 0.0)
            return Score(sound_s is not None and sound_s >= end_s)

        return Trial(script, judge)

    return trial


def answer_yes(door: str, index: int) -> Trial:
    """A question of Penny's, and "sí" after it: a turn."""
    question = _pick(index)
    script, end_s = _asked(
        ASKED_S + question.seconds + 10.0, question, door=door, answer="¿Quiere que se lo envíe?"
    )
    yes_s = end_s + 4.5
    said_s = script.say(yes_s, sounds.spoken("sí"), "Sí.")

    def judge(heard: Heard) -> Score:
        after_s = first_sound(heard, said_s)
        return Score(after_s is not None and after_s < 2.0, after_s)

    return Trial(script, judge)


ECHOES = [(gain, delay) for gain in (-12.0, -20.0, -30.0) for delay in (0, 60, 150, 300)]


def echo(door: str, index: int) -> Trial:
    """A minute of Penny's voice that the line gives back, and a caller who says nothing more."""
    gain_db, delay_ms = ECHOES[index % len(ECHOES)]
    question = _pick(index)
    script, end_s = _asked(
        ASKED_S + question.seconds + 62.0,
        question,
        door=door,
        answer=" ".join([LONG] * 4),
        room=sounds.room(gain_db, index),
        echo_delay_ms=delay_ms,
    )

    def judge(heard: Heard) -> Score:
        began_s = first_sound(heard, end_s)
        if began_s is None:
            return Score(False)
        created = len(heard.times("response.created"))
        longest = longest_gap(heard, end_s + began_s)
        return Score(created == 1 and longest <= HELD_S and not was_cut(heard), longest)

    return Trial(script, judge)


def babble(door: str, index: int) -> Trial:
    """A minute beside people who talk, 5 dB below the caller, who asked once and says nothing."""
    question = _pick(index)
    seconds = ASKED_S + question.seconds + 62.0
    script, end_s = _asked(seconds, question, door=door, answer=LONG)
    around = sounds.babble(seconds, seed=index) * 10 ** (-5 / 20)
    script.line += around

    def judge(heard: Heard) -> Score:
        created = heard.times("response.created")
        longest = longest_gap(heard, end_s + 1.0)
        return Score(len(created) == 1 and longest <= 0.5 and not was_cut(heard), longest)

    return Trial(script, judge)


def failure(door: str, index: int) -> Trial:
    """A stage fails, and something is heard within two seconds: an answer, a filler, an apology."""
    question = Said(_pick(index).samples, parts.QUESTION)
    script, end_s = _asked(ASKED_S + question.seconds + GIVE_UP_S, question, door=door)
    script.fault = FAULTS[index % len(FAULTS)]

    def judge(heard: Heard) -> Score:
        after_s = first_sound(heard, end_s)
        return Score(after_s is not None and after_s <= FAILURE_S, after_s)

    return Trial(script, judge)


def _pick(index: int) -> Said:
    known = sounds.sentences()
    return known[index % len(known)]


@dataclass(frozen=True)
class Cell:
    """One row: trials, and the bar that its share or its times are held against."""

    make: Callable[[str, int], Trial]
    bar: str
    times: bool = False
    wrong: bool = False
    """Whether the share told is of the wrong ones, as I_A is."""


CELLS: dict[str, Cell] = {
    "R_R, L_R": Cell(response, "1.00; p50 <= 0.85, p95 <= 1.0", times=True),
    "R_R, L_R statements": Cell(statement, "-", times=True),
    "R_Y, L_Y": Cell(interruption, "1.00; p95 <= 0.5", times=True),
    "S_BC": Cell(backchannel, ">= .90", times=True),
    "S_VT": Cell(side_talk, ">= .60", times=True),
    "S_ND": Cell(noise, "1.00", times=True),
    "I_A 0.6 s": Cell(pause(0.6), "<= .05", wrong=True),
    "I_A 0.9 s": Cell(pause(0.9), "<= .15", wrong=True),
    "I_A 1.2 s": Cell(pause(1.2), "<= .25", wrong=True),
    "yes is a turn": Cell(answer_yes, "1.00"),
    "a stage fails": Cell(failure, "1.00; <= 2.0", times=True),
    "echo": Cell(echo, "1.00", times=True),
    "babble": Cell(babble, "1.00; <= 0.5", times=True),
}


PLAIN = [
    name for name in CELLS if name not in ("R_R, L_R statements", "a stage fails", "echo", "babble")
]
"""The cells that any system can be scored in: from one caller's short call."""


def describe(scores: Iterable[Score], cell: Cell) -> tuple[str, str, str]:
    """Share, median and p95 of one cell."""
    known = list(scores)
    share = sum(score.right != cell.wrong for score in known) / len(known)
    times = [score.seconds for score in known if score.right and score.seconds is not None]
    if not cell.times or not times:
        return f"{share:.2f}", "-", "-"
    return f"{share:.2f}", *(f"{np.percentile(times, at):.2f}" for at in (50, 95))
