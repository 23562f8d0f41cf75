from __future__ import annotations

from datetime import date

import pytest

from kb.passage import Language
from runpod_worker.engines.opening_hours import Day, asked_day, named_days


pytestmark = pytest.mark.pure


FRIDAY = date(2026, 11, 27)


@pytest.mark.parametrize(
    ("question", "language", "day"),
    [
        ("¿A qué hora abrís mañana?", "es", Day(5, 1)),
        ("¿Y pasado mañana?", "es", Day(6, 2)),
        ("¿Abrís por la mañana?", "es", None),
        ("¿Abrís mañana por la mañana?", "es", Day(5, 1)),
        ("¿Abrís los sábados por la mañana?", "es", Day(5)),
        ("¿Estáis abiertos ahora?", "es", Day(4, 0)),
        ("¿Y esta tarde?", "es", Day(4, 0)),
        ("¿Abren el miércoles?", "es", Day(2)),
        ("¿Trabajáis los fines de semana?", "es", Day(5)),
        ("What time do you open the day after tomorrow?", "en", Day(6, 2)),
        ("Are you open on Sundays?", "en", Day(6)),
        ("Are you open in the morning?", "en", None),
    ],
)
def test_the_day_that_is_asked(question: str, language: Language, day: Day | None) -> None:
    assert asked_day(question, language, FRIDAY) == day


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("Atendemos de lunes a viernes de ocho a ocho.", {0, 1, 2, 3, 4}),
        ("Los sábados abre solo una oficina.", {5}),
        ("martes y jueves, de diez a una", {1, 3}),
        ("de viernes a lunes", {4, 5, 6, 0}),
        ("Our phone line is open Monday to Friday. On Saturdays one office opens.", set(range(6))),
        ("Las oficinas abren de nueve a dos.", set()),
    ],
)
def test_the_days_that_a_passage_names(text: str, days: set[int]) -> None:
    assert named_days(text) == days
