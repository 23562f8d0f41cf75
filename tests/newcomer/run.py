"""A newcomer's first minutes, tried for real: clone, run, ask ten questions, interrupt, look.

``make test-newcomer`` clones this repository and runs ``make run`` in the clone: everything is
installed and downloaded, nothing comes from pip's cache. ``python -m tests.newcomer.run --here``
starts this tree as it stands. Exit status 0: the first answer within four minutes on a line of
100 Mbit/s, at least nine right answers of ten, the first sound at p50 within five seconds, the
interruption and the page as they should be; a whole run writes the table of the README beside this.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import signal
import statistics
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from penny.audio.resample import Resampler
from penny.audio.wav import read_audio
from penny.cli.call import CallOptions, hold_call
from penny.cli.utterance import Utterance
from runpod_worker.engines.kokoro import KokoroTts
from runpod_worker.settings import KokoroSettings
from runpod_worker.spoken_settings import SpokenSettings
from runpod_worker.stages import TTS_RATE_HZ, Voice
from tests.doubles.chromium import launch_chromium
from tests.doubles.speech import speak
from tests.newcomer.house import NATURAL, NO_NATURAL, House
from tests.newcomer.questions import Question, read_questions


Json = dict[str, Any]

README = Path(__file__).with_name("README.md")
MARK = "<!-- written by `make test-newcomer` -->"

RIGHT_AT_LEAST = 9
FIRST_SOUND_P50_MS = 5000
FIRST_ANSWER_S = 240
LINE_MBIT_S = 100
EMBEDDED_QUESTION = "cuál es el teléfono de urgencias"
QUIET = 300
"""Of PCM16: softer than this at the end of a recording is not the last word."""
FILLERS = {text for texts in SpokenSettings().fillers.values() for text in texts}


@dataclass(slots=True)
class Asked:
    """What came of one question; times in ms after its last sound."""

    question: Question
    heard: str = ""
    answer: str = ""
    sound_ms: float | None = None
    answer_ms: float | None = None
    stages: Json = field(default_factory=dict)
    fault: str = ""

    @property
    def right(self) -> bool:
        return not self.question.missing(self.answer)


@dataclass(frozen=True, slots=True)
class Held:
    """One bar, and what came of it."""

    what: str
    bar: str
    seen: str
    held: bool

    @property
    def told(self) -> str:
        return self.seen if self.held else f"**not held**: {self.seen}"


class Ear:
    """Notes of one call when the caller fell silent and when what answered."""

    def __init__(self) -> None:
        self.ended_ms: list[float] = []
        self.words_ms: list[tuple[float, str]] = []
        self.heard: list[str] = []

    def take(self, event: Json) -> None:
        match event.get("type"):
            case "utterance_ended":
                self.ended_ms.append(event["at_ms"])
            case "transcript_delta" if event.get("role") != "user":
                self.words_ms.append((event["at_ms"], str(event.get("delta", "")).strip()))
            case "transcript_final" if event.get("role") == "user":
                self.heard.append(str(event.get("text", "")))


async def ask(url: str, asked: Asked, utterance: Utterance) -> None:
    ear = Ear()
    call, failure = await hold_call(
        CallOptions(url, language=asked.question.language),
        ear.take,
        lambda call: call.say_all([utterance]),
    )
    asked.fault = failure or ""
    asked.heard = " ".join(ear.heard)
    if call is None or not ear.ended_ms:
        return
    asked.answer = " ".join(turn.penny for turn in call.log.turns)
    asked.stages = call.log.turns[-1].latency_ms if call.log.turns else {}
    asked.sound_ms = call.answer_delays_ms[0] if call.answer_delays_ms else None
    answers = [at for at, words in ear.words_ms if words not in FILLERS]
    asked.answer_ms = answers[0] - ear.ended_ms[0] if answers else None


async def ask_typed(url: str, question: Question) -> bool:
    """Whether the same words, typed, are answered right."""
    typed = Asked(question)
    await ask(url, typed, Utterance("typed", text=question.question))
    return typed.right


async def interrupt(url: str, first: Utterance, second: Utterance) -> str:
    """Ask over a running answer; what went wrong, or ''."""
    call, failure = await hold_call(
        CallOptions(url, over_ms=1500), lambda _: None, lambda c: c.say_all([first, second])
    )
    if failure or call is None:
        return failure or "no call"
    turns = call.log.turns
    if not any(turn.interrupted for turn in turns[:-1]):
        return "the first answer was not interrupted"
    return "" if turns[-1].answered else "the second question was not answered"


async def record(models: Path, speech: Path | None, questions: list[Question]) -> list[Utterance]:
    """The questions as speech, without silence at their ends: a person's where there is one."""
    tts = KokoroTts(KokoroSettings(model=models / "natural/kokoro", threads=1, cores=0))
    spoken = []
    for question in questions:
        if speech is not None and question.recording:
            pcm, rate_hz = read_audio(speech / question.recording)
            resampler = Resampler(rate_hz, TTS_RATE_HZ)
            pcm = resampler.process(pcm) + resampler.flush()
        else:
            voice = Voice(question.language, question.voice)
            pcm = b"".join([p async for p in tts.synthesize(question.question, voice)])
        loud = np.flatnonzero(np.abs(np.frombuffer(pcm, "<i2").astype(np.int32)) > QUIET)
        spoken.append(Utterance(question.question, pcm=pcm[: 2 * (int(loud[-1]) + 1)]))
    await tts.aclose()
    return spoken


