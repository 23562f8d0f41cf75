"""Short attacks by one caller under whom the gateway's memory is watched."""

from __future__ import annotations

import pytest

from tests.attacks.attack import Attack
from tests.attacks.house import Street
from tests.attacks.listed import WATCHED, name_of


pytestmark = pytest.mark.process


@pytest.mark.parametrize("attack", WATCHED, ids=name_of)
def test_attack(street: Street, attack: Attack) -> None:
    assert street.call(attack.run(street.house(attack.house)))
