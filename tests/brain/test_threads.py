"""Words are analysed in the loop while searches run in threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from kb.normal.analysis import keys_of
from kb.normal.stems import key_of


pytestmark = pytest.mark.pure


def test_stems_are_the_same_however_many_threads_ask() -> None:
    words = [f"{stem}{ending}" for stem in STEMS for ending in ENDINGS]
    text = " ".join(words)
    key_of.cache_clear()
    alone = keys_of(text, "es")
    for _ in range(5):
        key_of.cache_clear()
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: keys_of(text, "es"), range(8)))
        assert all(each == alone for each in found)


STEMS = ("factur", "domicili", "contrat", "reclam", "suministr", "contador", "calcul", "observ")
ENDINGS = ("aciones", "ándoselo", "aremos", "amiento", "ísimamente", "adas", "ábamos", "ación")
