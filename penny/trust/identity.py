"""Who calls, once it is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


Json = dict[str, Any]

DEFAULT_TENANT = "default"


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose call it is: tenant, key and rights (``penny.trust.rights``).

    ``key_id`` is empty where Penny asks for no key. ``session`` is what a client secret is bound
    to, ``secret`` its digest, ``single_use`` whether it opens one session only. ``csrf`` is what
    a page that signed in must send with all it changes; empty for who shows a key each time.
    """

    tenant: str = DEFAULT_TENANT
    key_id: str = ""
    rights: frozenset[str] = frozenset()
    session: Json = field(default_factory=dict)
    secret: str = ""
    single_use: bool = False
    csrf: str = ""
