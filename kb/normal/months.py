"""Names of the months, written as in a sentence."""

from __future__ import annotations


_ES = "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"
_EN = "January February March April May June July August September October November December"

MONTHS = {"es": _ES.split(), "en": _EN.split()}
"""By language, January first."""
