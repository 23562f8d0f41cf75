"""Client secrets: bounds of their lives, and that only living ones are known."""

from __future__ import annotations

import pytest

from penny.errors import ProtocolError
from penny.gateway import client_secrets
from penny.gateway.client_secrets import ClientSecrets


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_secret_lives_as_long_as_it_was_asked_to() -> None:
    clock = Clock()
    secrets = ClientSecrets(clock)
    secret = secrets.mint({"expires_after": {"anchor": "created_at", "seconds": 10}})
    assert secret.expires_at == 1_800_000_010
    clock.now_s += 9
    assert secrets.find(secret.value) == secret
    clock.now_s += 1
    assert secrets.find(secret.value) is None


def test_without_a_wish_it_lives_ten_minutes() -> None:
    assert ClientSecrets(Clock()).mint({}).expires_at == 1_800_000_600
    assert ClientSecrets(Clock()).mint({"expires_after": None}).expires_at == 1_800_000_600
    assert ClientSecrets(Clock()).mint({"expires_after": {}}).expires_at == 1_800_000_600


def test_a_secret_is_good_for_more_than_one_session_and_not_guessed() -> None:
    secrets = ClientSecrets(Clock())
    first, second = secrets.mint({}), secrets.mint({})
    assert first.value != second.value
    assert secrets.find(first.value) is secrets.find(first.value)
    assert secrets.find(first.value[:-1]) is None


def test_the_session_it_is_bound_to_is_checked_and_completed() -> None:
    given = {"type": "realtime", "instructions": "Breve.", "audio": {"output": {"voice": "marin"}}}
    secret = ClientSecrets(Clock()).mint({"session": given})
    assert secret.session == given
    assert secret.effective["audio"]["output"]["voice"] == "marin"
    assert secret.effective["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    assert secret.effective["model"] == "penny"


def test_too_many_living_secrets_are_refused_until_some_expire(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_secrets, "MAX_SECRETS", 2)
    clock = Clock()
    secrets = ClientSecrets(clock)
    secrets.mint({})
    secrets.mint({})
    with pytest.raises(ProtocolError, match="let some expire") as refusal:
        secrets.mint({})
    assert refusal.value.code == "rate_limited"
    clock.now_s += 600
    assert secrets.mint({})


@pytest.mark.parametrize("seconds", [9, 7201, 1.5, True, "60"])
def test_a_life_out_of_bounds_names_its_field(seconds: object) -> None:
    with pytest.raises(ProtocolError) as refusal:
        ClientSecrets(Clock()).mint({"expires_after": {"seconds": seconds}})
    assert refusal.value.field == "expires_after.seconds"
