"""``penny support CALL``: a file that helps, and holds no word and no secret."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from penny.calls.store import CallStore
from penny.cli.main import main
from penny.cli.support import describe_case, hide_settings
from tests.penny.calls.calls import BEGAN, a_call, a_turn


pytestmark = pytest.mark.process

CONFIG = """
calls: {url: 'postgresql://penny:hunter2secret@db/penny'}
webhooks: {secret: CRM_WEBHOOK_SECRET, url: https://crm.example}
telephony:
  dialing: {default: {transfers: {soporte: "+34911111111"}}}
  twilio: {auth_token_env: TWILIO_AUTH_TOKEN}
other: {api_key: sk-live-000111222, password: "p4ssw0rd", max_tokens: 400}
"""
SECRETS = ("hunter2secret", "911111111", "sk-live-000111222", "p4ssw0rd", "600111222", "canary")
SAID = ("vence mi factura", "El quince", "secreto")


def the_call() -> object:
    return a_call(
        caller="+34600111222",
        user_id="maria.canary",
        turns=[a_turn(marks=[{"kind": "action", "at_ms": 1, "fields": {"args": "secreto"}}])],
        derived={"summary": {"text": "secreto"}},
    )


LOG = "\n".join(
    json.dumps(entry)
    for entry in (
        {"event": "session_started", "session_id": "sess_default_0", "transcript": "secreto"},
        {"event": "session_started", "session_id": "sess_other"},
        {"event": "redis_lost", "level": "warning", "timestamp": BEGAN.isoformat()},
        {"event": "old", "level": "warning", "timestamp": "2020-01-01T00:00:00+00:00"},
        {
            "event": "told",
            "session_id": "sess_default_0",
            "url": "x?api_key=penny_0123456789abcdef012",
        },
    )
)


def case(*, with_words: bool = False) -> str:
    call = the_call()
    environment = {"OPENAI_API_KEY": "sk-canary-value", "WEIRD_TOKEN": "El quince canary"}
    return describe_case(call, CONFIG, {"log": LOG}, environment, with_words=with_words)  # type: ignore[arg-type]


def test_no_word_and_no_secret_is_in_it() -> None:
    text = case()
    assert [each for each in (*SECRETS, *SAID) if each in text] == []
    told = json.loads(text)
    (turn,) = told["call"]["turns"]
    assert turn["latency_ms"]["first_audio"] == 450
    assert told["call"]["caller"] == "+34…22"
    assert told["credentials"]["OPENAI_API_KEY"] is True
    assert [json.loads(line)["event"] for line in told["logs"]["log"]] == [
        "session_started",
        "redis_lost",
        "told",
    ]


def test_what_was_said_is_in_it_when_it_is_asked_for() -> None:
    assert "vence mi factura" in case(with_words=True)


def test_settings_stay_readable() -> None:
    text = hide_settings(CONFIG)
    for kept in ("CRM_WEBHOOK_SECRET", "TWILIO_AUTH_TOKEN", "max_tokens: 400", "@db/penny"):
        assert kept in text


def test_the_command_writes_one_file_and_notes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "penny.yaml"
    config.write_text("calls: {url: 'sqlite:///calls.sqlite'}\n")
    (tmp_path / "penny.log").write_text(LOG)

    async def keep() -> None:
        store = CallStore(f"sqlite:///{tmp_path / 'calls.sqlite'}")
        await store.put(a_call())
        await store.aclose()

    asyncio.run(keep())
    target = tmp_path / "case.json"
    asked = ["--config", str(config), "--to", str(target), "--log", str(tmp_path / "penny.log")]
    assert main(["support", "sess_default_0", *asked]) == 0
    assert target.stat().st_mode & 0o777 == 0o600
    assert json.loads(target.read_text())["call"]["id"] == "sess_default_0"
    assert main(["support", "sess_none", *asked]) == 1
    assert "there is no call sess_none" in capsys.readouterr().err
