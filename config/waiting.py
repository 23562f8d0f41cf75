"""The ``waiting:`` section: what a caller hears while a worker is on its way."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from config.section import Section


class WaitingSection(Section):
    """Fillers while a private worker wakes up or is replaced."""

    enabled: bool = Field(
        default=True, description="false leaves the caller in silence until a worker is there"
    )
    after_s: float = Field(
        default=1.5, gt=0, le=30, description="a session begins without its worker after this"
    )
    every_s: float = Field(
        default=10.0, ge=3, le=120, description="silence after the first filler; later ones grow"
    )
    recordings: Path | None = Field(
        default=None, description="folder of own recordings; `python -m penny fillers` makes it"
    )
