"""What an attempt to sign in is bound to, and whose groups decide (tokens: tests/attacks)."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from config.sign_in import GroupSection, OpenIdSection
from penny.trust.openid import Attempt, SignInRefused, check_answer, find_group, person_id


pytestmark = pytest.mark.pure

ISSUER = "https://id.example"
SECTION = OpenIdSection(
    issuer=ISSUER,
    client_id="penny",
    redirect_url="https://penny.example/v1/sign-in/openid/back",
    groups={
        "heads": GroupSection(role="admin", tenant="acme"),
        "all": GroupSection(role="operator", tenant="bolt"),
    },
)


def test_an_attempts_three_secrets_are_one_browsers_and_tell_nothing_of_each_other() -> None:
    one, other = Attempt.begin(), Attempt.begin()
    told = [one.state, one.nonce, one.verifier, one.secret, other.state, other.nonce]
    assert len(set(told)) == len(told)
    digest = hashlib.sha256(one.verifier.encode()).digest()
    assert one.challenge == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert 43 <= len(one.verifier) <= 128  # RFC 7636, 4.1


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({}, None),
        ({"iss": None}, None),  # a provider that does not know RFC 9207
        ({"state": "another"}, "state"),
        ({"state": "contraseña"}, "state"),
        ({"state": None}, "state"),
        ({"iss": "https://evil.example"}, "iss"),
        ({"error": "access_denied"}, "error"),
        ({"code": ""}, "code"),
    ],
)
def test_an_answer_is_taken_from_the_right_provider_for_this_browser(
    changed: dict[str, Any], field: str | None
) -> None:
    attempt = Attempt("secret")
    query = {"state": attempt.state, "code": "abc", "iss": ISSUER, **changed}
    query = {name: value for name, value in query.items() if value is not None}
    if field is None:
        assert check_answer(query, attempt, ISSUER) == "abc"
        return
    with pytest.raises(SignInRefused) as refused:
        check_answer(query, attempt, ISSUER)
    assert refused.value.field == field


def test_an_answer_without_the_browsers_cookie_is_refused() -> None:
    with pytest.raises(SignInRefused, match="another browser"):
        check_answer({"state": Attempt("").state, "code": "abc"}, None, ISSUER)


@pytest.mark.parametrize(
    ("told", "name"),
    [
        (["all", "heads"], "heads"),  # in the order of the file, not of the token
        (["x", "all"], "all"),
        ("all", "all"),
        (["x"], None),
        ([["heads"]], None),
        (["heads"] * 2_000, None),
        (None, None),
        (7, None),
    ],
)
def test_the_first_group_of_the_file_that_a_person_is_in_decides(
    told: object, name: str | None
) -> None:
    if name is not None:
        assert find_group({"groups": told}, SECTION) == (name, SECTION.groups[name])
        return
    with pytest.raises(SignInRefused) as refused:
        find_group({"groups": told}, SECTION)
    assert refused.value.code == "no_group"


def test_a_person_keeps_an_id_that_tells_nothing_of_them() -> None:
    ana = person_id({"iss": ISSUER, "sub": "ana@acme.example"})
    assert ana == person_id({"iss": ISSUER, "sub": "ana@acme.example"})
    assert ana != person_id({"iss": "https://other.example", "sub": "ana@acme.example"})
    assert "ana" not in ana
