"""Keys are hashed at rest, found, listed, revoked, over processes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from penny.errors import ConfigError
from penny.trust.keys import KeyFile
from penny.trust.rights import ADMIN


pytestmark = pytest.mark.pure


def make(folder: Path) -> KeyFile:
    return KeyFile(folder / "var" / "keys.sqlite", lambda: 1_700_000_000.0)


def test_a_key_is_found_by_its_value_and_by_no_other(tmp_path: Path) -> None:
    keys = make(tmp_path)
    value, created = keys.create("acme", "web", role="admin", more=("house:read",))

    assert keys.find(value) == created
    assert keys.find(value + "x") is None
    assert keys.find("") is None
    assert (created.tenant, created.name, created.role) == ("acme", "web", "admin")
    assert created.rights == ADMIN | {"house:read"}


def test_the_value_is_nowhere_in_the_file_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    value, key = make(tmp_path).create("acme", "web")
    path = tmp_path / "var" / "keys.sqlite"

    assert value.encode() not in path.read_bytes()
    assert value.removeprefix("penny_").encode() not in path.read_bytes()
    assert key.id.encode() in path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_installations_hash_the_same_key_differently(tmp_path: Path) -> None:
    one, other = make(tmp_path / "one"), make(tmp_path / "other")
    value, _ = one.create("acme", "web")
    other.create("acme", "web")

    assert other.find(value) is None


def test_a_key_file_that_was_moved_away_is_a_fault_and_no_revocation(tmp_path: Path) -> None:
    keys = make(tmp_path)
    value, key = keys.create("acme", "web")
    away = keys._path.rename(tmp_path / "away")
    with pytest.raises(ConfigError, match="restore it"):
        keys.alive()
    assert keys.find(value) is None
    away.rename(keys._path)
    assert key.id in keys.alive()


def test_a_revoked_key_is_refused_by_who_already_has_the_file_open(tmp_path: Path) -> None:
    gateway, command_line = make(tmp_path), make(tmp_path)
    value, key = command_line.create("acme", "web")
    assert key.id in gateway.alive()

    revoked = command_line.revoke(key.id)

    assert revoked is not None
    assert revoked.revoked_at == 1_700_000_000
    assert gateway.find(value) is None
    assert key.id not in gateway.alive()
    assert not gateway.has_keys()
    assert [k.id for k in gateway.list_keys()] == [key.id]


def test_no_file_means_no_keys(tmp_path: Path) -> None:
    keys = make(tmp_path)
    assert (keys.find("penny_x"), keys.list_keys(), keys.has_keys()) == (None, [], False)
    assert keys.revoke("key_x") is None
    assert not (tmp_path / "var").exists()


def test_a_broken_file_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "keys.sqlite").write_bytes(b"not a database, whatever it was before" * 50)

    with pytest.raises(ConfigError) as broken:
        make(tmp_path).find("penny_x")
    assert "keys.sqlite cannot be used" in broken.value.message
    assert "create new keys" in broken.value.message
