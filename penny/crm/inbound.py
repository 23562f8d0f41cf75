"""What a CRM tells of its own changes: Twenty's webhooks, so that no remembered contact is stale.

Twenty signs ``timestamp:body`` (ms) with HMAC-SHA256, and sends every type of event to every hook.
Its deliveries bear no id: one is the same as another by its time and its body.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from pydantic import SecretStr


Json = dict[str, Any]

TIMESTAMP, SIGNATURE = "X-Twenty-Webhook-Timestamp", "X-Twenty-Webhook-Signature"
TOLERANCE_S = 300.0
KEPT = 2000
"""Deliveries that are known again within the tolerance."""
TYPES = ("person", "company", "note", "noteTarget", "task", "taskTarget", "opportunity")
"""Objects that a contact is made of; other types are passed over."""
_IDS = ("id", "targetPersonId", "targetCompanyId", "personId", "companyId", "pointOfContactId")


class Inbound:
    """Takes one CRM's webhooks.

    Args:
        forget: told the ids of what changed.
    """

    def __init__(self, secret: SecretStr, forget: Callable[[frozenset[str]], object]) -> None:
        self._secret = secret.get_secret_value().encode()
        self._forget = forget
        self._seen: deque[bytes] = deque(maxlen=KEPT)
        self._known: set[bytes] = set()
        self.counts: dict[str, int] = {}
        """Deliveries by what became of them: taken, known, passed_over, refused."""

    def accepts(self, headers: Mapping[str, str], body: bytes, now_s: float) -> bool:
        """Take a delivery; False where it is not the CRM's, or too old."""
        # A header may have bytes that are no text, which aiohttp keeps as surrogates.
        stamp, signature = (
            headers.get(name, "").encode("utf-8", "surrogateescape")
            for name in (TIMESTAMP, SIGNATURE)
        )
        signed = hmac.new(self._secret, stamp + b":" + body, hashlib.sha256).hexdigest()
        is_theirs = hmac.compare_digest(signed.encode(), signature)
        if not (is_theirs and stamp.isdigit() and abs(now_s - int(stamp) / 1000) <= TOLERANCE_S):
            return self._count("refused", taken=False)
        mark = hashlib.sha256(stamp + body).digest()
        if mark in self._known:
            return self._count("known")
        if len(self._seen) == KEPT:
            self._known.discard(self._seen[0])
        self._seen.append(mark)
        self._known.add(mark)
        return self._take(body)

    def _take(self, body: bytes) -> bool:
        try:
            event = orjson.loads(body)
        except orjson.JSONDecodeError:
            return self._count("passed_over")
        name = str(event.get("eventName") or "") if isinstance(event, dict) else ""
        record = event.get("record") if isinstance(event, dict) else None
        if name.split(".")[0] not in TYPES or not isinstance(record, dict):
            return self._count("passed_over")
        self._forget(frozenset(str(record[each]) for each in _IDS if record.get(each)))
        return self._count("taken")

    def _count(self, what: str, *, taken: bool = True) -> bool:
        self.counts[what] = self.counts.get(what, 0) + 1
        return taken
