"""PennyClient in a real browser against a server that speaks the protocol."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from penny.protocol.conversation import (
    AudioDone,
    Interruption,
    SpeechStarted,
    SpeechStopped,
    TextInput,
    TranscriptHeard,
)
from penny.protocol.error import SessionError
from penny.protocol.metering import TurnMetrics
from penny.protocol.session import SessionEnded
from tests.doubles.chromium import VOICE_HZ
from tests.penny.web.conftest import VOICE_MS, Visit


pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

OPEN = """async ({ options = {}, secrets = null, ...wishes }) => {
  const { PennyClient } = await import("/web/client.js");
  if (secrets) {
    options.clientSecret = async () => secrets.shift() ?? Promise.reject(new Error("no secret"));
  }
  const penny = new PennyClient(options);
  Object.assign(window, { penny, seen: [], played: [], closings: [], returns: [] });
  penny.addEventListener("message", ({ detail }) => seen.push(detail));
  penny.addEventListener("reconnected", ({ detail }) => returns.push(detail));
  penny.addEventListener("played", ({ detail }) => played.push(detail));
  penny.addEventListener("closed", ({ detail }) => closings.push(detail));
  try {
    return await penny.start(wishes);
  } catch (error) {
    return { name: error.name, code: error.code, message: error.message };
  }
}"""


async def open_session(visit: Visit, **wishes: Any) -> dict[str, Any]:
    result: dict[str, Any] = await visit.page.evaluate(OPEN, wishes)
    return result


async def test_session_start_carries_the_wishes_and_the_audio_format(visit: Visit) -> None:
    session = await open_session(
        visit, microphone=False, mode="SELF_HOSTED", language="es", context={"user_id": "u1"}
    )

    (start,) = visit.penny.starts
    assert start.mode == "SELF_HOSTED"
    assert start.context.user_id == "u1"
    assert start.audio.agree().input.rate_hz == 24_000
    assert start.ignored == ()
    assert session["session_id"] == "sess_1"


@pytest.mark.parametrize("rate_hz", [16_000, 24_000])
async def test_microphone_arrives_in_real_time_at_the_agreed_rate(
    visit: Visit, rate_hz: int
) -> None:
    await open_session(visit, rateHz=rate_hz)
    await visit.until(lambda: visit.penny.events(SpeechStopped))

    (started,), (stopped,) = (
        visit.penny.events(kind)[:1] for kind in (SpeechStarted, SpeechStopped)
    )
    assert abs((stopped.at_ms - started.at_ms) - VOICE_MS) < 250
    pcm = np.frombuffer(bytes(visit.penny.audio), dtype="<i2") / 32768
    middle_ms = (started.at_ms + stopped.at_ms) / 2
    loud = pcm[int((middle_ms - 100) * rate_hz / 1000) : int((middle_ms + 100) * rate_hz / 1000)]
    assert abs(pitch_of(loud, rate_hz) - VOICE_HZ) < 0.2 * VOICE_HZ


def pitch_of(samples: np.ndarray, rate_hz: int) -> float:
    """The frequency at which the samples repeat, between 80 and 400 Hz."""
    likeness = np.correlate(samples, samples, "full")[len(samples) - 1 :]
    shortest = rate_hz // 400
    return rate_hz / (shortest + int(np.argmax(likeness[shortest : rate_hz // 80])))


async def test_answer_is_played_and_reported_to_its_end(visit: Visit) -> None:
    visit.penny.answer_ms = 1000
    await open_session(visit, microphone=False)
    await visit.page.evaluate("penny.sendText('Hola')")
    await visit.until(lambda: visit.penny.events(TranscriptHeard))

    (heard,) = visit.penny.events(TranscriptHeard)
    assert abs(heard.heard_ms - visit.penny.answer_ms) <= 20
    reports = visit.penny.reports(heard.item_id)
    positions = [report.played_ms for report in reports]
    assert len(reports) >= 4
    assert positions == sorted(positions)
    assert [report.ended for report in reports] == [False] * (len(reports) - 1) + [True]
    loud = [sample["at"] for sample in await visit.heard() if sample["level"] > 0.05]
    assert abs((loud[-1] - loud[0]) - visit.penny.answer_ms) < 250


async def test_speaking_over_penny_flushes_playback_and_reports_what_was_heard(
    visit: Visit,
) -> None:
    visit.penny.answer_ms = 8000
    await open_session(visit)
    await visit.until(lambda: visit.penny.events(Interruption))
    (interruption,) = visit.penny.events(Interruption)
    item_id = str(interruption.item_id)
    await visit.until(lambda: visit.penny.reports(item_id)[-1].ended)

    last = visit.penny.reports(item_id)[-1]
    assert 0 < interruption.heard_ms <= last.played_ms < visit.penny.answer_ms
    dropped = await visit.page.evaluate("played.at(-1)")
    assert dropped == {
        "item_id": item_id,
        "played_ms": last.played_ms,
        "ended": True,
        "dropped": True,
    }


async def test_button_silences_the_loudspeaker_before_the_server_answers(visit: Visit) -> None:
    visit.penny.answer_ms = 30_000
    await open_session(visit, microphone=False)
    await visit.page.evaluate("penny.sendText('Hola')")
    await visit.page.wait_for_function(
        "() => window.heard.filter((x) => x.level > 0.05).length > 20"
    )
    visit.penny.deaf = True
    await visit.page.evaluate("(penny.interrupt(), heard.splice(0))")
    await visit.page.wait_for_function(
        "() => heard.length > 40 && heard.slice(-30).every((x) => x.level < 0.01)"
    )

    assert visit.penny.events(Interruption) == []
    assert visit.penny.events(AudioDone) == []


async def test_cut_connection_is_reported_and_the_client_can_call_again(visit: Visit) -> None:
    await open_session(visit, microphone=False, options={"reconnectMs": 0})
    visit.penny.drop()
    await visit.page.wait_for_function("() => closings.length > 0")

    (closed,) = await visit.page.evaluate("closings")
    assert closed["expected"] is False
    assert closed["code"] == 1006
    assert await visit.page.evaluate("penny.state") == "closed"
    again = await visit.page.evaluate("penny.start({microphone: false})")
    assert again["type"] == "session_started"
    assert len(visit.penny.starts) == 2


async def test_cut_session_is_resumed_with_its_token_and_its_playback(visit: Visit) -> None:
    visit.penny.answer_ms = 2500  # heard for longer than the page takes to notice
    visit.penny.resumable = True
    await open_session(visit, microphone=False)
    await visit.page.evaluate("penny.sendText('Hola')")
    await visit.until(lambda: visit.penny.events(TurnMetrics))
    await visit.page.wait_for_function("() => seen.some((e) => e.type === 'turn_metrics')")
    visit.penny.refusals = 2
    visit.penny.drop()
    await visit.page.wait_for_function("() => returns.length > 0")

    (back,) = await visit.page.evaluate("returns")
    assert back["resumed"] is True
    assert back["attempt"] == 3
    (resume,) = visit.penny.resumes
    assert resume.resume_token == "token_1"
    assert resume.received == len(visit.penny.sent) + visit.penny.audio_messages
    assert len(visit.penny.starts) == 1
    # What was buffered is heard out, and Penny learns of it although the line was down.
    await visit.until(lambda: any(report.ended for report in visit.penny.reports("item_turn_1")))
    last = visit.penny.reports("item_turn_1")[-1]
    assert abs(last.played_ms - visit.penny.answer_ms) <= 20
    assert await visit.page.evaluate("closings") == []


async def test_what_a_dying_line_swallowed_arrives_once_when_it_is_back(visit: Visit) -> None:
    visit.penny.resumable = True
    await open_session(visit, microphone=False)
    await visit.page.evaluate("penny.sendText('Primera')")
    await visit.until(lambda: visit.penny.events(TranscriptHeard))
    await visit.page.evaluate("penny.sendText('Segunda')")
    await visit.until(lambda: visit.penny.events(TurnMetrics)[1:])
    visit.penny.deaf = True  # before the answer is heard out, and before the page knows anything
    await visit.page.wait_for_function("() => played.filter((p) => p.ended).length === 2")
    await visit.page.evaluate("penny.sendText('Tercera')")
    visit.penny.drop()
    await visit.page.wait_for_function("() => penny.state === 'reconnecting'")
    await visit.page.evaluate("penny.sendText('Cuarta')")
    await visit.until(lambda: TextInput(text="Cuarta") in visit.penny.messages)

    assert [m.text for m in visit.penny.messages if isinstance(m, TextInput)] == [
        "Primera",
        "Segunda",
        "Tercera",
        "Cuarta",
    ]
    for item_id in ("item_turn_1", "item_turn_2"):
        assert [r.ended for r in visit.penny.reports(item_id)].count(True) == 1
        assert visit.penny.reports(item_id)[-1].ended


async def test_hanging_up_on_a_dying_line_does_not_call_again(visit: Visit) -> None:
    visit.penny.resumable = True
    await open_session(visit, microphone=False)
    visit.penny.deaf = True
    await visit.page.evaluate("void penny.end()")
    visit.penny.drop()
    await visit.page.wait_for_function("() => closings.length > 0")

    (closed,) = await visit.page.evaluate("closings")
    assert closed["expected"] is True
    assert visit.penny.resumes == []


async def test_session_that_is_gone_is_replaced_by_a_new_one_without_a_greeting(
    visit: Visit,
) -> None:
    visit.penny.resumable = True
    await open_session(visit, microphone=False, mode="SELF_HOSTED")
    visit.penny.resumable = False
    visit.penny.drop()
    await visit.page.wait_for_function("() => returns.length > 0")

    (back,) = await visit.page.evaluate("returns")
    assert back["resumed"] is False
    assert len(visit.penny.resumes) == 1
    first, anew = visit.penny.starts
    assert anew.greeting == ""
    assert anew.mode == first.mode
    assert await visit.page.evaluate("penny.state") == "open"


async def test_hanging_up_ends_the_attempts_to_reconnect(visit: Visit) -> None:
    await open_session(visit, microphone=False)
    visit.penny.refusals = 1000
    visit.penny.drop()
    await visit.page.wait_for_function("() => penny.state === 'reconnecting'")
    await visit.page.evaluate("penny.end()")

    (closed,) = await visit.page.evaluate("closings")
    assert closed["expected"] is True
    assert await visit.page.evaluate("penny.state") == "closed"


async def test_patience_ends_and_the_loss_is_told(visit: Visit) -> None:
    await open_session(visit, microphone=False, options={"reconnectMs": 300})
    visit.penny.refusals = 1000
    visit.penny.drop()
    await visit.page.wait_for_function("() => closings.length > 0")

    (closed,) = await visit.page.evaluate("closings")
    assert closed["expected"] is False
    assert await visit.page.evaluate("returns") == []


async def test_client_secret_is_fetched_anew_for_each_connection(visit: Visit) -> None:
    await open_session(visit, microphone=False, secrets=["ek_1", "ek_2"])
    assert visit.penny.protocols == ["penny", "penny-key.ek_1"]
    visit.penny.drop()
    await visit.page.wait_for_function("() => returns.length > 0")

    assert visit.penny.protocols == ["penny", "penny-key.ek_2"]


async def test_failing_secret_is_told_as_a_failed_start(visit: Visit) -> None:
    refused = await open_session(visit, microphone=False, secrets=[None])

    assert refused["code"] == "secret_failed"
    assert visit.penny.starts == []


async def test_dry_buffer_is_told_and_the_answer_is_heard_to_its_end(visit: Visit) -> None:
    visit.penny.answer_ms = 800
    visit.penny.stall_ms = 500
    await open_session(visit, microphone=False)
    await visit.page.evaluate(
        "penny.addEventListener('underrun', ({ detail }) => (window.dry = detail))"
    )
    await visit.page.evaluate("penny.sendText('Hola')")
    await visit.until(lambda: visit.penny.events(TranscriptHeard))

    assert await visit.page.evaluate("dry") == {"item_id": "item_turn_1"}
    (heard,) = visit.penny.events(TranscriptHeard)
    assert abs(heard.heard_ms - visit.penny.answer_ms) <= 20


async def test_refused_start_rejects_with_code_and_remedy(visit: Visit) -> None:
    visit.penny.refuse = SessionError(
        code="mode_unavailable",
        message="mode: EXTERNAL cannot talk now: OPENAI_API_KEY is not set",
        retryable=False,
        field="mode",
    )
    refused = await open_session(visit, microphone=False, mode="EXTERNAL")

    assert refused["name"] == "PennyError"
    assert refused["code"] == "mode_unavailable"
    assert "OPENAI_API_KEY" in refused["message"]
    assert await visit.page.evaluate("penny.state") == "closed"


async def test_end_says_goodbye_and_waits_for_the_totals(visit: Visit) -> None:
    await open_session(visit, microphone=False)
    await visit.page.evaluate("penny.end()")

    assert visit.penny.events(SessionEnded)[0].reason == "client_ended"
    assert await visit.page.evaluate("seen.at(-1).type") == "session_ended"
    (closed,) = await visit.page.evaluate("closings")
    assert closed["expected"] is True


async def test_muted_microphone_goes_on_as_silence(visit: Visit) -> None:
    await visit.page.evaluate(OPEN, {"microphone": False})
    await visit.page.evaluate("penny.end()")
    await visit.page.evaluate("penny.muted = true")
    await visit.page.evaluate("penny.start({})")
    await visit.until(lambda: len(visit.penny.audio) >= 24_000 * 2)

    pcm = np.frombuffer(bytes(visit.penny.audio), dtype="<i2")
    assert int(np.abs(pcm).max()) == 0


async def test_typed_text_arrives_as_it_was_written(visit: Visit) -> None:
    await open_session(visit, microphone=False)
    await visit.page.evaluate("penny.sendText('¿Cuánto debo? «€»')")
    await visit.until(lambda: any(isinstance(m, TextInput) for m in visit.penny.messages))

    assert TextInput(text="¿Cuánto debo? «€»") in visit.penny.messages


KEEP_CONTEXTS = """() => {
  window.contexts = [];
  window.AudioContext = class extends AudioContext {
    constructor(...facts) {
      super(...facts);
      window.contexts.push(this);
    }
  };
}"""
STOP_SOUND = """async () => {
  const [context] = contexts;
  window.sounds = [];
  penny.addEventListener("sound", ({ detail }) => sounds.push(detail.on));
  // As on a phone: the device takes the sound, and gives none back without a gesture.
  const resume = context.resume;
  context.resume = () => Promise.resolve();
  await context.suspend();
  while (sounds.length < 1) await new Promise((done) => setTimeout(done, 10));
  context.resume = resume;
}"""


@pytest.mark.parametrize("gesture", ["click", "key", "seen"])
async def test_sound_that_the_device_took_is_asked_for_again(visit: Visit, gesture: str) -> None:
    page = visit.page
    await page.evaluate(KEEP_CONTEXTS)
    await open_session(visit, microphone=False)
    await page.evaluate(STOP_SOUND)
    assert await page.evaluate("[sounds, contexts[0].state]") == [[False], "suspended"]
    if gesture == "click":
        await page.mouse.click(3, 3)
    elif gesture == "key":
        await page.keyboard.press("Shift")
    else:
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await page.wait_for_function("() => sounds.at(-1) === true && contexts[0].state === 'running'")
    await page.evaluate("penny.end()")
    assert await page.evaluate("sounds") == [False, True]
