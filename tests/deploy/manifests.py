"""What `kubectl apply -k` would send, as far as the overlays of ``deploy/kubernetes`` go."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from tests.setup.dockerfile import ROOT


Json = dict[str, Any]

KUBERNETES = ROOT / "deploy/kubernetes"
OVERLAYS = ("base", "gpu", "external")


def render(folder: Path) -> list[Json]:
    """Every object, patched."""
    wanted: Json = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    objects: list[Json] = []
    for name in wanted["resources"]:
        path = (folder / name).resolve()
        if path.is_dir():
            objects += render(path)
        else:
            objects += [each for each in yaml.safe_load_all(path.read_text("utf-8")) if each]
    for each in wanted.get("patches", ()):
        patch = yaml.safe_load(each["patch"])
        (index,) = [at for at, found in enumerate(objects) if key_of(found) == key_of(patch)]
        objects[index] = _merge(objects[index], patch)
    return objects


def key_of(item: Json) -> tuple[str, str]:
    return item["kind"], item["metadata"]["name"]


def _merge(base: Any, patch: Any) -> Any:
    """A strategic merge: lists of named things by their names."""
    if isinstance(base, dict) and isinstance(patch, dict):
        return {**base, **{name: _merge(base.get(name), value) for name, value in patch.items()}}
    if isinstance(base, list) and isinstance(patch, list) and all("name" in each for each in patch):
        patched = {each["name"]: each for each in patch}
        merged = [_merge(each, patched.pop(each["name"], each)) for each in base]
        return [*merged, *patched.values()]
    return patch


if __name__ == "__main__":
    yaml.safe_dump_all(render(KUBERNETES / sys.argv[1]), sys.stdout, sort_keys=False)
