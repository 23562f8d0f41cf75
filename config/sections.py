"""The small sections of ``penny.yaml``: ``admin`` and ``waiting``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from penny.section import Section


class AdminSection(Section):
    """``admin``: the operator's page and routes, which ask for a key made with ``--admin``."""

    show_transcripts: bool = Field(
        False,
        description="whether an operator who asks, call by call, may read what is said",
    )


class WaitingSection(Section):
    """``waiting``: spoken fillers while a private worker wakes up."""

    enabled: bool = Field(
        True, description="false leaves the caller in silence until a worker is there"
    )
    after_s: float = Field(
        1.5, gt=0, le=30, description="a session begins without its worker after this"
    )
    every_s: float = Field(10.0, ge=3, le=120, description="silence between two spoken fillers")
    recordings: Path | None = Field(
        None, description="folder of own recordings: <language>/<sentence>.ogg"
    )
