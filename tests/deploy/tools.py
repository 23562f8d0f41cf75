"""``make test-deploy``: what other people's tools say of ``deploy/``, where they are here.

promtool (Debian's package prometheus), kubernetes-validate (PyPI), docker-compose (Debian's). Each
that is not here is named; the tests need none of them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from tests.deploy.manifests import KUBERNETES, OVERLAYS, render
from tests.setup.dockerfile import ROOT


PROFILES = (
    *("", "gpu", "triton", "replicas", "analysis", "asterisk", "s3", "monitoring", "ollama"),
)
"""Of the compose file; the first is none."""


def find(name: str) -> str | None:
    """A tool, by the variable of its name (PENNY_PROMTOOL), else on the path."""
    return os.environ.get(f"PENNY_{name.upper().replace('-', '_')}") or shutil.which(name)


def commands(folder: Path) -> list[list[str]]:
    found: list[list[str]] = []
    deploy = ROOT / "deploy"
    if promtool := find("promtool"):
        found.append([promtool, "check", "rules", str(deploy / "monitoring/alerts.yml")])
    if validate := find("kubernetes-validate"):
        for name in OVERLAYS:
            path = folder / f"{name}.yaml"
            path.write_text(yaml.safe_dump_all(render(KUBERNETES / name)), encoding="utf-8")
            found.append([validate, "--strict", str(path)])
    if compose := find("docker-compose"):
        profiles = [word for name in PROFILES if name for word in ("--profile", name)]
        file = str(deploy / "compose.yaml")
        found.append([compose, *profiles, "-f", file, "config", "--quiet"])
    for name in ("promtool", "kubernetes-validate", "docker-compose"):
        if not find(name):
            print(f"{name} is not here: not asked")
    return found


def main() -> int:
    with tempfile.TemporaryDirectory() as made:
        environment = {**os.environ, "POSTGRES_PASSWORD": "of-this-test"}
        done = [subprocess.run(each, env=environment).returncode for each in commands(Path(made))]
    return max(done, default=0)


if __name__ == "__main__":
    sys.exit(main())
