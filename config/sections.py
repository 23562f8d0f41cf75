"""The small sections of ``penny.yaml``: ``admin``, ``tracing`` and ``waiting``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from penny.aio.allow_list import AllowList
from penny.section import Section
from penny.tracing.settings import TracingSettings, refuse_collector


class AdminSection(Section):
    """``admin``: the operator's page and routes, which ask for a key made with ``--admin``."""

    show_transcripts: bool = Field(
        False,
        description="whether an operator who asks, call by call, may read what is said",
    )


class TracingSection(TracingSettings):
    """``tracing``: OpenTelemetry spans.

    Off by default; then nothing of it is loaded.
    """

    def refusal(self, allowed_hosts: tuple[str, ...], *, private: bool) -> str:
        """Why the collector may not be used, or ''.

        Args:
            private: whether this Penny has private sessions, whose spans would go there too.
        """
        if not self.enabled or not private:
            return ""
        return refuse_collector(self, AllowList(allowed_hosts))


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
