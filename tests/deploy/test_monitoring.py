"""Rules and dashboards ask for metrics that Penny exports, and each alert has its runbook."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml

from penny.session.turn_record import STAGES
from tests.setup.dockerfile import ROOT
from tests.sources import PRODUCTION, sources


pytestmark = pytest.mark.pure

Json = dict[str, Any]

MONITORING = ROOT / "deploy/monitoring"
RULES: Json = yaml.safe_load((MONITORING / "alerts.yml").read_text(encoding="utf-8"))
EVERY = [rule for group in RULES["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in EVERY if "alert" in rule]
ENDINGS = {"Counter": ("_total",), "Gauge": ("",), "Histogram": ("_bucket", "_count", "_sum")}
PROMQL = frozenset(
    ("and", "or", "unless", "by", "without", "on", "ignoring", "sum", "rate", "increase", "le")
    + ("histogram_quantile",)
)


@cache
def exported() -> frozenset[str]:
    """Names of series, from what the code makes metrics of."""
    found: set[str] = set()
    texts = [path.read_text(encoding="utf-8") for path in sources(*PRODUCTION)]
    for tree in [ast.parse(text) for text in texts if '"penny_' in text]:
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            made = ast.unparse(node.func)
            kind = next((kind for kind in ENDINGS if kind.lower() in made.lower()), None)
            names = [each for each in node.args[:1] if isinstance(each, ast.Constant)]
            if kind and names and str(names[0].value).startswith("penny_"):
                found |= {f"{names[0].value}{ending}" for ending in ENDINGS[kind]}
        # Families that are made in a loop over a table of names.
        for constant in (
            n for n in ast.walk(tree) if isinstance(n, ast.Tuple) and len(n.elts) == 4
        ):
            first = constant.elts[0]
            if isinstance(first, ast.Constant) and str(first.value).startswith("penny_"):
                found.add(f"{first.value}_total")
    return frozenset(found)


def asked(expression: str) -> set[str]:
    """Names of series that an expression asks for: its words without labels, durations, numbers."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"", " ", expression)
    bare = re.sub(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)", " ", bare)
    return set(re.findall(r"[a-zA-Z_:][\w:]*", bare)) - PROMQL


def expressions() -> Iterator[tuple[str, str]]:
    for rule in EVERY:
        yield str(rule.get("alert") or rule["record"]), rule["expr"]
    for path in sorted((MONITORING / "grafana/dashboards").glob("*.json")):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            for target in panel["targets"]:
                yield f"{path.name}: {panel['title']}", target["expr"]


@pytest.mark.parametrize(("place", "expression"), list(expressions()))
def test_a_rule_or_panel_asks_for_what_is_exported(place: str, expression: str) -> None:
    known = exported() | {"up"} | {str(rule["record"]) for rule in EVERY if "record" in rule}
    assert asked(expression), place
    assert asked(expression) - known == set(), place
    assert expression.count("(") == expression.count(")")
    for stage in re.findall(r'stage="(\w+)"', expression):
        assert stage in STAGES


def test_a_name_that_does_not_exist_would_be_found() -> None:
    assert "penny_sessions_total" not in exported()
    assert asked('sum by (le) (rate(penny_no_bucket{le="1.5"}[5m])) > 3') == {"penny_no_bucket"}


def test_every_alert_has_a_runbook_a_severity_and_a_sentence() -> None:
    runbooks = (ROOT / "docs/runbooks.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (\w+)$", runbooks, re.MULTILINE)
    assert headings == [rule["alert"] for rule in ALERTS]
    for rule in ALERTS:
        assert rule["labels"]["severity"] in ("page", "ticket")
        told = rule["annotations"]
        assert told["summary"]
        assert told["runbook"] == f"docs/runbooks.md#{rule['alert'].lower()}"


def test_the_bound_of_a_late_first_sound_is_a_bucket_that_is_no_whole_number() -> None:
    from penny.gateway.metrics import STAGE_BUCKETS_S

    bounds = {
        bound
        for _, expression in expressions()
        for bound in re.findall(r'le="([\d.]+)"', expression)
    }
    assert bounds == {"1.5"}
    assert 1.5 in STAGE_BUCKETS_S
