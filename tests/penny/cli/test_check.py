"""What check says of files, modes, engines and models; and how it ends."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from config.loader import load
from config.schema import Config
from penny.cli import check
from penny.cli.examination import Engine, Examination, examine
from penny.cli.main import main


pytestmark = pytest.mark.process


TODAY = date(2026, 11, 21)
EARS = Engine("stt", "embedded", ("es", "en"), {"es": "Entiende un conjunto cerrado."})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "kb/documents").mkdir(parents=True)
    return tmp_path


def read(folder: Path, text: str) -> Config:
    (folder / "penny.yaml").write_text(text, encoding="utf-8")
    return load(folder / "penny.yaml", {})


def examined(
    config: Config,
    *,
    environment: dict[str, str] | None = None,
    engine_failure: str | None = None,
    today: date = TODAY,
) -> Examination:
    return examine(config, environment or {}, [EARS], engine_failure, today)


def messages(found: Examination, level: str) -> list[str]:
    return [
        f"{finding.place}: {finding.message}"
        for finding in found.findings
        if finding.level == level
    ]


def test_defaults_can_start_and_external_names_what_it_lacks(folder: Path) -> None:
    found = examined(read(folder, ""))

    own, external = found.modes
    assert found.ok
    assert (own.name, own.default, own.problems) == ("SELF_HOSTED", True, ())
    assert [problem.reason for problem in external.problems] == ["OPENAI_API_KEY is not set"]
    assert external.notice == {}


def test_default_mode_that_cannot_talk_is_an_error_with_its_line(folder: Path) -> None:
    found = examined(read(folder, "penny:\n  default_mode: EXTERNAL\n"))

    assert not found.ok
    assert messages(found, "error")[0].startswith(
        "penny.yaml:2: penny.default_mode: EXTERNAL cannot talk: OPENAI_API_KEY is not set; export"
    )


def test_engine_that_does_not_load_makes_self_hosted_unavailable(folder: Path) -> None:
    config = read(folder, "penny:\n  profile: gpu\n")

    found = examined(config, engine_failure="stt: no weights in var/models")

    assert found.modes[0].problems[0].reason == "stt: no weights in var/models"
    assert "penny.yaml:2: penny.profile" in found.modes[0].problems[0].remedy
    assert not found.ok


def test_retired_unpriced_and_soon_retired_models_are_warned_of(folder: Path) -> None:
    config = read(
        folder,
        "penny:\n  modes:\n    EXTERNAL:\n"
        "      portavoz_model: gpt-4o-realtime\n      cerebro_model: claude-99\n",
    )
    late = read(folder, "penny: {modes: {EXTERNAL: {portavoz_model: gpt-realtime}}}\n")

    assert messages(examined(config), "warning") == [
        "penny.yaml:4: penny.modes.EXTERNAL.portavoz_model: "
        "gpt-4o-realtime is retired; gpt-realtime-2.1 is used",
        "penny.yaml:5: penny.modes.EXTERNAL.cerebro_model: "
        "claude-99 has no row in models.prices: the highest of its family is taken",
        "penny.yaml:5: penny.modes.EXTERNAL.cerebro_model: "
        "claude-99 is no model that the installed SDK knows; it is sent plain requests",
    ]
    assert "turned off on 2027-01-20" in messages(examined(late), "warning")[0]
    assert messages(examined(late, today=date(2026, 1, 1)), "warning") == []


def test_a_brains_model_that_was_turned_off_is_an_error(folder: Path) -> None:
    config = read(
        folder,
        "models:\n  aliases: {claude-sonnet-4-0: claude-sonnet-4-0}\n"
        "brain:\n  depths:\n    deep: {model: claude-sonnet-4-0}\n",
    )
    [alias, depth] = sorted(messages(examined(config), "error"))
    gone = "claude-sonnet-4-0 was turned off on June 15th, 2026"
    assert alias == f"penny.yaml:2: models.aliases.claude-sonnet-4-0: {gone}"
    assert depth == f"penny.yaml:5: brain.depths.deep.model: {gone}"


def test_the_sample_leads_to_no_model_that_is_turned_off(folder: Path) -> None:
    assert messages(examined(read(folder, "")), "error") == []


def test_missing_documents_are_an_error_with_their_line(folder: Path) -> None:
    found = examined(read(folder, "kb:\n  documents: nowhere\n"))

    [error] = messages(found, "error")
    assert error.startswith("penny.yaml:2: kb.documents: there is no folder")


def test_webhooks_without_a_secret_or_into_the_house_are_errors(folder: Path) -> None:
    text = "webhooks: {url: 'https://crm.example/'}\n"
    (error,) = messages(examined(read(folder, text)), "error")
    assert "WEBHOOK_SECRET is not set" in error
    known = {"WEBHOOK_SECRET": "a-secret-of-this-test"}
    found = examined(read(folder, text), environment=known)
    assert found.ok
    assert any("default hears nothing of private calls" in w for w in messages(found, "warning"))
    inward = read(folder, "webhooks: {url: 'https://10.0.0.1/'}\n")
    (error,) = messages(examined(inward, environment=known), "error")
    assert "privacy.allowed_hosts" in error


def test_credentials_are_told_by_name_never_by_value(folder: Path) -> None:
    found = examined(read(folder, ""), environment={"OPENAI_API_KEY": "sk-canary"})

    assert found.credentials["OPENAI_API_KEY"] is True
    assert found.credentials["ANTHROPIC_API_KEY"] is False
    assert "canary" not in json.dumps(found.as_json(), default=str)


# --- the command ---------------------------------------------------------------------------


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch) -> None:
    async def load_engines(_config: Config) -> tuple[list[Engine], str | None]:
        return [EARS], None

    monkeypatch.setattr(check, "_load_engines", load_engines)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.mark.usefixtures("ears")
def test_person_reads_modes_engines_and_what_the_ears_can_do(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read(folder, "")

    status = main(["check", "--config", str(folder / "penny.yaml")])

    text = capsys.readouterr().out
    assert status == 0
    assert "SELF_HOSTED (default)" in text
    assert "OPENAI_API_KEY is not set" in text
    assert "Entiende un conjunto cerrado." in text
    assert "Penny can start." in text


@pytest.mark.usefixtures("ears")
def test_external_without_its_brain_s_key_is_available_with_a_notice(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    read(folder, "")
    command = ["check", "--config", str(folder / "penny.yaml")]

    assert main(command) == 0
    text = capsys.readouterr().out
    assert main([*command, "--json"]) == 0
    external = json.loads(capsys.readouterr().out)["modes"][1]

    assert "ANTHROPIC_API_KEY is not set: the brain has the knowledge base alone." in text
    assert (external["name"], external["problems"]) == ("EXTERNAL", [])
    assert "ANTHROPIC_API_KEY" in external["notice"]["en"]


@pytest.mark.usefixtures("ears")
def test_json_holds_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read(folder, "penny: {default_mode: EXTERNAL}\n")

    status = main(["check", "--json", "--config", str(folder / "penny.yaml")])

    found = json.loads(capsys.readouterr().out)
    assert status == 1
    assert found["ok"] is False
    assert [mode["name"] for mode in found["modes"]] == ["SELF_HOSTED", "EXTERNAL"]
    assert found["engines"][0]["stage"] == "stt"
    assert found["findings"][0]["level"] == "error"


@pytest.mark.parametrize("as_json", [False, True])
def test_wrong_file_ends_with_1_naming_key_and_line(
    as_json: bool, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "penny.yaml"
    path.write_text("gateway:\n  prt: 1\n")

    status = main(["check", "--config", str(path), *(["--json"] if as_json else [])])

    text = capsys.readouterr().out
    assert status == 1
    if as_json:
        [error] = json.loads(text)["errors"]
        assert (error["key"], error["line"]) == ("gateway.prt", 2)
    assert f"{path}:2: gateway.prt: unknown key; did you mean 'port'?" in text


def test_worker_by_url_loads_no_engine_here(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read(folder, "penny: {modes: {SELF_HOSTED: {endpoint: 'wss://w.example/ws'}}}\n")

    status = main(["check", "--config", str(folder / "penny.yaml")])

    assert status == 0
    assert "Worker by URL: wss://w.example/ws" in capsys.readouterr().out
