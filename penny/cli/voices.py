"""``python -m penny voices``: the voices that XTTS clones, one recording each."""

from __future__ import annotations

import argparse
from pathlib import Path

from penny.audio.wav import read_audio
from penny.cli.configured import add_config_option, load_config
from penny.errors import PennyError
from runpod_worker.voice_samples import VoiceSamples


class VoiceRefused(PennyError):
    """The recording cannot be a voice, and why."""

    code = "voice_refused"


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("voices", help="the voices that XTTS clones")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    adding = actions.add_parser("add", help="keep a recording of one voice, 6 to 30 seconds long")
    adding.add_argument("name", metavar="NAME", help="what sessions call it: a-z, 0-9, - and _")
    adding.add_argument("recording", metavar="RECORDING", type=Path, help="WAV, FLAC, OGG or MP3")
    add_config_option(adding)
    adding.set_defaults(run=add)
    listing = actions.add_parser("list", help="the voices there are")
    add_config_option(listing)
    listing.set_defaults(run=list_voices)


def add(arguments: argparse.Namespace) -> int:
    """Check and keep a recording. Raises ConfigErrors, VoiceRefused."""
    folder = load_config(arguments).worker.engines.xtts.voices
    try:
        seconds = VoiceSamples(folder).add(arguments.name, arguments.recording)
    except (ValueError, FileNotFoundError) as error:
        raise VoiceRefused(str(error)) from error
    print(f"{arguments.name}: {seconds:.1f} s kept in {folder}")
    print(f"Sessions ask for it by name; worker.engines.xtts.voice: {arguments.name} is for all.")
    return 0


def list_voices(arguments: argparse.Namespace) -> int:
    """Name and length of every voice."""
    folder = load_config(arguments).worker.engines.xtts.voices
    samples = VoiceSamples(folder)
    for name in samples.names():
        path = samples.find(name)
        if path is not None:
            pcm, rate_hz = read_audio(path)
            print(f"{name}  {len(pcm) / 2 / rate_hz:.1f} s")
    if not samples.names():
        print(f"no voices in {folder}; add one: python -m penny voices add NAME sample.wav")
    return 0
