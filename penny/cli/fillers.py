"""``python -m penny fillers``: the sentences of waiting, recorded in this worker's own voice."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from modes.self_hosted.waiting.sentences import SENTENCES
from penny.audio.format import PCM24K
from penny.audio.wav import write_opus
from penny.cli.configured import add_config_option, load_config
from runpod_worker.settings import WorkerSettings
from runpod_worker.stages import Tts, Voice


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "fillers", help="record what callers hear while they wait, in the profile's voice"
    )
    parser.add_argument("--folder", type=Path, default=Path("var/recordings"))
    parser.add_argument("--voice", default="", help="one of the engine's voices; else its own")
    add_config_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Raises ConfigErrors, EngineError."""
    config = load_config(arguments)
    folder = config.resolve(arguments.folder)
    seconds = asyncio.run(record(config.worker_settings(), folder, arguments.voice))
    print(f"{seconds:.0f} s of sentences in {folder}")
    print(f"Callers hear them with waiting.recordings: {arguments.folder} in penny.yaml.")
    return 0


async def record(settings: WorkerSettings, folder: Path, voice: str) -> float:
    """Speak and write every sentence; returns how long they are together, in seconds."""
    from runpod_worker.engines.registry import load_tts

    tts = await load_tts(settings)
    total_ms = 0.0
    try:
        for language, sentences in SENTENCES.items():
            (folder / language).mkdir(parents=True, exist_ok=True)
            for name, text in sentences.items():
                pcm = await _speak(tts, text, Voice(name=voice, language=language))
                write_opus(folder / language / f"{name}.ogg", pcm)
                total_ms += PCM24K.ms_of(len(pcm))
    finally:
        await tts.aclose()
    return total_ms / 1000


async def _speak(tts: Tts, text: str, voice: Voice) -> bytes:
    return b"".join([pcm async for pcm in tts.synthesize(text, voice)])
