"""Who may do what: the rights there are, the roles that hold them, and the one question. Pure.

Default deny: a right that no role, key or tenant was given is not there. Rights are of the
caller's own tenant; ``tenants:all`` carries them to every other.
"""

from __future__ import annotations

from collections.abc import Iterable

from penny.errors import Forbidden
from penny.trust.identity import Identity


RIGHTS: dict[str, str] = {
    "sessions:open": "talk, at either door",
    "secrets:mint": "make client secrets for browsers",
    "kb:read": "search the knowledge base",
    "kb:write": "change documents and collections",
    "sessions:read": "list live sessions",
    "sessions:events": "follow a live session, without what is said",
    "sessions:words": "read along what is said in a live session",
    "sessions:hang_up": "end a live session",
    "calls:place": "place telephone calls",
    "calls:read": "find kept calls and read them",
    "calls:audio": "hear kept calls",
    "calls:export": "take kept calls out",
    "calls:correct": "put a kept call's data right",
    "calls:erase": "erase kept calls",
    "analysis:read": "see what was understood of calls, and the dashboard",
    "analysis:write": "change what calls are asked, and corrections of it",
    "telephony:read": "see which phone lines calls come from",
    "telephony:write": "say which phone lines calls come from, and test them",
    "webhooks:write": "say who is told of events",
    "audit:read": "read who did what",
    "house:read": "the gateway's own figures, faults and file names",
    "house:write": "the gateway's own settings",
    "tenants:all": "every other right holds for every tenant",
}
"""Right -> what it lets its holder do. A new room adds its own here, and to the roles."""

CALLER = frozenset({"sessions:open", "secrets:mint", "kb:read"})
OPERATOR = CALLER | {"sessions:read", "sessions:hang_up", "calls:read"}
SUPERVISOR = OPERATOR | {
    "calls:place",
    "sessions:events",
    "sessions:words",
    "calls:audio",
    "calls:export",
    "calls:correct",
    "analysis:read",
    "analysis:write",
}
AUDITOR = frozenset(
    {"kb:read", "sessions:read", "sessions:events", "calls:read", "calls:audio"}
) | {"analysis:read", "audit:read"}
ADMIN = frozenset(RIGHTS) - {"house:read", "house:write", "tenants:all"}
HOUSE = frozenset(RIGHTS)

ROLES: dict[str, frozenset[str]] = {
    "caller": CALLER,
    "operator": OPERATOR,
    "supervisor": SUPERVISOR,
    "auditor": AUDITOR,
    "admin": ADMIN,
    "house": HOUSE,
}
"""``admin`` holds all of one tenant, ``house`` all of this installation."""

SECRET_RIGHTS = frozenset({"sessions:open"})
"""All that a client secret opens, whatever the key that made it may."""


def rights_of(role: str, more: Iterable[str] = ()) -> frozenset[str]:
    """What a role and single rights beside it come to; a name that is not known gives nothing."""
    return ROLES.get(role, frozenset()) | (frozenset(more) & frozenset(RIGHTS))


def allows(who: Identity, right: str, tenant: str | None = None) -> bool:
    """Whether ``who`` may do that.

    Args:
        tenant: whose thing it is; None is the caller's own tenant.
    """
    if right not in who.rights:
        return False
    return tenant is None or tenant == who.tenant or "tenants:all" in who.rights


def check(who: Identity, right: str, tenant: str | None = None) -> None:
    """As ``allows``. Raises Forbidden, naming the right."""
    if not allows(who, right, tenant):
        raise Forbidden(
            f"this needs the right {right}: use a key that has it (`python -m penny keys create`)",
            field=right,
        )
