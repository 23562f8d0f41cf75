"""The worker's part of ``penny.yaml``: ``worker:`` (how it runs), in the worker's own sections.

Which engines run is a profile (``profiles:``, :class:`runpod_worker.settings.EngineChoice`).
"""

from __future__ import annotations

from pydantic import Field

from config.section import Section
from runpod_worker.settings import (
    DeadlineSettings,
    EngineChoice,
    EngineSettings,
    SpokenSettings,
    TurnSettings,
)


Profile = EngineChoice


def default_profiles() -> dict[str, Profile]:
    return {
        "embedded": Profile(),
        "gpu": Profile(stt="faster-whisper", llm="openai-compatible", tts="xtts", turn="auto"),
    }


class WorkerSection(Section):
    host: str = Field(
        default="127.0.0.1", description="address `python -m penny worker` listens on"
    )
    port: int = Field(default=8090, ge=0, le=65535, description="its port; 0 takes a free one")
    max_sessions: int = Field(default=20, ge=1, description="sessions at once in one worker")
    start_timeout_s: float = Field(default=60.0, gt=0, description="time its engines have to load")
    replace_timeout_s: float = Field(
        default=30.0, ge=0, description="time a session waits for another worker when its own dies"
    )
    turns: TurnSettings = Field(default_factory=TurnSettings, description="turn taking")
    deadlines: DeadlineSettings = Field(
        default_factory=DeadlineSettings, description="how long a stage may take"
    )
    spoken: SpokenSettings = Field(
        default_factory=SpokenSettings, description="what Penny says when a stage has no words"
    )
    engines: EngineSettings = Field(default_factory=EngineSettings, description="one per engine")
