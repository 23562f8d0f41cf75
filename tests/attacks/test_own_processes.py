"""Short attacks that start gateways of their own: spoilt, frozen, restarted, out of money."""

from __future__ import annotations

import pytest

from tests.attacks.attack import Attack
from tests.attacks.house import Street
from tests.attacks.listed import OWN_PROCESSES, name_of


pytestmark = pytest.mark.process


@pytest.mark.parametrize("attack", OWN_PROCESSES, ids=name_of)
def test_attack(street: Street, attack: Attack) -> None:
    assert street.call(attack.run(street.house(attack.house)))
