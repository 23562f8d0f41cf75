"""``penny.modes``: what can talk back, and what callers are shown of it before they choose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainValidator

from penny.localized import Localized
from penny.section import Section


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


MAX_TEXT_CHARS = 300


def _read_text(value: object) -> str:
    """One sentence for every language, or ``{es: …, en: …}``."""
    if isinstance(value, dict) and set(value) == {"es", "en"}:
        value = Localized(en=_read_text(value["en"]), es=_read_text(value["es"]))
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_TEXT_CHARS:
        raise ValueError(f"write 1 to {MAX_TEXT_CHARS} characters, or {{es: …, en: …}} of such")
    return value


Text = Annotated[str, PlainValidator(_read_text)]
Label = Annotated[Text, Field(description="name the caller sees; {es, en}, or one for both")]
Line = Annotated[Text, Field(description="one line the caller sees; likewise")]
Usd = Annotated[float, Field(ge=0, description="typical cost of a minute of talk")]
Privacy = Annotated[Text, Field(description="where the caller's words go; likewise")]


class ModeSection(Section):
    """What DECK and the page show of a mode before it is chosen (``GET /v1/modes``)."""

    enabled: bool = Field(True, description="false takes the mode away altogether")
    label: Label
    description: Line
    cost_per_minute_usd: Usd
    privacy: Privacy


class SelfHostedMode(ModeSection):
    """Own models in a worker process: started here, or reached at ``endpoint``."""

    label: Label = Localized(en="Private (own models)", es="Privado (modelos locales)")
    description: Line = Localized(en="The most privacy", es="Mayor privacidad")
    cost_per_minute_usd: Usd = 0.0
    privacy: Privacy = Localized(
        en="Voice and text stay on the configured machines",
        es="La voz y el texto no salen de los equipos configurados",
    )
    endpoint: WebSocketUrl | None = Field(
        None, description="worker to reach by URL; null starts one on loopback"
    )


class ExternalMode(ModeSection):
    """A vendor's speech-to-speech model as the speaker, a strong text model as the brain."""

    label: Label = Localized(en="Fast (vendors' APIs)", es="Rápido (APIs externas)")
    description: Line = Localized(en="Fluent conversation", es="Conversación fluida")
    cost_per_minute_usd: Usd = 0.08
    privacy: Privacy = Localized(
        en="Voice goes to OpenAI and text to Anthropic",
        es="La voz va a OpenAI y el texto a Anthropic",
    )
    portavoz_provider: Literal["openai", "openai_live"] = Field(
        "openai", description="who speaks: OpenAI Realtime, or OpenAI Live"
    )
    portavoz_model: str = Field("gpt-realtime-2.1", description="the speaker's model")
    portavoz_voice: str = Field("alloy", description="the speaker's voice")
    portavoz_base_url: HttpUrl | None = Field(
        None, description="another Realtime server; on loopback it needs no key"
    )
    cerebro_provider: Literal["anthropic"] = Field("anthropic", description="who thinks")
    cerebro_model: str = Field("claude-haiku-5-5", description="the brain's model")
    cerebro_base_url: HttpUrl | None = Field(
        None, description="another Messages server; on loopback it needs no key"
    )


class Modes(Section):
    """``penny.modes``: one section for each mode."""

    SELF_HOSTED: SelfHostedMode = Field(SelfHostedMode(), description="own models")
    EXTERNAL: ExternalMode = Field(ExternalMode(), description="vendors' models")

    def enabled(self) -> Iterator[tuple[ModeName, SelfHostedMode | ExternalMode]]:
        """The modes that exist for callers, in the order of the file."""
        if self.SELF_HOSTED.enabled:
            yield "SELF_HOSTED", self.SELF_HOSTED
        if self.EXTERNAL.enabled:
            yield "EXTERNAL", self.EXTERNAL
