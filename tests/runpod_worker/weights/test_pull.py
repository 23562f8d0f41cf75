"""Weights from a hub over real HTTP: whole, resumed, pinned, and refused when they are others."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from penny.errors import ConfigError
from runpod_worker.weights.catalogue import Weights, load_catalogue
from runpod_worker.weights.hub import Hub, HubError
from runpod_worker.weights.lock import LOCK_NAME
from runpod_worker.weights.pull import WeightsDamaged, find_faults, pull
from tests.doubles.model_hub import COMMIT, REPO, ModelHub


pytestmark = pytest.mark.socket


BIG = random.Random(7).randbytes(300_000)
WEIGHTS = Weights(
    use="test", repo=REPO, folder="tiny", files=("model.bin", "*.json"), license="MIT"
)


@pytest.fixture
async def hub() -> AsyncIterator[ModelHub]:
    served = ModelHub({"model.bin": BIG, "config.json": b"{}", "README.md": b"read me"})
    await served.start()
    yield served
    await served.aclose()


async def bring(hub: ModelHub, models: Path, weights: Weights = WEIGHTS) -> list[tuple[str, int]]:
    shown: list[tuple[str, int]] = []
    async with aiohttp.ClientSession() as http:
        await pull(
            "tiny",
            weights,
            Hub(http, hub.url),
            models,
            lambda name, so_far, _total: shown.append((name, so_far)),
            retry_pause_s=0,
        )
    return shown


async def test_the_wanted_files_come_whole_and_are_pinned(hub: ModelHub, tmp_path: Path) -> None:
    shown = await bring(hub, tmp_path)

    assert (tmp_path / "tiny/model.bin").read_bytes() == BIG
    assert sorted(path.name for path in (tmp_path / "tiny").iterdir()) == [
        "config.json",
        "model.bin",
    ]
    assert shown[-2:] == [("config.json", 2), ("config.json", 2)]
    pinned = json.loads((tmp_path / LOCK_NAME).read_text())["tiny"]
    assert pinned["commit"] == COMMIT
    assert pinned["files"]["model.bin"]["bytes"] == len(BIG)
    assert find_faults("tiny", WEIGHTS, tmp_path) == []


async def test_a_download_that_breaks_off_goes_on_where_it_was(
    hub: ModelHub, tmp_path: Path
) -> None:
    hub.break_after = [100_000, 50_000]

    await bring(hub, tmp_path)

    ranges = [asked for name, asked in hub.asked if name == "model.bin"]
    assert ranges[0] == ""
    assert all(asked.startswith("bytes=") for asked in ranges[1:])
    starts = [int(asked[6:-1]) for asked in ranges[1:]]
    assert starts == sorted(starts)
    assert len(starts) == 2
    assert (tmp_path / "tiny/model.bin").read_bytes() == BIG


async def test_a_pull_that_was_killed_is_resumed_by_the_next(hub: ModelHub, tmp_path: Path) -> None:
    hub.break_after = [50_000] * 5
    with pytest.raises(HubError):
        await bring(hub, tmp_path)
    part = tmp_path / "tiny/model.bin.part"
    have = part.stat().st_size
    assert 0 < have < len(BIG)
    hub.asked.clear()

    await bring(hub, tmp_path)

    assert ("model.bin", f"bytes={have}-") in hub.asked
    assert not part.exists()


async def test_a_hub_without_ranges_sends_the_file_anew(hub: ModelHub, tmp_path: Path) -> None:
    hub.ranges = False
    hub.break_after = [100_000]

    await bring(hub, tmp_path)

    assert (tmp_path / "tiny/model.bin").read_bytes() == BIG


async def test_bytes_that_are_not_the_hubs_own_digest_are_not_kept(
    hub: ModelHub, tmp_path: Path
) -> None:
    hub.claimed_sha256["model.bin"] = "ab" * 32

    with pytest.raises(WeightsDamaged, match=r"model\.bin: these are not the pinned bytes"):
        await bring(hub, tmp_path)

    assert not list((tmp_path / "tiny").glob("model*"))


async def test_a_digest_of_the_catalogue_binds_the_first_pull(
    hub: ModelHub, tmp_path: Path
) -> None:
    with pytest.raises(WeightsDamaged, match="config.json"):
        await bring(hub, tmp_path, WEIGHTS.model_copy(update={"sha256": {"config.json": "0" * 64}}))


async def test_what_was_pinned_once_is_not_replaced_by_something_else(
    hub: ModelHub, tmp_path: Path
) -> None:
    await bring(hub, tmp_path)
    hub.files["model.bin"] = BIG[::-1]
    (tmp_path / "tiny/model.bin").unlink()

    with pytest.raises(WeightsDamaged):
        await bring(hub, tmp_path)


async def test_files_that_are_here_and_whole_are_not_fetched_again(
    hub: ModelHub, tmp_path: Path
) -> None:
    await bring(hub, tmp_path)
    hub.asked.clear()

    await bring(hub, tmp_path)

    assert hub.asked == []


async def test_damage_is_found_named_and_mended(hub: ModelHub, tmp_path: Path) -> None:
    await bring(hub, tmp_path)
    (tmp_path / "tiny/model.bin").write_bytes(BIG[:-1] + b"x")
    (tmp_path / "tiny/config.json").unlink()

    assert find_faults("tiny", WEIGHTS, tmp_path) == [
        "config.json: missing",
        "model.bin: damaged (its SHA-256 is another)",
        "mend it: python -m penny models pull tiny",
    ]
    await bring(hub, tmp_path)
    assert find_faults("tiny", WEIGHTS, tmp_path) == []


@pytest.mark.parametrize(("status", "says"), [(401, "PENNY_HUB_TOKEN"), (404, "HTTP 404")])
async def test_a_refusal_says_what_to_do(
    hub: ModelHub, tmp_path: Path, status: int, says: str
) -> None:
    hub.refuse_with = status
    with pytest.raises(HubError, match=says) as refused:
        await bring(hub, tmp_path)
    assert not refused.value.retryable


async def test_a_file_that_leads_out_of_its_folder_is_refused(
    hub: ModelHub, tmp_path: Path
) -> None:
    hub.files["../evil.json"] = b"{}"
    with pytest.raises(HubError, match="leads out"):
        await bring(hub, tmp_path)


async def test_a_missing_file_is_named(hub: ModelHub, tmp_path: Path) -> None:
    del hub.files["model.bin"]
    with pytest.raises(HubError, match=r"no file is called model\.bin"):
        await bring(hub, tmp_path)


async def test_a_broken_lock_is_not_written_over(hub: ModelHub, tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).write_text("{")
    with pytest.raises(ConfigError, match="not a lock"):
        await bring(hub, tmp_path)
    assert (tmp_path / LOCK_NAME).read_text() == "{"


def test_the_catalogue_is_sound() -> None:
    catalogue = load_catalogue()

    assert {"whisper-large-v3", "whisper-turbo", "whisper-small", "xtts-v2"} <= set(catalogue)
    assert catalogue["xtts-v2"].non_commercial
    assert not any(weights.sha256 for weights in catalogue.values())  # nobody has checked any


def test_a_wrong_entry_is_named(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.yaml"
    path.write_text("tiny: {use: x, license: MIT}")
    with pytest.raises(
        ConfigError, match=r"catalogue\.yaml: tiny: .*give repo, package or requirements"
    ):
        load_catalogue(path)
