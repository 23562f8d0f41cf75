"""Names of span attributes: a closed list that the type checker holds.

No span can carry what was said: identifiers, names from the configuration, counts and times only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal


AttributeName = Literal[
    "error.type",
    "gen_ai.conversation.id",
    "gen_ai.operation.name",
    "gen_ai.output.type",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.id",
    "gen_ai.tool.call.id",
    "gen_ai.tool.name",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "penny.audio.ms",
    "penny.brain.partial",
    "penny.brain.purpose",
    "penny.end.reason",
    "penny.engine",
    "penny.first_token.ms",
    "penny.folio.id",
    "penny.folio.placement",
    "penny.folio.section",
    "penny.heard.ms",
    "penny.interrupted",
    "penny.item.id",
    "penny.language",
    "penny.mode",
    "penny.passages",
    "penny.search.by",
    "penny.speech.ms",
    "penny.status",
    "penny.turn.input",
    "penny.understood",
    "penny.wait.ms",
    "server.address",
]
"""OpenTelemetry's semantic conventions where there is one (``gen_ai.*``), else Penny's."""
Attributes = Mapping[AttributeName, str | int | float | bool]
Kind = Literal["internal", "client", "server"]
