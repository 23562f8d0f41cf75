"""Where a note goes: ``auto`` takes the cheaper way, by price table and measured usage."""

from __future__ import annotations

from pathlib import Path

import pytest

from brain.folio import Folio
from config.prices import PRICES
from modes.external.placing import Placer
from tests.bench.placement_cost import SimulatedCall, make_table, speaker_usd


pytestmark = pytest.mark.pure


FLAGSHIP = PRICES["gpt-realtime-2.1"]


def folio(section: str = "folio") -> Folio:
    return Folio("f", section, "silent", "x" * 700, 1)  # type: ignore[arg-type]


def usage(text: int, audio: int, cached: int) -> dict[str, object]:
    heard = {"text_tokens": text, "audio_tokens": audio, "cached_tokens": cached}
    return {"input_token_details": heard, "output_token_details": {"audio_tokens": 150}}


def test_with_a_cache_a_rewrite_reads_the_history_again_and_a_note_does_not() -> None:
    placer = Placer("auto", FLAGSHIP)
    placer.measure(usage(1500, 2000, 0))
    placer.measure(usage(1500, 2300, 3500))
    assert placer(folio(), ()) == "append"
    append_usd, rewrite_usd = placer.estimate(folio(), ())
    assert rewrite_usd > 1.9 * append_usd


def test_without_a_cache_the_instructions_save_the_message_around_the_note() -> None:
    placer = Placer("auto", FLAGSHIP)
    for _ in range(30):
        placer.measure(usage(1500, 2000, 0))
    assert placer.cached_share < 1e-6
    assert placer(folio(), ()) == "rewrite"


def test_facts_of_one_answer_never_cost_the_instructions() -> None:
    placer = Placer("rewrite", FLAGSHIP)
    assert placer(folio("facts"), ()) == "append"
    assert placer(folio(), ()) == "rewrite"


@pytest.mark.parametrize("caches", [True, False])
def test_auto_costs_a_whole_call_no_more_than_the_cheaper_of_both(caches: bool) -> None:
    call = SimulatedCall(caches=caches)
    append, rewrite = (speaker_usd(p, FLAGSHIP, call) for p in ("append", "rewrite"))
    assert (append < rewrite) is caches, "each is the cheaper somewhere"
    assert speaker_usd("auto", FLAGSHIP, call) <= min(append, rewrite) * 1.001


def test_the_table_of_the_readme_is_what_the_code_does() -> None:
    readme = Path(__file__).parents[3] / "modes/external/README.md"
    assert make_table() in readme.read_text(encoding="utf-8")
