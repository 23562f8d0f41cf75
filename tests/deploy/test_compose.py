"""``deploy/compose.yaml``: right by the specification, and every name in it is one of Penny's."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from config.credentials import PURPOSES
from config.loader import load
from penny.cli.main import build_parser
from penny.trust.house_key import VARIABLE
from tests.deploy.tools import PROFILES
from tests.setup.dockerfile import IMAGES, ROOT, stage_of


pytestmark = pytest.mark.process

Json = dict[str, Any]

DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
OURS = {
    "penny-gateway": ("gateway.Dockerfile", "gateway"),
    "penny-cpu": ("gateway.Dockerfile", "cpu"),
    "penny-worker": ("worker.Dockerfile", "worker"),
}
"""The images' Dockerfiles and targets."""
VARIABLE_USE = re.compile(r"\$\{(\w+)(?::?[-?]([^}]*))?\}")
GIVEN = {"POSTGRES_PASSWORD": "a-password-of-this-test"}
READ_BY_LIBRARIES = {"PGPASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "OMP_NUM_THREADS"}
SECRETS = {"TWILIO_AUTH_TOKEN", "WEBHOOK_SECRET", "TWENTY_CRM_API_KEY", VARIABLE, *PURPOSES}


def filled(value: Any) -> Any:
    """With its variables as an empty `.env` beside it leaves them."""
    if isinstance(value, dict):
        return {name: filled(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner) for inner in value]
    if isinstance(value, str):
        return VARIABLE_USE.sub(lambda use: GIVEN.get(use[1]) or use[2] or "", value)
    return value


@cache
def compose() -> Json:
    read: Json = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return read


def services(profile: str = "") -> dict[str, Json]:
    """Those that start with a profile, variables filled in."""
    all_of_them: dict[str, Json] = filled(compose()["services"])
    return {
        name: service
        for name, service in all_of_them.items()
        if not service.get("profiles") or profile in service["profiles"]
    }


def own() -> list[tuple[str, Json]]:
    return [
        (name, service)
        for name, service in filled(compose()["services"]).items()
        if service["image"] in OURS
    ]


@pytest.mark.parametrize("profile", PROFILES)
def test_it_holds_by_the_compose_specification(profile: str) -> None:
    schema = json.loads((Path(__file__).parent / "compose-spec.json").read_text())
    chosen = {**filled(compose()), "services": services(profile)}
    chosen = {name: each for name, each in chosen.items() if not name.startswith("x-")}
    assert [error.message for error in Draft7Validator(schema).iter_errors(chosen)] == []
    for name, service in chosen["services"].items():
        for other in service.get("depends_on", ()):
            assert other in chosen["services"], (name, other)
        for network in service.get("networks", ()):
            assert network in chosen["networks"], (name, network)
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            known = source in chosen["volumes"] or source == "./models"
            assert known or (source[0] == "." and (DEPLOY / source).exists()), (name, volume)
    told = {
        each for service in compose()["services"].values() for each in service.get("profiles", ())
    }
    assert told | {""} == set(PROFILES)


@pytest.mark.parametrize(
    ("name", "service"), own(), ids=lambda each: each if isinstance(each, str) else ""
)
def test_what_penny_is_told_is_what_penny_reads(name: str, service: Json) -> None:
    texts = "".join(path.read_text("utf-8") for path in (DEPLOY / "config").glob("*.yaml"))
    read = set(re.findall(r"\$\{([A-Z0-9_]+)", texts)) | READ_BY_LIBRARIES | SECRETS
    assert set(service["environment"]) - read == set()
    environment = {key: str(value) for key, value in service["environment"].items()}
    file, target = OURS[service["image"]]
    build = service["build"]
    assert build["dockerfile"] == f"deploy/images/{file}"
    assert build.get("target", target) == target
    stage = stage_of(IMAGES / file, target)
    environment |= {"PENNY_HOST": "0.0.0.0", "PENNY_WORKER_HOST": "0.0.0.0"}
    config = load(DEPLOY / "config/environment.yaml", environment)
    if "entrypoint" not in service:
        assert build_parser().parse_args(service["command"]).run is not None
    exposed = stage.last("EXPOSE")
    assert exposed is not None
    for port in service.get("ports", ()):
        inner = int(port.rsplit(":", 1)[1])
        assert inner in (config.gateway.port, config.telephony.asterisk.port)
    assert config.gateway.port == 8080
    assert config.worker.port == 8090
    written = {
        config.resolve(each)
        for each in (config.keys.file, config.calls.folder, config.kb.index, config.worker.models)
    }
    targets = [volume.split(":")[1] for volume in service["volumes"]]
    for path in written:
        inside = f"/app/{path.relative_to(ROOT)}"
        assert any(inside.startswith(f"{target}/") for target in targets), inside
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]


def test_every_variable_of_the_example_reaches_a_service() -> None:
    example = (DEPLOY / ".env.example").read_text(encoding="utf-8").splitlines()
    told = [re.fullmatch(r"#?([A-Z0-9_]+)=\S*\s+# (.+)", line) for line in example]
    used = {use[1] for use in VARIABLE_USE.finditer(COMPOSE.read_text(encoding="utf-8"))}
    for match in filter(None, told):
        assert match[1] in used or match[2].startswith("no meaning: "), match[1]


def test_a_stop_waits_for_the_longest_call() -> None:
    for name, service in own():
        if name in ("keys", "analysis"):  # these hold no call
            continue
        drain_s = float(service["environment"].get("PENNY_DRAIN_S", 3600))
        assert float(service["stop_grace_period"].removesuffix("s")) > drain_s
    assert load(ROOT / "penny.yaml", {}).gateway.session_max_s <= 3600


def test_the_exchange_is_on_the_hosts_network_with_two_ports_a_call() -> None:
    asterisk = compose()["services"]["asterisk"]
    assert asterisk["network_mode"] == "host"
    assert "ports" not in asterisk
    rtp = (DEPLOY / "asterisk/rtp.conf").read_text(encoding="utf-8")
    low, high = (int(each) for each in re.findall(r"^rtp(?:start|end)=(\d+)", rtp, re.MULTILINE))
    calls = load(ROOT / "penny.yaml", {}).gateway.max_sessions
    assert high - low + 1 == 2 * calls <= 400


def test_no_other_images_version_is_left_open() -> None:
    for name, service in compose()["services"].items():
        if service["image"] not in OURS:
            assert re.search(r":[\w.]*\d", service["image"]), name
