"""What a private call's worker is told of its session."""

from __future__ import annotations

import pytest

from modes.self_hosted.mode import _session
from penny.session.mode import SessionSpec


pytestmark = pytest.mark.pure


@pytest.mark.parametrize("transcripts", [True, False])
def test_noise_is_reduced_where_that_is_wanted(transcripts: bool) -> None:
    spec = SessionSpec("s", "es", transcripts=transcripts)
    wanted = {"type": "far_field"}
    assert _session(spec, "semantic_vad", wanted)["audio"]["input"]["noise_reduction"] == wanted
    plain = _session(spec, "semantic_vad", None)
    assert "noise_reduction" not in plain.get("audio", {}).get("input", {})
