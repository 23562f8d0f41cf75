"""Tracking keys: by which a caller asks later what became of a query or a claim.

An action of ``callable: penny.calls.tracking:open_claim`` gives one to each that it is called for;
the call's record, searches, page and ``call.ended`` have it.
"""

from __future__ import annotations

import secrets
from typing import Any


Json = dict[str, Any]

SIGNS = "2346789CDFGHJKMNPQRTVWXY"
"""Told apart by ear and by eye, and making no words: without vowels, and 0, 1, 5, B, L, S, Z."""
GROUPS, GROUP_SIGNS = 3, 3
"""2.6e12 keys: among a million claims, one chance in five that any two are alike."""


def new_key() -> str:
    """Such as ``K7M-4QX-29D``."""
    groups = ("".join(secrets.choice(SIGNS) for _ in range(GROUP_SIGNS)) for _ in range(GROUPS))
    return "-".join(groups)


def spell(key: str) -> str:
    """A key as it is said: sign by sign, with a pause after each group."""
    return ", ".join(" ".join(group) for group in key.split("-"))


def open_claim(_arguments: Json, _session: Json) -> Json:
    """An action's callable: the key that is said to the caller, and kept with the call."""
    key = new_key()
    return {"tracking_key": key, "say": spell(key)}
