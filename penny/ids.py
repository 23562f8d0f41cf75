"""Identifiers: a prefix that tells what is named, and 128 random bits."""

from __future__ import annotations

import secrets


def new_id(prefix: str) -> str:
    """Return ``prefix_`` and 22 URL-safe characters (128 bits), e.g. ``sess_…``, ``item_…``."""
    return f"{prefix}_{secrets.token_urlsafe(16)}"
