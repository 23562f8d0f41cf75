"""What was pulled, to the byte: ``models.lock.json`` in the folder of the weights."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import Field, TypeAdapter, ValidationError

from penny.aio.files import write_whole
from penny.errors import ConfigError
from penny.section import Section


LOCK_NAME = "models.lock.json"


class LockedFile(Section):
    """The pin of one file.

    ``sha256`` is of the bytes that came; the hub's own digest was compared where it has one.
    """

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class LockedWeights(Section):
    """The pin of one model: repository, commit and files."""

    repo: str
    commit: str
    files: dict[str, LockedFile]


_ADAPTER = TypeAdapter(dict[str, LockedWeights])


class Lock:
    """Pins by model name, kept in one file."""

    def __init__(self, models: Path) -> None:
        self._path = models / LOCK_NAME
        self.pins = self._read()

    def pin(self, name: str, weights: LockedWeights) -> None:
        """Remember, and write at once: a pull that breaks off later has lost nothing."""
        self.pins[name] = weights
        shown = {key: pin.model_dump() for key, pin in sorted(self.pins.items())}
        write_whole(self._path, json.dumps(shown, indent=1) + "\n")

    def _read(self) -> dict[str, LockedWeights]:
        try:
            return _ADAPTER.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (ValidationError, OSError) as error:
            raise ConfigError(
                f"{self._path}: not a lock of weights ({type(error).__name__}); put the right one "
                "back, or remove it to pin what the hub has now"
            ) from None
