"""The browser's own rate conversion: true to the signal, and without seams."""

from __future__ import annotations

import pytest

from tests.penny.web.conftest import Visit


pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

MEASURE = """async ({from, to, hz}) => {
  const { Resampler } = await import("/web/resampler.js");
  const tone = Float32Array.from({length: from}, (_, n) => Math.sin(2 * Math.PI * hz * n / from));
  const whole = new Resampler(from, to).process(tone);
  const pieces = [];
  const parts = new Resampler(from, to);
  for (let at = 0, size = 1; at < from; at += size, size = size % 257 + 1) {
    pieces.push(...parts.process(tone.slice(at, at + size)));
  }
  let seams = 0;
  whole.forEach((sample, n) => { seams = Math.max(seams, Math.abs(sample - pieces[n])); });
  // What is left after the best sine of that frequency is taken out.
  const inner = whole.slice(to / 10, -to / 10);
  let c = 0, s = 0, energy = 0;
  inner.forEach((x, n) => {
    c += x * Math.cos(2 * Math.PI * hz * n / to);
    s += x * Math.sin(2 * Math.PI * hz * n / to);
    energy += x * x;
  });
  const signal = 2 * (c * c + s * s) / inner.length;
  return {length: whole.length, pieces: pieces.length, seams, energy: energy / inner.length,
          snr_db: 10 * Math.log10(signal / Math.max(1e-12, energy - signal))};
}"""

PAIRS = [(48_000, 24_000), (44_100, 24_000), (48_000, 16_000), (24_000, 48_000), (24_000, 44_100)]


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
async def test_tone_survives_and_chunks_leave_no_seams(
    visit: Visit, from_hz: int, to_hz: int
) -> None:
    result = await visit.page.evaluate(MEASURE, {"from": from_hz, "to": to_hz, "hz": 1000})

    assert result["snr_db"] > 70
    assert abs(result["energy"] - 0.5) < 0.005
    assert result["seams"] == 0
    assert result["length"] == result["pieces"]
    assert to_hz - 60 <= result["length"] <= to_hz


async def test_what_the_lower_rate_cannot_carry_is_gone(visit: Visit) -> None:
    result = await visit.page.evaluate(MEASURE, {"from": 48_000, "to": 16_000, "hz": 10_000})

    assert result["energy"] < 0.5e-6
