"""``penny check --production``: what a configuration and a machine lack before strangers call."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from config.loader import load
from config.schema import Config
from penny.cli import production
from penny.cli.production import (
    Facts,
    ask_public,
    count_rtp_ports,
    examine_production,
    read_facts,
    try_public,
)
from penny.telephony.lines import Lines
from penny.telephony.reception import TelephonyReception
from tests.doubles.house import running_penny
from tests.doubles.http import serving
from tests.penny.telephony.shapes import a_trunk


pytestmark = pytest.mark.process

WELL = Facts(has_keys=True, clock_kept=True, free_bytes=10**12, public_fault="")
SAFE = """
gateway: {drain_s: 3600, allowed_origins: ["https://acme.example"]}
keys: {required: always}
calls: {recording: announce, notice: {controller: Acme, contact: dpo@acme.example}}
limits: {max_sessions: 50, minutes_per_day: 6000}
"""


def read(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "penny.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, {})


def found(config: Config, facts: Facts = WELL) -> list[tuple[str, str]]:
    """Level, and ``place: message`` of each finding."""
    return [
        (each.level, f"{each.place}: {each.message}") for each in examine_production(config, facts)
    ]


def test_a_safe_configuration_on_a_good_machine_has_nothing_against_it(tmp_path: Path) -> None:
    assert found(read(tmp_path, SAFE)) == []


@pytest.mark.parametrize(
    ("text", "level", "reason"),
    [
        ("keys: {required: auto}", "error", "lets everybody in without a key"),
        ("gateway: {allowed_origins: ['http://acme.example']}", "error", "is not encrypted"),
        ("calls: {keep_sound_days: null}", "error", "calls.keep_sound_days: what is kept is never"),
        ("calls: {keep_record_days: null}", "error", "calls.keep_record_days"),
        ("calls: {recording: 'on'}", "warning", "callers are recorded and not told"),
        ("privacy: {external_when_cold: true}", "warning", "may start at a vendor's"),
        (
            "penny: {modes: {SELF_HOSTED: {endpoint: 'ws://gpu.example/v1'}}}",
            "error",
            "unencrypted",
        ),
        ("admin: {show_transcripts: true}", "warning", "operators may read along"),
        ("actions: {sample: true}", "error", "the sample company answers"),
        ("costs: {session_limit_usd: null}", "error", "may cost without end"),
        ("limits: {max_sessions: null}", "warning", "limits.max_sessions: default may take all"),
        ("tenants: {acme: {}}", "warning", "tenants.acme.limits.max_sessions: acme may take all"),
        ("gateway: {drain_s: 30}", "warning", "a stop cuts calls off after 30 s"),
    ],
)
def test_each_thing_that_is_wrong_is_told_with_its_key(
    tmp_path: Path, text: str, level: str, reason: str
) -> None:
    alone = text if text.startswith("tenants") else f"{text}\n"
    told = found(read(tmp_path, alone))
    assert any(kind == level and reason in words for kind, words in told), told


@pytest.mark.parametrize(
    ("change", "level", "reason"),
    [
        ({"has_keys": False}, "error", "there is no key"),
        ({"clock_kept": False}, "error", "nothing keeps the clock"),
        ({"clock_kept": None}, "warning", "does not tell whether its clock"),
        ({"free_bytes": 5 * 10**9}, "warning", "5.0 GB are free"),
        ({"free_bytes": 5 * 10**8}, "error", "0.5 GB are free"),
        ({"public_fault": None}, "error", "nothing shows that TLS stands in front"),
        ({"public_fault": "certificate"}, "error", "does not hold: certificate"),
        ({"rtp_ports": 10_001}, "warning", "opens 10001 ports"),
    ],
)
def test_each_thing_that_the_machine_lacks_is_told(
    tmp_path: Path, change: dict[str, object], level: str, reason: str
) -> None:
    told = found(read(tmp_path, SAFE), replace(WELL, **change))  # type: ignore[arg-type]
    assert [kind for kind, words in told if reason in words] == [level], told


def test_a_private_address_in_sdp_and_a_bridge_network_are_named(tmp_path: Path) -> None:
    trunk = a_trunk(host="8.8.4.4", auth_type="ip_auth", match=["8.8.4.4"])
    reception = TelephonyReception.model_validate(trunk)
    lines = Lines().with_reception("default", reception)
    (line,) = lines.trunks
    facts = replace(WELL, lines=lines, own_addresses={line.id: "172.18.0.5"}, in_container=True)
    told = found(read(tmp_path, SAFE), facts)
    assert [kind for kind, words in told if "SDP names 172.18.0.5" in words] == ["warning"]
    assert [kind for kind, words in told if "give Asterisk the host's network" in words] == [
        "error"
    ]
    public = replace(facts, own_addresses={line.id: "8.8.8.8"}, in_container=False)
    assert found(read(tmp_path, SAFE), public) == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://penny.example", "write https://HOST"),
        ("https://localhost", "this machine alone"),
        ("https://127.0.0.1:8443", "this machine alone"),
    ],
)
async def test_a_public_address_that_no_caller_could_use_is_refused(url: str, reason: str) -> None:
    assert reason in await try_public(url)


@pytest.mark.parametrize(
    ("status", "told"), [(401, ""), (403, ""), (426, "lets no WebSocket through (HTTP 426)")]
)
async def test_a_proxy_that_lets_no_websocket_through_is_named(status: int, told: str) -> None:
    async def health(_request: web.Request) -> web.Response:
        return web.json_response({"status": "healthy"})

    async def door(_request: web.Request) -> web.Response:
        return web.Response(status=status)

    async with serving({"GET /health": health, "GET /ws": door}) as url:
        fault = await ask_public(url)
    assert told in fault
    assert bool(told) == bool(fault)


async def test_the_public_address_of_a_running_penny_holds() -> None:
    async with running_penny() as url:
        assert await ask_public(url) == ""


def test_the_ports_of_rtp_are_counted() -> None:
    assert count_rtp_ports("[general]\nrtpstart=10000 ; low\nrtpend => 10399\n") == 400
    assert count_rtp_ports("[general]\n;rtpstart=1\n") == 0


def test_this_machine_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rtp.conf").write_text("rtpstart=1\nrtpend=2\n")
    monkeypatch.setattr(production, "RTP_FILE", tmp_path / "rtp.conf")
    facts = read_facts(read(tmp_path, f"calls: {{folder: {tmp_path / 'none/calls'}}}"), None)
    assert (facts.has_keys, facts.rtp_ports, facts.public_fault) == (False, 2, None)
    assert facts.free_bytes > 0
