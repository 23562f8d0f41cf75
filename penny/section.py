"""The base of every group of settings, whichever room owns it: frozen, unknown keys are errors."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """Group of keys of ``penny.yaml``: frozen, and an unknown key is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True
    )


def key_error(key: str, reason: str) -> PydanticCustomError:
    """What a section's own check raises: ``key`` is dotted, seen from that section."""
    return PydanticCustomError("key_error", "{reason}", {"key": key, "reason": reason})


def over(table: Mapping[str, object]) -> BeforeValidator:
    """Validator of a table whose own rows extend, or replace, those of ``table``."""
    return BeforeValidator(lambda value: {**table, **value} if isinstance(value, dict) else value)


def check_http_address(url: str, sample: str, secret_place: str) -> str:
    """``url``, of an HTTP server and without credentials.

    Args:
        sample: what the address may look like, and what listens there.
        secret_place: where its credentials stand instead.

    Raises:
        ValueError: it is another address.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"write {sample}")
    if parts.username or parts.password:
        raise ValueError(f"credentials do not stand in this file; {secret_place}")
    return url
