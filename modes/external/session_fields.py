"""Realtime session objects are merged field by field. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


Json = dict[str, Any]


def merge(base: Mapping[str, object], fields: Mapping[str, object]) -> Json:
    """``fields`` over ``base``, objects merged."""
    merged: Json = dict(base)
    for name, value in fields.items():
        old = merged.get(name)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[name] = merge(old, value) if both else value  # type: ignore[arg-type]  # both dicts
    return merged
