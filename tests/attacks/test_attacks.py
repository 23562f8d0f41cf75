"""Every short attack of the list, on real processes. ``make attacks`` runs the long ones too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks.attack import Attack
from tests.attacks.house import Street
from tests.attacks.listed import ATTACKS


pytestmark = [pytest.mark.process, pytest.mark.xdist_group("attacks")]

SHORT = [attack for attack in ATTACKS if not attack.measured]


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    with Street(tmp_path_factory.mktemp("attacks")) as standing:
        yield standing


@pytest.mark.parametrize("attack", SHORT, ids=[each.run.__name__ for each in SHORT])
def test_attack(street: Street, attack: Attack) -> None:
    assert street.call(attack.run(street.house(attack.house)))


def test_at_least_sixty_are_listed_and_each_under_one_title() -> None:
    assert len(ATTACKS) >= 60
    assert len({attack.title for attack in ATTACKS}) == len(ATTACKS)
