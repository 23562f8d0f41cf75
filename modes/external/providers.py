"""Who can speak in EXTERNAL, by the name that sessions and ``penny.yaml`` use."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from modes.external.live_speaker import LiveProvider
from modes.external.openai_speaker import OpenAIProvider
from modes.external.speaker import SpeakerProvider


PROVIDERS: Mapping[str, Callable[[str | None], SpeakerProvider]] = {
    OpenAIProvider.name: OpenAIProvider,
    LiveProvider.name: LiveProvider,
}
"""Name -> what makes the provider of a ``base_url``. Another provider is one file and one line."""
