"""JSON that is many more values than its length lets one think. Pure.

Four megabytes of ``[],[],`` are a million lists: a hundred megabytes, and half a second in which
no other call is heard.
"""

from __future__ import annotations

from penny.errors import ProtocolError


MOST_VALUES = 65_536
"""Of one message or body. A session of the greatest length with 128 tools has a tenth of that."""
_STEP = 65_536


def check_values(raw: str | bytes) -> None:
    """Raises ProtocolError ``too_many_values`` for JSON that ``is_dense``."""
    if is_dense(raw):
        raise ProtocolError(
            f"the JSON has more than {MOST_VALUES} values; send fewer", code="too_many_values"
        )


def is_dense(raw: str | bytes) -> bool:
    """Whether it would be more than ``MOST_VALUES`` values; linear, and ends where that is known.

    Every value but the first follows a comma or an opening bracket; those within texts count too.
    """
    if len(raw) < 2 * MOST_VALUES:
        return False
    found = 0
    for at in range(0, len(raw), _STEP):
        if isinstance(raw, str):
            found += sum(raw.count(sign, at, at + _STEP) for sign in ",[{")
        else:
            found += sum(raw.count(sign, at, at + _STEP) for sign in b",[{")
        if found > MOST_VALUES:
            return True
    return False
