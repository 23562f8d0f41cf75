"""``python -m penny webhooks`` beside a receiver: listed, tried, sent again, enabled, rotated."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Thread

import pytest

from penny.calls.store import CallStore
from penny.cli.main import main
from penny.webhooks.endpoints import Endpoint
from penny.webhooks.live import RecordTelling
from penny.webhooks.outbox import Outbox
from penny.webhooks.secrets import make_secret, read_secrets
from tests.doubles.webhook_receiver import WebhookReceiver
from tests.penny.calls.calls import a_call


pytestmark = pytest.mark.socket

SECRET = make_secret()


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    """A receiver on a loop of its own: the command has one too."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    made = WebhookReceiver(SECRET)
    asyncio.run_coroutine_threadsafe(made.__aenter__(), loop).result(30)
    yield made
    asyncio.run_coroutine_threadsafe(made.__aexit__(None, None, None), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(30)
    loop.close()


@pytest.fixture
def file(receiver: WebhookReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration with one endpoint and a call that waits to be told."""
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    path = tmp_path / "penny.yaml"
    path.write_text(
        f"webhooks: {{url: '{receiver.url}?token=hidden'}}\n"
        "calls: {folder: calls, url: 'sqlite:///calls/calls.sqlite'}\n"
    )

    async def tell() -> None:
        store = CallStore(f"sqlite:///{tmp_path / 'calls/calls.sqlite'}")
        told = Outbox(store.database, {"default": Endpoint("default", receiver.url, (SECRET,))})
        call = a_call(modes=["EXTERNAL"], caller="+34600000001")
        await store.put(call, partial(RecordTelling(told).kept, call=call))
        await store.aclose()

    asyncio.run(tell())
    return path


def run(file: Path, *arguments: str) -> int:
    return main(["webhooks", arguments[0], "--config", str(file), *arguments[1:]])


def test_what_waits_is_listed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(file, "list") == 0
    shown = capsys.readouterr().out
    assert "default" in shown
    assert "hidden" not in shown
    assert SECRET not in shown
    assert run(file, "list", "--deliveries", "--number", "+34600000001") == 0
    assert capsys.readouterr().out.count("waiting") == 4
    assert run(file, "list", "--deliveries", "--type", "call.begun") == 1
    assert "--type" in capsys.readouterr().err


def test_a_test_shows_what_is_answered(
    file: Path, receiver: WebhookReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(file, "test", "--type", "handoff.requested") == 0
    assert capsys.readouterr().out.startswith("default: 204 in ")
    assert receiver.bodies[0]["type"] == "handoff.requested"
    assert run(file, "test", "other") == 1
    assert "there is no endpoint other; there are: default" in capsys.readouterr().err


def test_events_are_sent_again_and_an_endpoint_enabled(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(file, "replay", "--since", "2026-01-01T00:00:00Z", "--delivered") == 0
    assert capsys.readouterr().out.startswith("0 deliveries")  # all of them wait
    assert run(file, "replay") == 1
    assert "an event's id, or --since" in capsys.readouterr().err
    assert run(file, "enable", "default", "--drop") == 0
    assert "4 missed: given up" in capsys.readouterr().out
    assert run(file, "replay", "--since", "2026-01-01T00:00:00Z") == 0
    assert capsys.readouterr().out.startswith("4 deliveries")


def test_a_rotation_says_what_to_set(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(file, "rotate") == 0
    shown = capsys.readouterr().out
    secret = shown.splitlines()[0].removeprefix("The new secret: ")
    assert read_secrets(f"{secret} {SECRET}", "WEBHOOK_SECRET") == (secret, SECRET)
    assert SECRET not in shown
    assert shown.count("WEBHOOK_SECRET=") == 2
    assert run(file, "rotate", "other") == 1
    assert "there are: default" in capsys.readouterr().err


def test_a_secret_that_is_not_set_is_told(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WEBHOOK_SECRET")
    assert run(file, "test") == 1
    assert "WEBHOOK_SECRET is not set" in capsys.readouterr().err
    assert run(file, "rotate") == 0
