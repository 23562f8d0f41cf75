"""What a client did wrong, and the ``error`` event that tells it."""

from __future__ import annotations

from penny.errors import ProtocolError
from penny.realtime.commands import Json


class ClientError(ProtocolError):
    """A client event that cannot be carried out; nothing has changed when it is raised.

    Args:
        code: OpenAI's error code where it has one.
        message: names the field and the fix.
        param: dotted path of the field at fault, or None.
    """

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message, code=code, field=param)
        self.param = param


def describe_error(
    code: str, message: str, param: str | None, client_event_id: str | None, kind: str
) -> Json:
    """Return the ``error`` object of an ``error`` event."""
    return {
        "type": kind,
        "code": code,
        "message": message,
        "param": param,
        "event_id": client_event_id,
    }
