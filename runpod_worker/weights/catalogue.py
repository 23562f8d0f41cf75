"""The catalogue of weights (``catalogue.yaml``), checked."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import yaml
from pydantic import Field, ValidationError, model_validator

from penny.errors import ConfigError
from runpod_worker.settings import Section


CATALOGUE = Path(__file__).with_name("catalogue.yaml")


class Weights(Section):
    """One model's weights.

    ``files`` are names or patterns in the repository; ``rename`` maps a file to the name that an
    engine expects. ``package`` is set instead of ``repo`` for weights that a Python package has.
    """

    use: str
    repo: str | None = Field(default=None, pattern=r"^[\w.-]+/[\w.-]+$")
    package: str | None = None
    revision: str = Field(default="main", pattern=r"^[\w./-]+$")
    folder: str = "."
    files: tuple[str, ...] = ()
    rename: dict[str, str] = {}
    sha256: dict[str, str] = {}
    license: str
    non_commercial: bool = False
    note: str = ""

    @model_validator(mode="after")
    def _comes_from_somewhere(self) -> Self:
        if (self.repo is None) == (self.package is None):
            raise ValueError("give repo or package, and not both")
        if self.repo is not None and not self.files:
            raise ValueError("give the files of repo")
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
            catalogue[name] = Weights.model_validate(fields)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in fault["loc"])
            raise ConfigError(f"{path.name}: {name}: {place}: {fault['msg']}", key=name) from None
    return catalogue