async def look_at_page(address: str) -> str:
    """Open the page in a browser where there is one; what went wrong, or ''."""
    async with aiohttp.ClientSession() as http, http.get(f"http://{address}/") as answer:
        if answer.status != 200:
            return f"the page answered HTTP {answer.status}"
    async with launch_chromium() as browser:
        page = await browser.new_page()
        await page.goto(f"http://{address}/")
        title = await page.title()
    return "" if "Penny" in title else f"the page is called {title!r}"


async def first_answer(house: House) -> str:
    """The sample's own question, in eSpeak's voice, as soon as there is an address."""
    question = Question("es", "eSpeak NG", EMBEDDED_QUESTION, ("900 654 321",))
    asked = Asked(question)
    await ask(
        f"ws://{house.address}/ws", asked, Utterance(EMBEDDED_QUESTION, speak(EMBEDDED_QUESTION))
    )
    return asked.fault or ("" if asked.right else f"heard {asked.heard!r}: {asked.answer}")


async def try_out(house: House, models: Path, speech: Path | None) -> list[Held]:
    """Everything a newcomer does, told as it happens; what each bar came to."""
    url = f"ws://{house.address}/ws"
    print(f"{house.age_s:6.1f} s  Penny listens on {house.address}; load {os.getloadavg()[0]:.1f}")
    fault = await first_answer(house)
    first = judge_first_answer(house, fault)
    natural_s = await house.until(NATURAL, NO_NATURAL)
    if house.has(NO_NATURAL):
        refusal = " ".join(line for line in house.output if NO_NATURAL.search(line))
        return [first, Held("profile natural", "ready", refusal, held=False)]
    questions = read_questions()
    recordings = await record(models, speech, questions)
    results = []
    for question, recording in zip(questions, recordings, strict=True):
        asked = Asked(question)
        await ask(url, asked, recording)
        results.append(asked)
        await tell(url, asked)
    over = await interrupt(url, recordings[4], recordings[0])
    page = await look_at_page(house.address)
    return [
        first,
        Held("profile natural", "ready", f"{natural_s:.0f} s after `git clone`", held=True),
        *judge_answers(results, persons=sum(bool(speech and q.recording) for q in questions)),
        Held("interruption", "yields, answers the second", over or "does both", held=not over),
        Held("page", "opens", page or "opens", held=not page),
    ]


