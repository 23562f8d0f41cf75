"""The worker's part of ``penny.yaml``: ``worker:`` (how it runs), in the worker's own sections.

Which engines run is a profile (``profiles:``): a :class:`runpod_worker.settings.EngineChoice`
with the keys of ``worker.engines`` that it wants otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from penny.section import Section, key_error
from runpod_worker.asking_back import AskingSettings
from runpod_worker.settings import (
    DeadlineSettings,
    EngineChoice,
    EngineSettings,
    HearingSettings,
    TurnSettings,
)
from runpod_worker.spoken_settings import SpokenSettings


class Profile(EngineChoice):
    """One engine for each stage, and the keys of ``worker.engines`` that this profile sets."""

    engines: dict[str, dict[str, Any]] = Field(
        {}, description="keys of worker.engines that this profile sets, by engine"
    )

    @model_validator(mode="after")
    def _engines_are_right(self) -> Self:
        try:
            EngineSettings.model_validate(self.engines)
        except ValidationError as failure:
            fault = failure.errors(include_url=False)[0]
            key = ".".join(str(part) for part in ("engines", *fault["loc"]))
            raise key_error(key, fault["msg"]) from None
        return self

    @property
    def choice(self) -> EngineChoice:
        return EngineChoice(**self.model_dump(exclude={"engines"}))

    def over(self, engines: EngineSettings) -> EngineSettings:
        """``worker.engines`` with this profile's keys in place of theirs."""
        sections = engines.model_dump()
        for name, keys in self.engines.items():
            sections[name] |= keys
        return EngineSettings.model_validate(sections)


AUTO = "auto"
"""`penny.profile`: NATURAL where the machine can carry it and its weights are here."""
NATURAL = "natural"
EMBEDDED = "embedded"


def default_profiles() -> dict[str, Profile]:
    whisper = {
        "model": "natural/whisper-base",
        "device": "cpu",
        "compute_type": "int8",
        "cpu_threads": 0,
        "window_s": 15,
        "languages": ["es", "en"],
        "temperatures": [0.0],
        "hot_words": 0,
    }
    kokoro = {"model": "natural/kokoro", "device": "cpu", "threads": 1, "cores": 0}
    return {
        EMBEDDED: Profile(),
        NATURAL: Profile(
            stt="faster-whisper",
            tts="kokoro",
            engines={"faster_whisper": whisper, "kokoro": kokoro},
        ),
        "gpu": Profile(stt="faster-whisper", llm="openai-compatible", tts="xtts"),
    }


class WorkerSection(Section):
    """``worker``: address, turns, deadlines and engines of the local worker."""

    host: str = Field("127.0.0.1", description="address `python -m penny worker` listens on")
    port: int = Field(8090, ge=0, le=65535, description="its port; 0 takes a free one")
    max_sessions: int = Field(20, ge=1, description="sessions at once in one worker")
    models: Path = Field(Path("var/models"), description="folder of the engines' weights")
    start_timeout_s: float = Field(60.0, gt=0, description="time its engines have to load")
    replace_timeout_s: float = Field(
        30.0, ge=0, description="time a session waits for another worker when its own dies"
    )
    turns: TurnSettings = Field(TurnSettings(), description="turn taking")
    hearing: HearingSettings = Field(
        HearingSettings(), description="noise taken out of a caller's line"
    )
    deadlines: DeadlineSettings = Field(DeadlineSettings(), description="how long a stage may take")
    spoken: SpokenSettings = Field(
        SpokenSettings(), description="what Penny says when a stage has no words"
    )
    asking: AskingSettings = Field(
        AskingSettings(), description="asking back about a word heard with doubt"
    )
    engines: EngineSettings = Field(EngineSettings(), description="one per engine")
