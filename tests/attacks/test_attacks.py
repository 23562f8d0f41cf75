"""Every short attack on the houses that all share. ``make attacks`` runs the long ones too."""

from __future__ import annotations

import pytest

from tests.attacks.attack import Attack
from tests.attacks.house import Street
from tests.attacks.listed import ATTACKS, SHARED, name_of


pytestmark = pytest.mark.process


@pytest.mark.parametrize("attack", SHARED, ids=name_of)
def test_attack(street: Street, attack: Attack) -> None:
    assert street.call(attack.run(street.house(attack.house)))


def test_at_least_sixty_are_listed_and_each_under_one_title() -> None:
    assert len(ATTACKS) >= 60
    assert len({attack.title for attack in ATTACKS}) == len(ATTACKS)
