"""``python -m penny models`` as a person meets it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from penny.cli import models
from penny.cli.main import main
from runpod_worker.weights.catalogue import Weights
from tests.doubles.model_hub import REPO, ModelHub


pytestmark = pytest.mark.socket


@pytest.fixture
def hub_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    tiny = Weights(use="test", repo=REPO, folder="tiny", files=("model.bin",), license="MIT")
    monkeypatch.setattr(models, "load_catalogue", lambda: {"tiny": tiny})
    hub = ModelHub({"model.bin": b"w" * 5000})
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(hub.start(), loop).result()
    yield hub.url
    asyncio.run_coroutine_threadsafe(hub.aclose(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_weights_are_pulled_listed_and_verified(
    hub_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ["--folder", str(tmp_path)]
    assert main(["models", "verify", "tiny", *folder]) == 1
    assert "python -m penny models pull tiny" in capsys.readouterr().out
    assert main(["models", "pull", "tiny", "--hub", hub_url, *folder]) == 0
    assert "tiny: 1 files, commit c0ffee" in capsys.readouterr().err
    assert main(["models", "verify", *folder]) == 0
    assert capsys.readouterr().out == "tiny: whole\n"
    assert main(["models", "list", *folder]) == 0
    assert "pulled" in capsys.readouterr().out


def test_an_unknown_model_is_answered_with_the_known_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "pull", "nope", "--hub", "http://127.0.0.1:9"]) == 1
    assert "no such model; known: whisper-large-v3" in capsys.readouterr().err


def test_without_a_hub_the_variable_to_set_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in models.HUB_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert main(["models", "pull", "whisper-small"]) == 1
    assert "export PENNY_HUB=" in capsys.readouterr().err


def test_a_hub_that_is_not_there_is_no_stack_trace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--hub", "http://127.0.0.1:9", "--folder", str(tmp_path)]
    assert main(["models", "pull", "whisper-small", *arguments]) == 1
    assert "ClientConnectorError" in capsys.readouterr().err
