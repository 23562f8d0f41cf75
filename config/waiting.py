"""The ``waiting:`` section: what a caller hears while a worker is on its way."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from config.section import Section


class WaitingSection(Section):
    """Spoken fillers while a private worker wakes up."""

    enabled: bool = Field(
        default=True, description="false leaves the caller in silence until a worker is there"
    )
    after_s: float = Field(
        default=1.5, gt=0, le=30, description="a session begins without its worker after this"
    )
    every_s: float = Field(
        default=10.0, ge=3, le=120, description="silence between two spoken fillers"
    )
    recordings: Path | None = Field(
        default=None, description="folder of own recordings: <language>/<sentence>.ogg"
    )
