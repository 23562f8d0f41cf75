"""A tenant's sessions get what is theirs and are told by field what is not."""

from __future__ import annotations

from typing import Any

import pytest

from config.trust import LimitsSection, TenantSection
from penny.errors import ConfigError, ProtocolError
from penny.trust.identity import Identity
from penny.trust.tenants import Policy, Tenants


pytestmark = pytest.mark.pure


def policy(**section: Any) -> Policy:
    return Policy("acme", TenantSection.model_validate(section), LimitsSection())


def test_a_tenant_without_rules_may_have_everything() -> None:
    free = policy()
    free.check_mode("EXTERNAL")
    free.check_voice("alloy", "voice")
    free.check_collection("kb://any/thing")
    assert free.instructions("mine", "the house's") == "mine"
    assert free.instructions(None, "the house's") == "the house's"


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({"type": "session.update", "session": {"instructions": "x"}}, "session.instructions"),
        ({"type": "response.create", "response": {"instructions": "x"}}, "response.instructions"),
        (
            {"type": "session.update", "session": {"audio": {"output": {"voice": "ash"}}}},
            "session.audio.output.voice",
        ),
        (
            {"type": "response.create", "response": {"audio": {"output": {"voice": {"id": "v"}}}}},
            "response.audio.output.voice",
        ),
        ({"type": "session.update", "session": {"instructions": ""}}, "session.instructions"),
        ({"type": "session.update", "session": {"instructions": None}}, "session.instructions"),
        ({"type": "session.update", "session": {"prompt": {"id": "pmpt_1"}}}, "session.prompt"),
        ({"type": "response.create", "response": {"prompt": None}}, "response.prompt"),
        (
            {"type": "conversation.item.create", "item": {"type": "message", "role": "system"}},
            "item.role",
        ),
        (
            {"type": "response.create", "response": {"input": [{"role": "developer"}]}},
            "response.input[0].role",
        ),
        (
            {
                "type": "session.update",
                "session": {"tools": [{"type": "mcp", "server_url": "https://169.254.169.254/"}]},
            },
            "session.tools[0].server_url",
        ),
    ],
)
def test_a_realtime_event_that_asks_for_more_is_refused_by_field(
    event: dict[str, Any], field: str
) -> None:
    strict = policy(voices=["alloy"], own_instructions=False)
    with pytest.raises(ProtocolError) as refused:
        strict.check_event(event)
    assert refused.value.field == field


@pytest.mark.parametrize(
    "event",
    [
        {"type": "input_audio_buffer.append", "audio": "AAAA"},
        {"type": "session.update", "session": None},
        {"type": "session.update", "session": {"audio": 4, "tools": 7}},
        {"type": "session.update", "session": {"audio": {"output": {"voice": "alloy"}}}},
        {"type": "response.create"},
    ],
)
def test_what_is_allowed_or_malformed_is_left_to_the_session(event: dict[str, Any]) -> None:
    policy(voices=["alloy"], own_instructions=False).check_event(event)


def test_another_mode_voice_or_collection_is_named_with_what_there_is() -> None:
    strict = policy(modes=["SELF_HOSTED"], voices=["alloy"], kb_collections=["kb://acme/docs"])
    for check in (
        lambda: strict.check_mode("EXTERNAL"),
        lambda: strict.check_voice("ash", "portavoz.voice"),
        lambda: strict.check_collection("kb://other/docs"),
    ):
        with pytest.raises(ProtocolError, match="available: "):
            check()
    assert strict.collection("kb://company/docs") == "kb://acme/docs"


def test_the_tenants_prompt_stands_unless_sessions_may_bring_one() -> None:
    own = policy(instructions="Eres de Acme.", own_instructions=False)
    assert own.instructions(None, "the house's") == "Eres de Acme."
    with pytest.raises(ProtocolError) as refused:
        own.instructions("mine", "the house's")
    assert refused.value.field == "portavoz.initial_system_prompt"


def test_what_one_tenant_names_is_closed_to_those_who_do_not() -> None:
    sections = {
        "acme": TenantSection(kb_collections=("kb://acme/docs",), actions=("refund",)),
        "bolt": TenantSection(),
    }
    tenants = Tenants(sections, LimitsSection())
    acme, bolt, stranger = (tenants.policy(name) for name in ("acme", "bolt", "default"))
    acme.check_actions(["refund"])
    for other in (bolt, stranger):
        other.check_actions(["weather"])  # that nobody has named
        other.check_collection("kb://house/docs")
        for check in (
            lambda other=other: other.check_actions(["weather", "refund"]),
            lambda other=other: other.check_collection("kb://acme/docs"),
            lambda other=other: other.collection("kb://acme/docs"),
        ):
            with pytest.raises(ProtocolError) as refused:
                check()
            assert refused.value.code == "not_allowed"
    with pytest.raises(ProtocolError):
        acme.check_actions(["weather"])
    with pytest.raises(ConfigError, match="is no right"):
        Tenants({"acme": TenantSection(rights=("sessions:fly",))}, LimitsSection())


def test_a_server_that_one_tenant_names_is_closed_to_others_and_one_that_none_does_is_open() -> (
    None
):
    own, free = "http://crm.internal/mcp", "http://weather.internal/mcp"
    sections = {"acme": TenantSection(mcp_servers=(own,)), "bolt": TenantSection()}
    tenants = Tenants(sections, LimitsSection(), (own, free))

    def ask(tenant: str, url: str) -> None:
        tools = [{"type": "function"}, {"type": "mcp", "server_label": "x", "server_url": url}]
        event = {"type": "session.update", "session": {"tools": tools}}
        tenants.policy(tenant).check_event(event)

    ask("acme", own)
    ask("bolt", free)
    ask("default", free)
    for tenant, url in (("bolt", own), ("default", own), ("acme", free)):
        with pytest.raises(ProtocolError) as refused:
            ask(tenant, url)
        assert refused.value.code == "not_allowed"
        assert refused.value.field == "session.tools[1].server_url"
    with pytest.raises(ConfigError, match="privacy.mcp_servers") as wrong:
        Tenants(sections, LimitsSection(), (free,))
    assert wrong.value.key == "tenants.acme.mcp_servers"


def test_limits_of_all_tenants_hold_unless_a_tenant_has_its_own() -> None:
    defaults = LimitsSection(max_sessions=10, session_max_s=600)
    tenants = Tenants(
        {
            "acme": TenantSection(
                limits=LimitsSection(max_sessions=3), key_limits=LimitsSection(session_max_s=60)
            )
        },
        defaults,
    )
    acme, other = tenants.policy("acme"), tenants.policy("other")
    assert [s.limits.max_sessions for s in acme.scopes(Identity("acme", "key_1"))] == [3, None]
    assert [s.name for s in acme.scopes(Identity("acme", "key_1"))] == ["t:acme", "k:key_1"]
    assert [s.limits.max_sessions for s in other.scopes(Identity("other"))] == [10]
    assert (acme.own_limit("session_max_s"), other.own_limit("session_max_s")) == (60, 600)