def judge_first_answer(house: House, fault: str) -> Held:
    """The most that it takes on a line of LINE_MBIT_S.

    As if the download had taken no time here: its time on that line is added to the whole.
    """
    here_s = house.age_s
    line_s = house.download_mb * 8 / LINE_MBIT_S
    seen = (
        f"{here_s:.0f} s here with {house.download_mb:.0f} MB downloaded; {LINE_MBIT_S} Mbit/s add "
        f"{line_s:.0f} s at most: {here_s + line_s:.0f} s"
    )
    return Held(
        "clone to first answer",
        f"{FIRST_ANSWER_S} s on {LINE_MBIT_S} Mbit/s",
        fault or seen,
        held=not fault and here_s + line_s <= FIRST_ANSWER_S,
    )


async def tell(url: str, asked: Asked) -> None:
    verdict = "right"
    if not asked.right:
        cause = "hearing" if await ask_typed(url, asked.question) else "reader"
        verdict = f"WRONG ({cause}; lacks {', '.join(asked.question.missing(asked.answer))})"
    stages = " ".join(f"{name} {ms}" for name, ms in asked.stages.items())
    print(f"- {asked.question.question}\n    heard  {asked.heard}\n    answer {asked.answer}")
    print(
        f"    {verdict}; first sound {asked.sound_ms} ms, of the answer {asked.answer_ms} ms; "
        f"{stages}; load {os.getloadavg()[0]:.1f} {asked.fault}"
    )


def judge_answers(results: list[Asked], persons: int) -> list[Held]:
    right = sum(asked.right for asked in results)
    sounds = [asked.sound_ms for asked in results if asked.sound_ms is not None]
    answers = [asked.answer_ms for asked in results if asked.answer_ms is not None]
    sound_ms = statistics.median(sounds or [math.inf])
    answer_ms = statistics.median(answers or [math.inf])
    return [
        Held(
            "right answers",
            f"{RIGHT_AT_LEAST} of 10",
            f"{right} ({persons} asked by recordings of people)",
            held=right >= RIGHT_AT_LEAST,
        ),
        Held(
            "first sound after the last word, p50",
            f"{FIRST_SOUND_P50_MS} ms",
            f"{sound_ms:.0f} ms (of the answer, after a filler: {answer_ms:.0f} ms)",
            held=sound_ms <= FIRST_SOUND_P50_MS,
        ),
    ]


def write_table(bars: list[Held]) -> None:
    """To the README beside this file, after its heading "Result"."""
    machine = f"{os.cpu_count()} cores, load {os.getloadavg()[2]:.0f} over the last quarter hour"
    lines = [f"On {machine}. {MARK}", "", "| what | bar | seen |", "|---|---|---|"]
    lines += [f"| {bar.what} | {bar.bar} | {bar.told} |" for bar in bars]
    before = README.read_text(encoding="utf-8").split("\n## Result", 1)[0]
    README.write_text(before + "\n## Result\n\n" + "\n".join(lines) + "\n", encoding="utf-8")


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--here", action="store_true", help="no clone: this tree, this Python")
    parser.add_argument("--models", type=Path, help="with --here: a folder that has the weights")
    parser.add_argument("--speech", type=Path, help="the recordings that questions.yaml names")
    arguments = parser.parse_args()
    # A time limit from outside ends by SIGTERM: the house is stopped all the same.
    trial = asyncio.current_task()
    assert trial is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, trial.cancel)
    with tempfile.TemporaryDirectory(prefix="penny-newcomer-") as scratch:
        folder = Path(scratch, "penny")
        if arguments.here:
            folder.mkdir()
            house = await House.here(folder, arguments.models)
        else:
            house = await House.clone(folder)
        try:
            bars = await try_out(house, arguments.models or folder / "var/models", arguments.speech)
        finally:
            await house.stop()
    for bar in bars:
        print(f"{bar.what} ({bar.bar}): {bar.told}")
    if not arguments.here:
        write_table(bars)
    return 0 if all(bar.held for bar in bars) else 1


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
