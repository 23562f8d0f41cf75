"""``penny.modes``: what can talk back, and what callers are shown of it before they choose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from config.section import Section


ModeName = Literal["SELF_HOSTED", "EXTERNAL"]


def _check_websocket_url(url: str | None) -> str | None:
    if url is not None and not url.startswith(("ws://", "wss://")):
        raise ValueError("a WebSocket address starts with ws:// or wss://")
    return url


def _check_http_url(url: str | None) -> str | None:
    if url is not None and not url.startswith(("http://", "https://")):
        raise ValueError("an API address starts with http:// or https://")
    return url


WebSocketUrl = Annotated[str, AfterValidator(_check_websocket_url)]
HttpUrl = Annotated[str, AfterValidator(_check_http_url)]


Label = Annotated[str, Field(min_length=1, max_length=80, description="name the caller sees")]
Line = Annotated[str, Field(max_length=300, description="one line the caller sees")]
Latency = Annotated[str, Field(max_length=80, description="typical time to an answer, in words")]
Usd = Annotated[float, Field(ge=0, description="typical cost of a minute of talk")]
Privacy = Annotated[str, Field(max_length=300, description="where the caller's words go")]


class ModeSection(Section):
    """What DECK and the page show of a mode before it is chosen (``GET /v1/modes``)."""

    enabled: bool = Field(default=True, description="false takes the mode away altogether")
    label: Label
    description: Line
    latency: Latency
    cost_per_minute_usd: Usd
    privacy: Privacy


class SelfHostedMode(ModeSection):
    """Own models in a worker process: started here, or reached at ``endpoint``."""

    label: Label = "Privado (modelos locales)"
    description: Line = "Mayor privacidad, latencia 2-4s"
    latency: Latency = "menos de 1 s con el perfil embedded"
    cost_per_minute_usd: Usd = 0.0
    privacy: Privacy = "La voz y el texto no salen de los equipos configurados"
    endpoint: WebSocketUrl | None = Field(
        default=None, description="worker to reach by URL; null starts one on loopback"
    )


class ExternalMode(ModeSection):
    """A vendor's speech-to-speech model as the speaker, a strong text model as the brain."""

    label: Label = "Rápido (APIs externas)"
    description: Line = "Conversación fluida, latencia ~300ms"
    latency: Latency = "~300 ms"
    cost_per_minute_usd: Usd = 0.08
    privacy: Privacy = "La voz va a OpenAI y el texto a Anthropic"
    portavoz_provider: Literal["openai"] = Field(default="openai", description="who speaks")
    portavoz_model: str = Field(default="gpt-realtime-2.1", description="the speaker's model")
    portavoz_voice: str = Field(default="alloy", description="the speaker's voice")
    portavoz_base_url: HttpUrl | None = Field(
        default=None, description="another Realtime server; on loopback it needs no key"
    )
    cerebro_provider: Literal["anthropic"] = Field(default="anthropic", description="who thinks")
    cerebro_model: str = Field(default="claude-haiku-5-5", description="the brain's model")
    cerebro_base_url: HttpUrl | None = Field(
        default=None, description="another Messages server; on loopback it needs no key"
    )


class Modes(Section):
    SELF_HOSTED: SelfHostedMode = Field(default_factory=SelfHostedMode, description="own models")
    EXTERNAL: ExternalMode = Field(default_factory=ExternalMode, description="vendors' models")

    def enabled(self) -> Iterator[tuple[ModeName, SelfHostedMode | ExternalMode]]:
        """The modes that exist for callers, in the order of the file."""
        if self.SELF_HOSTED.enabled:
            yield "SELF_HOSTED", self.SELF_HOSTED
        if self.EXTERNAL.enabled:
            yield "EXTERNAL", self.EXTERNAL
