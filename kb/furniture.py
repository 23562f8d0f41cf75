"""Finds what stands on many pages of a collection word for word: rating boxes, notices, menus.

A block counts as furniture from :data:`LEAST_FILES` files on. Measured on 306 after-sales pages by
another hand: at 30 no word of the pages' own text was lost, at 10 0.09 % of them, at 5 9 %.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import orjson

from kb.sources.blocks import Block, FileContent


LEAST_FILES = 30
_NAME = "blocks.json"


class BlockCensus:
    """Which blocks each file of one collection has, kept beside its index as short hashes."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME
        try:
            self._blocks: dict[str, list[str]] = orjson.loads(self._path.read_bytes())
        except (OSError, orjson.JSONDecodeError):  # none yet, or cut off: it is counted anew
            self._blocks = {}

    def note(self, path: str, content: FileContent) -> None:
        """Count a file's blocks in place of what it had before."""
        self._blocks[path] = sorted({_hash(block) for block in content.blocks})

    def forget(self, path: str) -> None:
        """Count a file no more."""
        self._blocks.pop(path, None)

    def furniture(self) -> frozenset[str]:
        """Hashes of the blocks that stand in :data:`LEAST_FILES` files or more."""
        if len(self._blocks) < LEAST_FILES:
            return frozenset()
        counts = Counter(each for blocks in self._blocks.values() for each in blocks)
        return frozenset(each for each, files in counts.items() if files >= LEAST_FILES)

    def files_with(self, hashes: frozenset[str]) -> list[str]:
        """The files that have any of these blocks."""
        return [path for path, blocks in self._blocks.items() if not hashes.isdisjoint(blocks)]

    def save(self) -> None:
        """Write it beside the index, whole or not at all."""
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(orjson.dumps(self._blocks))
        fresh.replace(self._path)


def without(content: FileContent, furniture: frozenset[str]) -> FileContent:
    """``content`` without the blocks that are furniture."""
    kept = tuple(block for block in content.blocks if _hash(block) not in furniture)
    return content if len(kept) == len(content.blocks) else replace(content, blocks=kept)


def _hash(block: Block) -> str:
    return hashlib.blake2b(f"{block.kind}\n{block.text}".encode(), digest_size=6).hexdigest()
