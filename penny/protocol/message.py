"""What every message of the session protocol has in common."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field


Json = dict[str, Any]

TurnId = Annotated[str, Field(min_length=1, max_length=128)]
ResponseId = Annotated[str, Field(min_length=1, max_length=128)]
ItemId = Annotated[str, Field(min_length=1, max_length=128)]
Milliseconds = Annotated[int, Field(ge=0)]
Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Language = Annotated[
    str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35, examples=["es"])
]


class Part(BaseModel):
    """An object inside a message. Attribute docstrings become the schema's descriptions."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,
    )


class ClientMessage(Part):
    """A JSON message from the client; ``type`` tells which."""

    # No private attribute of pydantic's: these are made anew, in Python, with every message.
    ignored: ClassVar[tuple[str, ...]] = ()
    """Dotted names of fields the client sent and this protocol does not know."""


class ServerEvent(Part):
    """A JSON event from Penny; ``type`` tells which. Unknown values are ``null``, never absent."""
