"""Every message type of ``/ws`` by name, in the order in which the modules define them."""

from __future__ import annotations

from typing import TypeVar

from . import brain, conversation, error, metering, session
from .message import ClientMessage, Part, ServerEvent


Message = TypeVar("Message", bound=Part)


def _by_type(base: type[Message]) -> dict[str, type[Message]]:
    return {
        str(model.model_fields["type"].default): model
        for module in (session, conversation, brain, metering, error)
        for model in vars(module).values()
        if isinstance(model, type) and issubclass(model, base) and model is not base
    }


CLIENT_MESSAGES = _by_type(ClientMessage)
SERVER_EVENTS = _by_type(ServerEvent)
