"""Profile ``natural`` for real: what its voice says, as its own ears hear it, and how long it took.

``make test-natural`` downloads it first. With ``--speech FOLDER`` the recordings there are heard
too (nobody knows their words here: they are printed). Exit status 0: the word error of eight
sentences is at most MOST_ERRORS in each voice.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from pathlib import Path

from config.loader import load
from penny.audio.resample import Resampler
from penny.audio.wav import read_audio
from runpod_worker.engines.registry import Engines, load_engines
from runpod_worker.stages import STT_RATE_HZ, TTS_RATE_HZ, SttOptions, Transcript, Voice
from tests.newcomer.questions import fold


MOST_ERRORS = 0.15
SENTENCES = {
    "es": (
        "Atendemos por teléfono de lunes a viernes de ocho de la mañana a ocho de la tarde.",
        "Puede descargar un duplicado gratis en el área de clientes.",
        "Si se muda, avísenos quince días antes y trasladamos su contrato a la casa nueva.",
        "Compruebe primero si ha saltado el interruptor general del cuadro.",
        "La conexión tarda un máximo de cinco días laborables para la luz.",
        "Las familias numerosas tienen un descuento en el agua y en la luz.",
        "No se preocupe, ahora mismo le paso con una persona del equipo.",
        "Deje correr el grifo unos minutos y, si no se aclara, no beba el agua.",
    ),
    "en": (
        "Our phone line is open Monday to Friday from eight in the morning.",
        "Write down only the black digits and leave out the red ones.",
        "If you move house, tell us two weeks before and we will move your contract.",
        "I will put you through to a person now.",
    ),
}
VOICES = (("es", "ef_dora"), ("es", "em_alex"), ("en", "af_heart"))


async def hear(engines: Engines, pcm: bytes, rate_hz: int, language: str | None) -> Transcript:
    resampler = Resampler(rate_hz, STT_RATE_HZ)
    utterance = engines.stt.begin(SttOptions(language=language))
    utterance.feed(resampler.process(pcm) + resampler.flush())
    return await utterance.finish()


async def try_voice(engines: Engines, language: str, name: str) -> float:
    """Say and hear every sentence; the word error over all."""
    errors = words = 0
    spoken_s = made_s = heard_s = 0.0
    for sentence in SENTENCES[language]:
        began_s = time.monotonic()
        voice = Voice(language, name)
        pcm = b"".join([piece async for piece in engines.tts.synthesize(sentence, voice)])
        made_s += time.monotonic() - began_s
        spoken_s += len(pcm) / 2 / TTS_RATE_HZ
        began_s = time.monotonic()
        heard = (await hear(engines, pcm, TTS_RATE_HZ, language)).text
        heard_s += time.monotonic() - began_s
        wrong = count_errors(split(sentence), split(heard))
        errors, words = errors + wrong, words + len(split(sentence))
        if wrong:
            print(f"    {sentence}\n      heard: {heard}")
    rate = errors / words
    print(
        f"{name}: word error {rate:.3f} ({errors} of {words}); {made_s / spoken_s:.2f} s for a "
        f"second of speech, {heard_s / len(SENTENCES[language]):.2f} s to hear a sentence; "
        f"load {os.getloadavg()[0]:.1f}"
    )
    return rate


def split(text: str) -> list[str]:
    letters = "".join(c if c.isalnum() else " " for c in fold(text))
    return letters.split()


def count_errors(said: list[str], heard: list[str]) -> int:
    """Words to change, add or take away."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            least = min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
            diagonal, row[j] = row[j], least
    return row[-1]


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--speech", type=Path, help="folder of recordings to hear too")
    arguments = parser.parse_args()
    # However long it takes: eSpeak shall not stand in for the voice that is tried.
    patient = {"worker.deadlines.tts_first_audio_ms": 600_000}
    config = load(arguments.config, os.environ, {"penny.profile": "natural", **patient})
    engines = await load_engines(config.worker_settings())
    try:
        rates = [await try_voice(engines, *voice) for voice in VOICES]
        for path in sorted(arguments.speech.iterdir()) if arguments.speech else ():
            if path.suffix in (".wav", ".flac"):
                pcm, rate_hz = read_audio(path)
                transcript = await hear(engines, pcm, rate_hz, None)
                print(f"{path.name} ({transcript.language}): {transcript.text}")
    finally:
        await engines.aclose()
    return 0 if max(rates) <= MOST_ERRORS else 1


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
