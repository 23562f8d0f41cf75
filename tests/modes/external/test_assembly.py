"""What a call's first upstream is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from config.schema import Config
from modes.external.mode import ExternalMode
from modes.external.speaker import Capabilities
from penny.errors import ModeUnavailable
from penny.session.mode import SessionSpec


pytestmark = pytest.mark.pure

Json = dict[str, Any]


class Provider:
    """Is asked, and has no place."""

    name = "openai"
    default_model = "m"

    def __init__(self, able: Capabilities) -> None:
        self.able = able
        self.asked: Json = {}

    async def open(self, model: str, session: Json, seed: Sequence[Json]) -> Any:
        self.asked = session
        raise ModeUnavailable("full")

    async def aclose(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    ("spec", "by_itself", "language"),
    [
        (SessionSpec("s", "es", transcripts=False), False, None),
        (SessionSpec("s", "en-GB", fixed_language="en-GB", transcripts=False), False, "en"),
        (SessionSpec("s", "es"), False, "es"),
        (SessionSpec("s", "es", transcripts=False), True, "es"),
    ],
)
async def test_a_realtime_client_that_names_no_language_is_heard_in_any(
    spec: SessionSpec, by_itself: bool, language: str | None
) -> None:
    provider = Provider(Capabilities(answers_by_itself=by_itself))
    config = Config.model_validate({"brain": {"enabled": False}})
    mode = ExternalMode(config, providers={"openai": cast(Any, provider)})
    with pytest.raises(ModeUnavailable):
        await mode.open(spec)
    heard = provider.asked["audio"]["input"]["transcription"]
    assert heard["model"]
    assert heard.get("language") == language


@pytest.mark.parametrize(
    ("tenant", "asked"), [("acme", {"type": "far_field"}), ("other", {"type": "near_field"})]
)
async def test_the_vendor_reduces_noise_as_the_tenant_or_the_house_wants(
    tenant: str, asked: Json
) -> None:
    provider = Provider(Capabilities())
    config = Config.model_validate(
        {
            "brain": {"enabled": False},
            "session": {"noise_reduction": "near_field"},
            "tenants": {"acme": {"noise_reduction": "far_field"}},
        }
    )
    mode = ExternalMode(config, providers={"openai": cast(Any, provider)})
    with pytest.raises(ModeUnavailable):
        await mode.open(SessionSpec("s", "es", tenant=tenant))
    assert provider.asked["audio"]["input"]["noise_reduction"] == asked


async def test_nothing_is_said_of_noise_unless_somebody_wants_it() -> None:
    provider = Provider(Capabilities())
    config = Config.model_validate({"brain": {"enabled": False}})
    mode = ExternalMode(config, providers={"openai": cast(Any, provider)})
    with pytest.raises(ModeUnavailable):
        await mode.open(SessionSpec("s", "es"))
    assert "noise_reduction" not in provider.asked["audio"]["input"]
