"""People who signed in to the pages: an opaque cookie each, in the store that gateways share.

The cookie proves who asks; what that person may do is read anew from the key each time, so that
a revoked key or a changed role holds at once. Nothing is kept of the cookie but its digest.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from penny.ids import new_id
from penny.trust.client_secrets import digest_of
from penny.trust.identity import Identity
from penny.trust.store import Store


Json = dict[str, Any]

PREFIX = "page"
LIFE_S = 12 * 3600
"""A working day: then a person signs in again."""


class SignIns:
    """The living sign-ins of a gateway's pages."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def begin(self, who: Identity, *, granted: bool = False) -> str:
        """Return a new cookie.

        Args:
            granted: the rights came with the person and hold as they are; else they are the key's.

        Raises:
            ProtocolError: this tenant has too many.
        """
        cookie = new_id(PREFIX)
        payload = {"page": True, "tenant": who.tenant, "key_id": who.key_id}
        if granted:
            payload["rights"] = sorted(who.rights)
        await self._store.put_secret(digest_of(cookie), payload, LIFE_S)
        return cookie

    async def find(self, cookie: str) -> Json | None:
        """What is kept of a sign-in: ``tenant``, ``key_id``, and ``rights`` where it was granted
        them. None when it is over."""
        payload = await self._store.find_secret(digest_of(cookie))
        return payload if payload is not None and payload.get("page") else None

    async def end(self, cookie: str) -> None:
        if await self.find(cookie) is not None:
            await self._store.take_secret(digest_of(cookie))


def csrf_of(cookie: str) -> str:
    """The token that a page sends with all it changes: who only has the cookie sent along, as a
    foreign page does, cannot know it."""
    return hashlib.sha256(b"csrf:" + cookie.encode("utf-8", "surrogatepass")).hexdigest()


def is_same(given: str, expected: str) -> bool:
    """Whether two secrets are equal, in a time that tells nothing."""
    return secrets.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())
