"""What a log may say: types and places, our own words, never what somebody said."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import stamina
import structlog

from penny.errors import EngineError
from penny.logs import LossyStream, configure_logs
from tests.plain_logs import write_plain_logs


pytestmark = pytest.mark.pure


SPOKEN = "mi contraseña es abracadabra"


@pytest.fixture(autouse=True)
def _restore() -> object:
    yield
    write_plain_logs()
    logging.basicConfig(force=True)


@pytest.mark.parametrize("style", ["json", "console"])
def test_an_exception_is_told_by_type_and_place_and_not_by_its_text(
    style: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("info", style)
    local = SPOKEN
    try:
        raise ValueError(f"cannot read {local}")
    except ValueError:
        structlog.get_logger().exception("turn_failed", session_id="sess_1")
    written = capsys.readouterr().err
    assert "abracadabra" not in written
    assert "ValueError" in written
    assert "test_logs.py" in written


def test_an_error_of_our_own_is_told_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    try:
        try:
            raise KeyError(SPOKEN)
        except KeyError as error:
            raise EngineError("the llm stage sent nothing", stage="llm") from error
    except EngineError:
        structlog.get_logger().exception("generation_failed")
    told = json.loads(capsys.readouterr().err)["fault"]
    assert told["reason"] == "the llm stage sent nothing"
    assert told["because"]["error"] == "KeyError"
    assert "abracadabra" not in json.dumps(told)


def test_fields_that_hold_speech_or_secrets_are_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    structlog.get_logger().info("heard", transcript=SPOKEN, api_key="sk-1", pii_name="Ana", turns=2)
    line = json.loads(capsys.readouterr().err)
    assert line["turns"] == 2
    assert not {"transcript", "api_key", "pii_name"} & set(line)


def test_a_librarys_own_log_tells_no_text_of_an_exception(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs("info", "json")
    try:
        raise ValueError(SPOKEN)
    except ValueError:
        logging.getLogger("aiohttp.server").exception("Error handling request")
    written = capsys.readouterr().err
    assert "Error handling request" in written
    assert "abracadabra" not in written


@pytest.mark.parametrize(
    "shown",
    [
        "openai-insecure-api-key.sk-proj-1234567890abcdefABCDEF",
        "openai-insecure-api-key.short",
        "penny-key.penny_1234567890abcdefABCDEF",
        "penny_1234567890abcdefABCDEF",
        "ek_1234567890abcdefABCDEF",
        "/v1/realtime?api_key=short&model=penny",
        "Authorization: Bearer short",
    ],
)
def test_a_librarys_own_log_tells_no_credential(
    shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("info", "json")
    logging.getLogger("aiohttp.websocket").warning(
        "%s: Client protocols %r overlap nothing", "127.0.0.1", [shown, "other"]
    )
    written = capsys.readouterr().err
    assert "Client protocols" in written
    assert "other" in written
    assert "left out" in written
    assert "1234567890" not in written
    assert "short" not in written


def test_a_line_that_cannot_be_written_is_counted_and_told_later_and_never_raised(
    tmp_path: Path,
) -> None:
    with open("/dev/full", "w") as full, (tmp_path / "log").open("w+") as kept:
        stream = LossyStream(full, json=True)
        stream.write("lost\n")
        stream.write("lost too\n")
        assert (stream.lost, bool(stream.fault())) == (2, True)
        stream._stream = kept
        stream.write("kept\n")
        kept.seek(0)
        told = kept.read().splitlines()
    assert json.loads(told[0]) == {"event": "log_lines_lost", "level": "error", "lines": 2}
    assert told[1:] == ["kept"]
    assert (stream.lost, bool(stream.fault())) == (2, False)


async def test_a_retry_is_told_by_the_errors_type_and_not_by_its_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A logger that another test of this process used keeps that test's stream.
    monkeypatch.setattr("penny.logs.log", structlog.get_logger())
    configure_logs("info", "json")
    async for attempt in stamina.retry_context(
        on=ValueError, attempts=2, wait_initial=0, wait_max=0, wait_jitter=0
    ):
        with attempt:
            if attempt.num == 1:
                raise ValueError(f"cannot read {SPOKEN}")
    [line] = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["event"], told["error"], told["retry"]) == ("retry_scheduled", "ValueError", 1)
    assert "abracadabra" not in line


@pytest.mark.parametrize("style", ["json", "console"])
def test_an_error_whose_cause_is_the_group_that_holds_it_is_told_once(
    style: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("info", style)
    leaf = EngineError("the llm stage sent nothing", stage="llm", code="llm_timeout")
    try:
        raise leaf from ExceptionGroup("stages", [leaf, ExceptionGroup("deep", [leaf])])
    except EngineError:
        structlog.get_logger().exception("generation_failed")
    told = capsys.readouterr().err
    assert told.count("llm_timeout") == 1
    if style == "json":
        [deep] = json.loads(told)["fault"]["because"]["group"]
        assert deep["group"] == []
