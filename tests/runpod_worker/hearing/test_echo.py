from __future__ import annotations

import numpy as np
import pytest

from penny.audio.level import rms_dbfs
from penny.audio.resample import Resampler
from runpod_worker.hearing.agent_voice import AgentVoice
from runpod_worker.hearing.echo import EchoRemover
from tests.doubles.engines import tone
from tests.doubles.speech import silence, speak


pytestmark = pytest.mark.engines

ANSWER = "Su contrato incluye la línea de casa, la fibra y dos móviles con llamadas sin límite."
PIECE = 640


def to_16k(pcm24k: bytes) -> bytes:
    resampler = Resampler(24_000, 16_000)
    return resampler.process(pcm24k) + resampler.flush()


def hear(line: bytes, answer: bytes) -> tuple[bytes, EchoRemover]:
    agent = AgentVoice()
    agent.sent(0.0, answer)
    remover = EchoRemover(agent)
    pieces = [line[at : at + PIECE] for at in range(0, len(line), PIECE)]
    return b"".join(remover.process(p, 20.0 * i) for i, p in enumerate(pieces)), remover


def test_pennys_own_voice_on_the_line_is_taken_out() -> None:
    answer = speak(ANSWER)
    delayed = silence(220, 16_000) + to_16k(answer)
    line = (np.frombuffer(delayed, "<i2") * 0.2).astype("<i2").tobytes()

    heard, remover = hear(line, answer)

    assert remover.is_on
    assert rms_dbfs(heard[48_000:]) < rms_dbfs(line[48_000:]) - 20


def test_an_echo_is_suspected_before_it_is_sure() -> None:
    answer = speak(ANSWER)
    agent = AgentVoice()
    agent.sent(0.0, answer)
    remover = EchoRemover(agent)
    line = silence(40, 16_000) + to_16k(answer)
    states = []
    for at in range(0, len(line), PIECE):
        remover.process(line[at : at + PIECE], at / 32)
        states.append((remover.is_suspected, remover.is_on))

    first_sure = states.index((False, True))
    assert states[first_sure - 1] == (True, False)
    assert all(is_on for _, is_on in states[first_sure:])


def test_a_caller_on_a_line_without_echo_is_left_as_they_are() -> None:
    caller = to_16k(silence(700) + speak("Espere un momento, que no le oigo bien", voice="cedar"))
    caller = caller[: len(caller) // PIECE * PIECE]

    heard, remover = hear(caller, speak(ANSWER))

    assert not remover.is_on
    assert not remover.is_unsettled
    assert hear(caller[: PIECE * 30], speak(ANSWER))[1].is_unsettled, "0.6 s of Penny"
    assert heard == caller


@pytest.mark.parametrize("begins_ms", [0, 150, 300, 450, 600])
def test_a_beep_that_ends_while_the_caller_begins_is_no_echo(begins_ms: int) -> None:
    beeps = (tone(900, 0) + bytes(2 * 24_000)) * 3
    caller = to_16k(silence(600 + begins_ms) + speak("Perdone, quería otra cosa.", voice="cedar"))
    caller = caller[: len(caller) // PIECE * PIECE]

    heard, remover = hear(caller, beeps)

    assert not remover.is_on
    assert heard == caller
