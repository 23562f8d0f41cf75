"""Identifiers: a prefix that tells what is named, and 128 random bits."""

from __future__ import annotations

import hashlib
import secrets


def new_id(prefix: str) -> str:
    """Return ``prefix_`` and 22 URL-safe characters (128 bits), e.g. ``sess_…``, ``item_…``."""
    return f"{prefix}_{secrets.token_urlsafe(16)}"


def digest_of(secret: str) -> str:
    """What is kept of a secret that such an id is: its SHA-256, in hex."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
