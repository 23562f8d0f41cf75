"""``python -m penny keys`` and ``sessions`` as an operator types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from penny.cli.main import main
from tests.doubles.processes import free_port


pytestmark = pytest.mark.process


ROOT = Path(__file__).parents[3]


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "penny.yaml"
    path.write_text("keys: {file: keys.sqlite}\ntenants:\n  acme: {}\n", encoding="utf-8")
    return str(path)


def list_keys(config: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    assert main(["keys", "list", "--json", "--config", config]) == 0
    keys: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return keys


def test_a_key_is_created_listed_without_its_value_and_revoked(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    created = ["keys", "create", "web", "--tenant", "acme", "--admin", "--config", config]
    assert main(created) == 0
    value = capsys.readouterr().out.strip()
    assert value.startswith("penny_")

    (key,) = list_keys(config, capsys)
    assert (key["name"], key["tenant"], key["role"]) == ("web", "acme", "admin")
    assert value not in json.dumps(key)

    assert main(["keys", "revoke", str(key["id"]), "--config", config]) == 0
    assert main(["keys", "list", "--config", config]) == 0
    assert "revoked" in capsys.readouterr().out


def test_an_unknown_tenant_or_key_is_named(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "create", "web", "--tenant", "acne", "--config", config]) == 1
    assert "there is no tenant 'acne'; known: acme, default" in capsys.readouterr().err
    assert main(["keys", "revoke", "key_none", "--config", config]) == 1
    assert "there is no key key_none" in capsys.readouterr().err


def test_without_a_gateway_the_table_says_how_to_start_one(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert main(["sessions", "--once", "--url", url, "--config", config]) == 1
    assert "python -m penny serve" in capsys.readouterr().err


def test_a_full_disk_is_named_and_leaves_the_keys_as_they_were(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "create", "first", "--config", config]) == 0
    capsys.readouterr()
    # A file may not grow past what it is: to SQLite that is a disk with no room left.
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); "
        "from penny.cli.main import main; "
        f"sys.exit(main(['keys', 'create', 'second', '--config', {config!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 1
    assert "keys.sqlite cannot be used" in done.stderr
    assert "Traceback" not in done.stderr
    assert [key["name"] for key in list_keys(config, capsys)] == ["first"]
