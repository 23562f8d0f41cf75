"""The project's small Whisper as the second ear: it confirms a Spanish phrase of the closed set.

It comes packed with the sources (``runpod_worker/models/``) and is unpacked on first use. Made on
synthetic voices: alone it would take a stranger's sentence for one of its own, so it never
decides by itself.
"""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
from pathlib import Path

import structlog

from penny.errors import EngineError
from runpod_worker.engines.faster_whisper import FasterWhisper, WhisperSettings


log = structlog.get_logger()

ARCHIVE = Path(__file__).resolve().parents[1] / "models" / "whisper-es-closed.tar.xz"


def load(folder: Path) -> FasterWhisper:
    """The model of an unpacked folder. Raises EngineError if it does not load."""
    return FasterWhisper(
        WhisperSettings(
            model=str(folder),
            name="whisper-es-closed",
            device="cpu",
            compute_type="int8",
            beam_size=1,
            language="es",
        )
    )


def open_closed_whisper(models: Path, archive: Path = ARCHIVE) -> FasterWhisper | None:
    """Unpack (once) and load; None where the sources come without the archive.

    Raises:
        EngineError: the archive is damaged, or the folder cannot be written.
    """
    if not archive.is_file():
        log.warning("whisper_closed_missing", archive=archive.name)
        return None
    return load(unpack(archive, models))


def unpack(archive: Path, models: Path) -> Path:
    """Folder with the archive's files, named by its content: a new archive gets a new folder.

    The first process unpacks beside it and renames, so that no process sees half a model.
    """
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    name = archive.name.removesuffix(".tar.xz")
    checksum = archive.with_name(f"{archive.name}.sha256")
    if checksum.is_file() and checksum.read_text(encoding="ascii").split()[0] != digest:
        raise EngineError(f"{archive.name} is damaged; check it out again", stage="stt")
    target = models / f"{name}-{digest[:12]}"
    if target.is_dir():
        return target
    try:
        models.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=models, prefix=f".{name}-") as beside:
            with tarfile.open(archive) as packed:
                # Python 3.11 before .4 has no filters; the archive is our own either way.
                packed.extraction_filter = getattr(tarfile, "data_filter", None)
                packed.extractall(beside)
            _rename(Path(beside), target)
    except (OSError, tarfile.TarError) as error:
        raise EngineError(
            f"{archive.name} cannot be unpacked to {models}: {error}", stage="stt"
        ) from error
    return target


def _rename(beside: Path, target: Path) -> None:
    staged = beside.parent / f"{beside.name}-whole"
    beside.rename(staged)
    beside.mkdir()  # the temporary folder's owner removes it by name
    try:
        staged.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        # Another process was first; the two are the same.
        for path in staged.iterdir():
            path.unlink()
        staged.rmdir()
