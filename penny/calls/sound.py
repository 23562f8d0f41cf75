"""The sound of a call from its spool: two channels on one line, the caller left, Penny right.

The caller is as received, on the clock of arrival; Penny is what was heard: an answer ends where
the caller cut it, and silence is where nothing played.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from penny.audio.format import AudioFormat
from penny.audio.resample import Resampler
from penny.calls.spool import CALLER, PENNY


Json = dict[str, Any]
Samples = npt.NDArray[np.int16]

FILES = {"caller": CALLER, "penny": PENNY}
BLOCK_S = 10
"""Held in memory at a time."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a side's file and where on the call's line it sounds.

    ``limit_ms``: no more than so much of it was heard; ``stream_ms``: where it lies in the caller's
    audio.
    """

    at_bytes: int
    until_bytes: int
    starts_ms: float
    format: AudioFormat
    limit_ms: float | None = None
    stream_ms: float = 0.0

    @property
    def ms(self) -> float:
        """How long it sounds."""
        whole = self.format.ms_of(self.until_bytes - self.at_bytes)
        return whole if self.limit_ms is None else min(whole, max(0.0, self.limit_ms))


@dataclass(frozen=True, slots=True)
class Sound:
    """A written file."""

    path: Path
    sha256: str
    size_bytes: int
    duration_ms: int
    rate_hz: int


def place(lines: Iterable[Json], sizes: dict[str, int]) -> dict[str, list[Piece]]:
    """Where each stretch of both files sounds, from a call's log.

    Args:
        sizes: of ``caller`` and ``penny``, in bytes: a crash may have written less than was noted.
    """
    lines = list(lines)
    heard: dict[str, tuple[float, float]] = {}
    for line in lines:
        for item in line.get("turn", {}).get("items", ()):
            if item["starts_ms"] is not None:
                heard[item["item_id"]] = (item["starts_ms"], item["heard_ms"])
    moved = {line["at"]: line["at_ms"] for line in lines if line["kind"] == "moved"}
    last_ms = max((line.get("at_ms", 0.0) for line in lines), default=0.0)
    pieces: dict[str, list[Piece]] = {"caller": [], "penny": []}
    for side, placed in pieces.items():
        starts = [line for line in lines if line["kind"] == "sound" and line["side"] == side]
        used: dict[str, float] = {}
        ends = [line["at"] for line in starts[1:]] + [sizes[side]]
        for line, end in zip(starts, ends, strict=False):
            until = min(sizes[side], end)
            if until <= line["at"]:
                continue
            form = AudioFormat(line["encoding"], line["rate_hz"])
            begins_ms, limit_ms = line["at_ms"], None
            if side == "caller":
                begins_ms = moved.get(line["at"], begins_ms)
            if item_id := line.get("item_id"):
                # An item that no finished turn tells of was cut off with the call.
                begins_ms, heard_ms = heard.get(item_id, (begins_ms, last_ms - begins_ms))
                before_ms = used.get(item_id, 0.0)
                begins_ms, limit_ms = begins_ms + before_ms, heard_ms - before_ms
                used[item_id] = before_ms + form.ms_of(until - line["at"])
            stream_ms = line.get("stream_ms", 0.0)
            placed.append(Piece(line["at"], until, begins_ms, form, limit_ms, stream_ms))
    return pieces


def sizes_of(folder: Path) -> dict[str, int]:
    """Bytes of each side's file in a call's spool."""
    paths = {side: folder / name for side, name in FILES.items()}
    return {side: path.stat().st_size if path.exists() else 0 for side, path in paths.items()}


def write_sound(
    folder: Path,
    lines: Iterable[Json],
    target: Path,
    silent: Mapping[str, Sequence[tuple[float, float]]] | None = None,
) -> Sound | None:
    """Write a call's sound as FLAC, as long as the call was; None where there was none.

    Args:
        silent: by side, stretches (from, until; ms) of which nothing is kept; ``stream`` in the
            caller's audio.

    Raises:
        OSError, soundfile.LibsndfileError: it cannot be written; the spool is as it was.
    """
    lines = list(lines)
    pieces = place(lines, sizes_of(folder))
    everything = [piece for side in pieces.values() for piece in side]
    if not everything:
        return None
    silent = silent or {}
    quiet = {
        "caller": [
            *silent.get("caller", ()),
            *_on_line(pieces["caller"], silent.get("stream", ())),
        ],
        "penny": silent.get("penny", ()),
    }
    rate_hz = max(piece.format.rate_hz for piece in everything)
    ends = (line["at_ms"] for line in lines if line["kind"] == "end")
    until_ms = max(*(piece.starts_ms + piece.ms for piece in everything), next(ends, 0.0))
    total = round(until_ms * rate_hz / 1000)
    target.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    with soundfile.SoundFile(target, "w", rate_hz, 2, subtype="PCM_16", format="FLAC") as file:
        for begin in range(0, total, BLOCK_S * rate_hz):
            size = min(BLOCK_S * rate_hz, total - begin)
            block = np.zeros((size, 2), np.int16)
            for channel, (side, name) in enumerate(FILES.items()):
                for piece in pieces[side]:
                    _lay(piece, folder / name, block[:, channel], begin, rate_hz)
                for from_ms, until_ms in quiet[side]:
                    first, last = (round(ms * rate_hz / 1000) - begin for ms in (from_ms, until_ms))
                    block[max(0, first) : max(0, last), channel] = 0
            file.write(block)
    target.chmod(0o600)
    return Sound(target, _digest(target), target.stat().st_size, round(until_ms), rate_hz)


def _on_line(
    pieces: Iterable[Piece], spans: Sequence[tuple[float, float]]
) -> Iterator[tuple[float, float]]:
    """Stretches of the caller's audio on the call's line, piece by piece."""
    for piece in pieces:
        for from_ms, until_ms in spans:
            first, last = (
                max(0.0, from_ms - piece.stream_ms),
                min(piece.ms, until_ms - piece.stream_ms),
            )
            if first < last:
                yield piece.starts_ms + first, piece.starts_ms + last


def _lay(piece: Piece, path: Path, block: Samples, begin: int, rate_hz: int) -> None:
    """Copy the part of a piece that sounds within a block that begins at sample ``begin``."""
    first = round(piece.starts_ms * rate_hz / 1000)
    last = first + round(piece.ms * rate_hz / 1000)
    start, stop = max(first, begin), min(last, begin + len(block))
    if start >= stop:
        return
    form = piece.format
    ratio = form.rate_hz / rate_hz
    skip, count = round((start - first) * ratio), round((stop - start) * ratio) + 1
    with path.open("rb") as file:
        file.seek(piece.at_bytes + skip * form.sample_bytes)
        left = piece.until_bytes - piece.at_bytes - skip * form.sample_bytes
        raw = file.read(max(0, min(count * form.sample_bytes, left)))
    pcm = form.to_pcm16(raw[: len(raw) - len(raw) % form.sample_bytes])
    if form.rate_hz != rate_hz:
        resampler = Resampler(form.rate_hz, rate_hz)
        pcm = resampler.process(pcm) + resampler.flush()
    samples = np.frombuffer(pcm, np.int16)[: stop - start]
    block[start - begin : start - begin + len(samples)] = samples


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
