"""A bill of materials of an image, as CycloneDX JSON: ``make sbom``.

What an image installs stands in its locks with every hash: nothing is asked of an index.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL


FOLDER = Path(__file__).resolve().parent
PIN = re.compile(
    r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==([^\s;\\]+)([^\n]*(?:\n    --hash=\S+[^\n]*)*)", re.M
)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def make_bom(name: str, locks: list[str]) -> Bom:
    """Every package of the locks, with the hashes of its wheels."""
    bom = Bom()
    bom.metadata.component = Component(name=name, type=ComponentType.CONTAINER)
    seen: dict[tuple[str, str], set[str]] = {}
    for lock in locks:
        for package, version, rest in PIN.findall((FOLDER / f"{lock}.txt").read_text("utf-8")):
            seen.setdefault((package, version), set()).update(HASH.findall(rest))
    for (package, version), hashes in sorted(seen.items()):
        url = PackageURL("pypi", name=package.lower(), version=version)
        digests = [HashType(alg=HashAlgorithm.SHA_256, content=each) for each in sorted(hashes)]
        component = Component(
            name=package, version=version, type=ComponentType.LIBRARY, purl=url,
            bom_ref=str(url), hashes=digests,
        )  # fmt: skip
        bom.components.add(component)
    return bom


if __name__ == "__main__":
    image, *names = sys.argv[1:]
    print(JsonV1Dot6(make_bom(image, names)).output_as_string(indent=1))
