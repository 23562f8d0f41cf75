"""Who calls, once it is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


Json = dict[str, Any]

DEFAULT_TENANT = "default"


@dataclass(frozen=True, slots=True)
class Identity:
    """``key_id`` is empty where Penny is open. ``session`` is what a client secret is bound
    to; ``by_secret`` tells that there was one."""

    tenant: str = DEFAULT_TENANT
    key_id: str = ""
    admin: bool = False
    session: Json = field(default_factory=dict)
    by_secret: bool = False
