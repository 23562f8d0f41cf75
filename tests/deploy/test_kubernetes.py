"""``deploy/kubernetes``: its objects fit together, hold no Secret, and let nothing private out."""

from __future__ import annotations

from typing import Any

import pytest

from config.loader import load
from penny.cli.main import build_parser
from tests.deploy.manifests import KUBERNETES, OVERLAYS, key_of, render
from tests.setup.dockerfile import ROOT


pytestmark = pytest.mark.process

Json = dict[str, Any]


def pods(objects: list[Json]) -> dict[str, Json]:
    """The pods' specifications, by what makes them."""
    return {
        item["metadata"]["name"]: item["spec"]["template"]
        for item in objects
        if item["kind"] in ("StatefulSet", "Deployment", "Job")
    }


@pytest.fixture(params=OVERLAYS)
def objects(request: pytest.FixtureRequest) -> list[Json]:
    return render(KUBERNETES / request.param)


def test_no_apply_can_change_a_secret_and_two_applies_are_the_same(objects: list[Json]) -> None:
    assert "Secret" not in {item["kind"] for item in objects}
    keys = [key_of(item) for item in objects]
    assert len(keys) == len(set(keys))
    assert {item["metadata"].get("namespace", "penny") for item in objects} == {"penny"}
    told = str(objects).lower()
    assert "generator" not in told
    assert "password" not in told


def test_every_reference_leads_somewhere(objects: list[Json]) -> None:
    labels = {tuple(pod["metadata"]["labels"].items()) for pod in pods(objects).values()}
    given = {("app", "postgres"), ("app", "redis")}  # of the cluster's own
    for item in objects:
        spec = item.get("spec", {})
        for selector in (spec.get("selector", {}), spec.get("podSelector", {})):
            wanted = selector.get("matchLabels", selector if item["kind"] == "Service" else {})
            assert not wanted or tuple(wanted.items()) in labels, key_of(item)
        for rule in (*spec.get("ingress", ()), *spec.get("egress", ())):
            for peer in (*rule.get("from", ()), *rule.get("to", ())):
                wanted = peer.get("podSelector", {}).get("matchLabels", {})
                assert not wanted or tuple(wanted.items()) in labels or set(wanted.items()) <= given
    (config,) = [item for item in objects if item["kind"] == "ConfigMap"]
    for name, pod in pods(objects).items():
        volumes = {each["name"] for each in pod["spec"].get("volumes", ())} | {"var"}
        for container in pod["spec"]["containers"]:
            assert {each["name"] for each in container["volumeMounts"]} <= volumes, name
            for source in container["envFrom"]:
                if "configMapRef" in source:
                    assert source["configMapRef"]["name"] == config["metadata"]["name"]


def test_penny_starts_with_what_it_is_told(objects: list[Json]) -> None:
    (config,) = [item["data"] for item in objects if item["kind"] == "ConfigMap"]
    assert all(isinstance(value, str) for value in config.values())
    told = load(ROOT / "deploy/config/environment.yaml", {**config, "PENNY_HOST": "0.0.0.0"})
    assert told.keys.required == "always"
    for name, pod in pods(objects).items():
        (container,) = pod["spec"]["containers"]
        assert build_parser().parse_args(container["args"]).run is not None
        secure = container["securityContext"]
        assert secure["readOnlyRootFilesystem"] is True
        assert secure["capabilities"] == {"drop": ["ALL"]}
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        grace_s = pod["spec"].get("terminationGracePeriodSeconds")
        assert grace_s is None or grace_s > told.gateway.drain_s, name
        for port in container.get("ports", ()):
            assert port["containerPort"] in (told.gateway.port, told.worker.port)
    sessions = [item for item in objects if item["kind"] == "HorizontalPodAutoscaler"]
    (metric,) = sessions[0]["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] == "penny_sessions"
    assert float(metric["pods"]["target"]["averageValue"]) < told.gateway.max_sessions


def test_what_stands_beside_the_keys_can_be_written(objects: list[Json]) -> None:
    (config,) = [item["data"] for item in objects if item["kind"] == "ConfigMap"]
    told = load(ROOT / "deploy/config/environment.yaml", {**config, "PENNY_HOST": "0.0.0.0"})
    gateway = pods(objects)["gateway"]["spec"]
    (container,) = gateway["containers"]
    (first,) = gateway["initContainers"]
    folder = str(told.resolve(told.keys.file).parent)
    mounts = {each["mountPath"]: each for each in container["volumeMounts"]}
    assert not mounts[folder].get("readOnly")
    assert first["command"][-1] == str(told.resolve(told.keys.file))
    assert folder in {each["mountPath"] for each in first["volumeMounts"]}


def test_a_worker_reaches_nothing_but_names(objects: list[Json]) -> None:
    policies = [item["spec"] for item in objects if item["kind"] == "NetworkPolicy"]
    everything = [each for each in policies if each["podSelector"] == {}]
    assert everything == [{"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}]
    of_worker = [
        rule
        for each in policies
        if each["podSelector"].get("matchLabels") == {"app": "worker"}
        for rule in each.get("egress", ())
    ]
    assert [port["port"] for rule in of_worker for port in rule["ports"]] == [53, 53]
    outside = [each for each in policies if "ipBlock" in str(each)]
    assert [each["podSelector"]["matchLabels"]["app"] for each in outside] in ([], ["gateway"])
