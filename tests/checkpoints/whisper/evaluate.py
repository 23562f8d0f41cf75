"""What the packed model hears of voices that it was not trained on, and of strangers' sentences.

python -m tests.checkpoints.whisper.evaluate FOLDER [CLIPS]
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import soxr
from faster_whisper import WhisperModel


SPLITS = ("train", "held_out_voice", "held_out_both", "held_out_negative")


def telephone(samples: np.ndarray) -> np.ndarray:
    return soxr.resample(soxr.resample(samples, 16_000, 8_000), 8_000, 16_000)


def noisy(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    level = np.sqrt(np.mean(samples**2)) * 10 ** (-15 / 20)
    return samples + rng.standard_normal(len(samples)).astype(np.float32) * level


def main(folder: Path, count: int) -> None:
    model = WhisperModel(
        str(folder / "ctranslate2"), device="cpu", compute_type="int8", cpu_threads=1
    )
    stored = np.load(folder / "clips.npz")
    plans = [json.loads(str(plan)) for plan in stored["plan"]]
    data, ends = stored["data"], np.cumsum(stored["lengths"])
    starts = ends - stored["lengths"]
    rng = np.random.default_rng(0)
    wrong: Counter[tuple[str, str]] = Counter()
    for split, change in [(s, "") for s in SPLITS] + [
        ("held_out_voice", "telephone"),
        ("held_out_voice", "noise"),
    ]:
        chosen = [i for i, plan in enumerate(plans) if plan[0] == split]
        chosen = [chosen[i] for i in rng.permutation(len(chosen))[:count]]
        right, spent = 0, []
        for i in chosen:
            clip = data[starts[i] : ends[i]].astype(np.float32) / 32768
            clip = np.pad(clip, (int(rng.integers(0, 6400)), 4800))
            if change:
                clip = telephone(clip) if change == "telephone" else noisy(clip, rng)
            began = time.process_time()
            segments, _ = model.transcribe(
                clip,
                language="es",
                beam_size=1,
                temperature=0.0,
                condition_on_previous_text=False,
            )
            text = "".join(segment.text for segment in segments).strip()
            spent.append(time.process_time() - began)
            wanted = "" if plans[i][1] < 0 else plans[i][2]
            right += text == wanted
            if text != wanted:
                wrong[plans[i][2], text] += 1
        share, median = right / len(chosen), np.median(spent) * 1000
        print(
            f"{split:18} {change:10} {len(chosen):4} clips, exact {share:.3f}, {median:.0f} ms CPU"
        )
    print(wrong.most_common(15))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 300)
