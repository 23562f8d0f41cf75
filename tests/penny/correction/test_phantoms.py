from __future__ import annotations

import pytest

from penny.correction.phantoms import is_phantom


pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    "text",
    [
        "Subtítulos realizados por la comunidad de Amara.org",
        "¡Suscríbete al canal!",
        "¡Suscríbete al canal! ¡Suscríbete al canal!",
        "Gracias por ver el vídeo. ¡Suscríbete al canal!",
        "Subtítols realitzats per la comunitat d'Amara.org.",
        "Legendas pela comunidade Amara.org",
        "Thanks for watching!",
    ],
)
def test_the_ends_of_films_were_not_said(text: str) -> None:
    assert is_phantom(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "...",
        "Gracias.",
        "Quiero suscribirme al canal de fútbol.",
        "Gracias por ver el vídeo. Quiero pagar mi factura.",
        "Thanks for watching my account so closely.",
        "Pon amara punto org.",
    ],
)
def test_what_a_caller_may_say_is_kept(text: str) -> None:
    assert not is_phantom(text)
