"""The cleaners of this machine: which are here, what they cost, and how a worker gets them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from penny.errors import EngineError
from runpod_worker.cleaning.budget import Budget
from runpod_worker.cleaning.deepfilter import DeepFilter
from runpod_worker.cleaning.ears import EarsCleaning
from runpod_worker.cleaning.hush import Hush
from runpod_worker.cleaning.stages import Cleaner, CleanerInfo
from runpod_worker.cleaning.vad import CleanedVad
from runpod_worker.settings import HearingSettings, WorkerSettings
from runpod_worker.stages import Vad
from runpod_worker.weights.catalogue import load_catalogue


_MODEL = "DeepFilterNet3_onnx.tar.gz"


def find_files(name: str, models: Path) -> dict[str, Path]:
    """The files of a cleaner's weights; empty where one is missing. Their bytes are not compared:
    ``models verify`` does that."""
    weights = load_catalogue()[name]
    places = {file: weights.place(models, file) for file in weights.wheel_files}
    return places if all(place.is_file() for place in places.values()) else {}


def open_hush(models: Path) -> Hush:
    """Raises EngineError, saying how to get it."""
    files = find_files(Hush.info.name, models)
    if not files:
        raise _missing(Hush.info, "vad")
    return Hush(next(iter(files.values())).parent)


def open_deep_filter(models: Path) -> DeepFilter:
    """Raises EngineError, saying how to get it."""
    files = find_files(DeepFilter.info.name, models)
    if not files:
        raise _missing(DeepFilter.info, "stt")
    model = files.pop(_MODEL)
    if not files:
        raise EngineError("worker.hearing.denoise: no library for this machine", stage="stt")
    return DeepFilter(next(iter(files.values())), model)


async def gate(vad: Vad, settings: WorkerSettings, budget: Budget) -> Vad:
    """The VAD, behind Hush where ``worker.hearing.gate`` says so. Raises EngineError."""
    chosen = settings.hearing.gate
    if chosen == "none" or (chosen == "auto" and not find_files(Hush.info.name, settings.models)):
        return vad
    return CleanedVad(vad, await asyncio.to_thread(open_hush, settings.models), budget)


async def clean_ears(settings: WorkerSettings, budget: Budget) -> EarsCleaning:
    """The recogniser's branch by ``worker.hearing.denoise``. Raises EngineError."""
    hearing = settings.hearing
    cleaner: Cleaner | None = None
    here = bool(find_files(DeepFilter.info.name, settings.models))
    if hearing.denoise != "never" and (here or hearing.denoise != "asked"):
        cleaner = await asyncio.to_thread(open_deep_filter, settings.models)
    return EarsCleaning(
        cleaner, budget, when=hearing.denoise, noisy_below_db=hearing.noisy_below_db
    )


def describe(hearing: HearingSettings, models: Path) -> Iterator[str]:
    """A line for each cleaner: whether it is here, when it runs, what it costs, its licence."""
    for info, when in ((Hush.info, hearing.gate), (DeepFilter.info, hearing.denoise)):
        use = "gate" if info is Hush.info else "denoise"
        here = "here" if find_files(info.name, models) else f"not here ({_get(info)})"
        yield (
            f"{info.name}: {here}; worker.hearing.{use}: {when}; {info.cpu_ms_per_s} ms of a core "
            f"for a second of a call, {info.delay_ms} ms late; {info.license}"
        )


def _get(info: CleanerInfo) -> str:
    return f"python -m penny models pull {info.name}"


def _missing(info: CleanerInfo, stage: str) -> EngineError:
    return EngineError(
        f"worker.hearing: the weights of {info.name} are not here; get them: {_get(info)}",
        stage=stage,
        code="weights_missing",
        retryable=False,
    )
