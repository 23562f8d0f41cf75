"""What an operator may see: ``admin`` of ``penny.yaml``."""

from __future__ import annotations

from pydantic import Field

from config.section import Section


class AdminSection(Section):
    """``admin``: the operator's page and routes.

    The routes under ``/admin`` ask for a key made with ``--admin``.
    """

    show_transcripts: bool = Field(
        default=False,
        description="whether an operator who asks, call by call, may read what is said",
    )
