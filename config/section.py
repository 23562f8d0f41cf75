"""The base of every section of ``penny.yaml``: frozen, and an unknown key is an error."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """Base of every section: frozen, and an unknown key is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True
    )


def key_error(key: str, reason: str) -> PydanticCustomError:
    """What a section's own check raises: ``key`` is dotted, seen from that section."""
    return PydanticCustomError("key_error", "{reason}", {"key": key, "reason": reason})
