"""Short-lived secrets: bound to a key and a session, gone when used up."""

from __future__ import annotations

from typing import Any

import pytest

from penny.errors import ProtocolError
from penny.ids import digest_of
from penny.trust import store
from penny.trust.client_secrets import ClientSecrets
from penny.trust.identity import Identity
from penny.trust.memory_store import MemoryStore
from penny.trust.rights import HOUSE


pytestmark = pytest.mark.pure


OWNER = Identity("acme", "key_1")


class Wall:
    now_s = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now_s


def make() -> tuple[ClientSecrets, Wall]:
    wall = Wall()
    return ClientSecrets(MemoryStore(wall), wall), wall


async def test_a_secret_opens_its_session_in_the_name_of_its_key_until_it_expires() -> None:
    secrets, wall = make()
    session = {"type": "realtime", "instructions": "Di hola."}
    secret = await secrets.mint({"session": session, "expires_after": {"seconds": 10}}, OWNER)

    assert secret.expires_at == wall.now_s + 10
    assert await secrets.find(secret.value) == Identity(
        "acme", "key_1", session=session, secret=digest_of(secret.value)
    )
    assert await secrets.find(secret.value) is not None
    wall.now_s += 10
    assert await secrets.find(secret.value) is None


async def test_without_a_wish_it_lives_ten_minutes() -> None:
    for wish in ({}, {"expires_after": None}, {"expires_after": {}}):
        secrets, wall = make()
        assert (await secrets.mint(wish, OWNER)).expires_at == wall.now_s + 600


async def test_the_session_it_is_bound_to_is_checked_and_completed() -> None:
    given = {"type": "realtime", "instructions": "Breve.", "audio": {"output": {"voice": "marin"}}}
    secret = await make()[0].mint({"session": given}, OWNER)
    assert secret.session == given
    assert secret.effective["audio"]["output"]["voice"] == "marin"
    assert secret.effective["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    assert secret.effective["model"] == "penny"


async def test_two_secrets_differ_and_neither_is_guessed_by_its_beginning() -> None:
    secrets, _ = make()
    first, second = await secrets.mint({}, OWNER), await secrets.mint({}, OWNER)
    assert first.value != second.value
    assert await secrets.find(first.value[:-1]) is None


async def test_a_single_use_secret_is_gone_once_used_and_not_before() -> None:
    secrets, wall = make()
    secret = await secrets.mint({"single_use": True}, OWNER)
    for _ in range(2):
        identity = await secrets.find(secret.value)
        assert identity is not None
    assert await secrets.use(identity)
    assert not await secrets.use(identity)
    assert await secrets.find(secret.value) is None
    late = await secrets.find((await secrets.mint({"single_use": True}, OWNER)).value)
    assert late is not None
    wall.now_s += 600
    assert not await secrets.use(late)


async def test_a_secret_for_many_uses_is_not_used_up() -> None:
    secrets, _ = make()
    identity = await secrets.find((await secrets.mint({}, OWNER)).value)
    assert identity is not None
    assert await secrets.use(identity)
    assert await secrets.use(identity)


async def test_a_secret_never_opens_the_operators_routes() -> None:
    secrets, _ = make()
    secret = await secrets.mint({}, Identity("acme", "key_1", HOUSE))
    found = await secrets.find(secret.value)
    assert found is not None
    assert found.rights == frozenset()


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"expires_after": {"seconds": 9}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": 7201}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": True}}, "expires_after.seconds"),
        ({"session": [1]}, "session"),
        ({"session": {"type": "translation"}}, "session.type"),
        ({"session": {"type": "transcription", "tools": []}}, "session.tools"),
        ({"session": {"model": ""}}, "session.model"),
        ({"expires_after": 60}, "expires_after"),
        ({"expires_after": {"anchor": "used_at"}}, "expires_after.anchor"),
        ({"expires_after": {"seconds": "60"}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": 1.5}}, "expires_after.seconds"),
        ({"single_use": 1}, "single_use"),
    ],
)
async def test_a_wrong_request_is_named_by_field(request_: dict[str, Any], field: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        await make()[0].mint(request_, OWNER)
    assert refused.value.field == field


async def test_too_many_living_secrets_are_refused_until_some_expire(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secrets, wall = make()
    monkeypatch.setattr(store, "MAX_SECRETS", 2)
    for _ in range(2):
        await secrets.mint({"expires_after": {"seconds": 10}}, OWNER)
    with pytest.raises(ProtocolError) as refused:
        await secrets.mint({}, OWNER)
    assert refused.value.code == "rate_limited"
    wall.now_s += 10
    assert await secrets.mint({}, OWNER)
