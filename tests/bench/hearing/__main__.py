"""Measures hearing on a bad line, raw and cleaned: python -m tests.bench.hearing [--write]

Each cell is kept in ``bench-results/hearing.json`` as it comes, so that a run may be broken off,
and ``--parts`` may be run by themselves. None of the sounds was used to tune Penny or an engine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from penny.aio.files import write_whole
from runpod_worker.cleaning.budget import Budget
from runpod_worker.cleaning.loading import open_deep_filter, open_hush
from runpod_worker.cleaning.stages import Cleaner
from runpod_worker.cleaning.vad import CleanedVad
from runpod_worker.engines.silero import SileroVad
from tests.bench.hearing import quiet, recognition, turns
from tests.bench.hearing.sounds import PROMPTS, RATE_HZ, SPEECH_DBFS, clips, noise, to_pcm
from tests.bench.pipeline.speech import FOLDER


RESULTS = Path(__file__).resolve().parents[3] / "bench-results" / "hearing.json"
README = Path(__file__).resolve().parents[3] / "runpod_worker" / "cleaning" / "README.md"
BEGIN, END = "<!-- hearing: begin -->", "<!-- hearing: end -->"
KINDS, SNRS_DB = ("babble", "street", "music"), (10, 5, 0)
CELLS = [("clean", None), *((kind, snr) for kind in KINDS for snr in SNRS_DB)]
NO_BUDGET = 1e9

Json = dict[str, Any]


class Results:
    """What was measured, by part and cell."""

    def __init__(self, fresh: bool) -> None:
        self.parts: Json = {}
        if RESULTS.is_file() and not fresh:
            self.parts = json.loads(RESULTS.read_text(encoding="utf-8"))

    def missing(self, part: str, names: list[str]) -> list[str]:
        return [name for name in names if name not in self.parts.get(part, {})]

    def keep(self, part: str, name: str, told: Json) -> None:
        # Two parts may run at once: what the other has written stays.
        self.parts = Results(fresh=False).parts
        self.parts.setdefault(part, {})[name] = told
        RESULTS.parent.mkdir(exist_ok=True)
        write_whole(RESULTS, json.dumps(self.parts, indent=1) + "\n")
        print(part, name, json.dumps(told), flush=True)


def name_of(kind: str, snr_db: int | None) -> str:
    return kind if snr_db is None else f"{kind} {snr_db} dB"


def around(kind: str, snr_db: int | None, length: int, prompts: Path) -> np.ndarray:
    if snr_db is None:
        return np.zeros(length)
    made = noise(kind, length / RATE_HZ, SPEECH_DBFS - snr_db, prompts)
    return np.resize(made, length)


def measure_words(given: argparse.Namespace, results: Results) -> None:
    """Word error, each clip with 2 s of noise before and 1 s after it."""
    wanted = results.missing("words", [name_of(*cell) for cell in CELLS])
    if not wanted:
        return
    whisper = recognition.open_whisper(str(given.models / "natural" / "whisper-base"))
    deep: Cleaner = open_deep_filter(given.models)
    said = clips(given.speech)
    quiet_s = np.zeros(RATE_HZ)
    bare = [np.concatenate((quiet_s, quiet_s, clip.samples, quiet_s)) for clip in said]
    for cell in CELLS:
        if name_of(*cell) in wanted:
            room = around(*cell, sum(map(len, bare)), given.prompts)
            lines, at = [], 0
            for clip, samples in zip(said, bare, strict=True):
                lines.append((clip, to_pcm(samples + room[at : at + len(samples)])))
                at += len(samples)
            heard = recognition.measure(whisper, lines, {"raw": None, deep.info.name: deep})
            results.keep("words", name_of(*cell), {way: one.told() for way, one in heard.items()})


async def measure_turns(given: argparse.Namespace, results: Results) -> None:
    """False starts and recall of a whole line of clips."""
    line, speech = turns.build_line(clips(given.speech))
    hush = open_hush(given.models)
    for cell in CELLS:
        if results.missing("turns", [name_of(*cell)]):
            heard = line + around(*cell, len(line), given.prompts)
            told = {}
            for way in ("raw", "hush"):
                silero = SileroVad()
                vad = silero if way == "raw" else CleanedVad(silero, hush, Budget(NO_BUDGET))
                told[way] = (await turns.listen(vad, heard, speech)).told()
                await silero.aclose()
            results.keep("turns", name_of(*cell), told)


async def measure_quiet(given: argparse.Namespace, results: Results) -> None:
    """Words where nobody speaks, 20 minutes of each kind."""
    ears = quiet.open_ears(str(given.models / "natural" / "whisper-base"))
    for kind in results.missing("quiet", list(quiet.KINDS)):
        vad = SileroVad()
        heard = await quiet.listen(vad, ears, kind, given.minutes, given.prompts)
        results.keep("quiet", kind, heard.told())
        await vad.aclose()
    await ears.aclose()


def table(parts: Json) -> Iterator[str]:
    """Words and turns by cell; then what was heard of nothing."""
    yield "| line | word error | DeepFilterNet 3 | false starts | Hush | recall | Hush |"
    yield "|" + "---|" * 7
    for name in (name_of(*cell) for cell in CELLS):
        words = list(parts.get("words", {}).get(name, {}).values())
        found = list(parts.get("turns", {}).get(name, {}).values())
        cells = [f"{100 * one['wer']:.1f} %" for one in words] or ["-"] * 2
        cells += [str(one["false_starts"]) for one in found] or ["-"] * 2
        cells += [f"{100 * one['recall']:.1f} %" for one in found] or ["-"] * 2
        yield f"| {name} | " + " | ".join(cells) + " |"
    yield ""
    yield "| nobody speaks | minutes | turns | wanting an answer | words | dropped by the list |"
    yield "|" + "---|" * 6
    for kind, one in parts.get("quiet", {}).items():
        fields = ("minutes", "turns", "answered", "words", "phantoms")
        yield f"| {kind} | " + " | ".join(str(one[field]) for field in fields) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", default=["words", "turns", "quiet"])
    parser.add_argument("--speech", type=Path, default=FOLDER, help="people's sentences")
    parser.add_argument("--prompts", type=Path, default=PROMPTS, help="Asterisk's sounds and moh")
    parser.add_argument("--models", type=Path, default=Path("var/models"))
    parser.add_argument("--minutes", type=int, default=20, help="of each kind of quiet")
    parser.add_argument("--fresh", action="store_true", help="measure every cell again")
    parser.add_argument("--write", action="store_true", help="put the tables into README.md")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    results = Results(given.fresh)
    if "words" in given.parts:
        measure_words(given, results)
    if "turns" in given.parts:
        asyncio.run(measure_turns(given, results))
    if "quiet" in given.parts:
        asyncio.run(measure_quiet(given, results))
    lines = "\n".join(table(Results(fresh=False).parts))
    print(lines)
    if given.write:
        text = README.read_text(encoding="utf-8")
        before, after = text.partition(BEGIN)[0], text.partition(END)[2]
        write_whole(README, f"{before}{BEGIN}\n{lines}\n{END}{after}")


if __name__ == "__main__":
    main()
