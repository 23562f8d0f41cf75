"""The list of attacks: each is a coroutine on real processes that answers the figure it saw."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.attacks.house import House


@dataclass(frozen=True, slots=True)
class Attack:
    """What is attempted (``title``), what must hold, and the coroutine that tries.

    ``house``: which processes it is done to. ``measured``: it takes long or loads the machine, and
    is run by ``make attacks`` alone.
    """

    title: str
    kind: str
    holds: str
    run: Callable[[House], Awaitable[str]]
    house: str = "guarded"
    measured: bool = False


ATTACKS: list[Attack] = []


def attack(
    kind: str, holds: str, *, house: str = "guarded", measured: bool = False
) -> Callable[[Callable[[House], Awaitable[str]]], Callable[[House], Awaitable[str]]]:
    """Enter a coroutine; its docstring's first line is the title. It fails by AssertionError."""

    def enter(run: Callable[[House], Awaitable[str]]) -> Callable[[House], Awaitable[str]]:
        title = (run.__doc__ or run.__name__).strip().splitlines()[0]
        ATTACKS.append(Attack(title, kind, holds, run, house, measured))
        return run

    return enter
