"""Sixty identifiers misheard in one place, and those that are wrong in another way.

Values are made here by the published rules; misheard is what people mishear: seis, tres,
siete; be, de, pe; eme, ene.
"""

from __future__ import annotations

import random

import pytest

from penny.correction.identifiers import check_identifier


pytestmark = pytest.mark.pure

MISHEARD = {"6": "7", "7": "6", "3": "6", "B": "D", "P": "T", "N": "M", "S": "F", "D": "P"}


def make_dni(number: int) -> str:
    return f"{number:08}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


def make_nie(number: int) -> str:
    return f"Y{number:07}{make_dni(10_000_000 + number)[-1]}"


def make_iban(bank: int, account: int) -> str:
    """A Spanish account: two check digits within, two in front."""
    office = f"{bank:08}"
    number = f"{account:010}"
    weights = (1, 2, 4, 8, 5, 10, 9, 7, 3, 6)

    def control(digits: str) -> str:
        left = 11 - sum(int(d) * w for d, w in zip(digits, weights, strict=True)) % 11
        return str({10: 1, 11: 0}.get(left, left))

    rest = office + control(f"00{office}") + control(number) + number
    return f"ES{98 - int(rest + '142800') % 97:02}{rest}"


def make_card(number: int) -> str:
    digits = [int(each) for each in f"{number:015}"]
    doubled = [sum(divmod(each * 2, 10)) if at % 2 == 0 else each for at, each in enumerate(digits)]
    return f"{number:015}{-sum(doubled) % 10}"


def cases() -> list[tuple[str, str, str, int]]:
    """(kind, as it is, as it was heard, where): fifteen of each kind."""
    chance = random.Random(7)
    made = []
    for kind, make in (
        ("dni", lambda: make_dni(chance.randrange(10**8))),
        ("nie", lambda: make_nie(chance.randrange(10**7))),
        ("iban", lambda: make_iban(chance.randrange(10**8), chance.randrange(10**10))),
        ("card-number", lambda: make_card(4 * 10**14 + chance.randrange(10**14))),
    ):
        count = 0
        while count < 15:
            value = make()
            places = [at for at, each in enumerate(value) if each in MISHEARD and at > 1]
            if not places:
                continue
            at = chance.choice(places)
            made.append((kind, value, value[:at] + MISHEARD[value[at]] + value[at + 1 :], at + 1))
            count += 1
    return made


@pytest.mark.parametrize(("kind", "value", "heard", "where"), cases())
def test_what_was_misheard_is_proposed_or_asked_for_and_never_mended(
    kind: str, value: str, heard: str, where: int
) -> None:
    assert check_identifier(kind, value).is_valid
    checked = check_identifier(kind, heard)
    assert (checked.is_valid, checked.value) == (False, heard)
    assert where in checked.doubtful
    assert checked.proposal in ("", value)
    assert bool(checked.proposal) == (len(checked.doubtful) == 1)


def test_most_are_proposed_whole() -> None:
    whole = [bool(check_identifier(kind, heard).proposal) for kind, _, heard, _ in cases()]
    assert sum(whole) >= 30


def test_what_one_slip_does_not_explain_is_said_again_whole() -> None:
    checked = check_identifier("dni", "12345678A")
    assert (checked.is_valid, checked.proposal, checked.doubtful) == (False, "", ())


@pytest.mark.parametrize(
    ("kind", "said", "short", "long"),
    [
        ("dni", "1234567Z", 1, 0),
        ("nie", "X12345678L", 0, 1),
        ("iban", "ES91 2100 0418 4502", 8, 0),
        ("iban", "DE89 3704", 0, 0),
        ("card-number", "4111", 0, 0),
        ("postal-code-es", "2800", 1, 0),
        ("postal-code-es", "99001", 0, 0),
    ],
)
def test_lengths(kind: str, said: str, short: int, long: int) -> None:
    checked = check_identifier(kind, said)
    assert (checked.is_valid, checked.too_short, checked.too_long) == (False, short, long)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("dni", "12.345.678-z"),
        ("iban", "es91 2100 0418 4502 0005 1332"),
        ("iban", "DE89 3704 0044 0532 0130 00"),
        ("card-number", "4111 1111-1111 1111"),
        ("postal-code-es", "28 001"),
    ],
)
def test_how_it_is_written_does_not_matter(kind: str, said: str) -> None:
    assert check_identifier(kind, said).is_valid
