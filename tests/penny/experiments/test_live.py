"""Arms as sessions open: who takes part, what is changed and kept, and the end of a harmful one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from config.experiments import ExperimentSection
from penny.calls.record import Exposure
from penny.calls.store import CallStore
from penny.cli.main import main
from penny.errors import ModeUnavailable
from penny.experiments.live import MOST_OPENING, Experiments
from penny.experiments.store import ExperimentStore
from penny.session.broker import Broker, BrokerSettings
from penny.session.mode import Availability, SessionSpec
from penny.session.session import SessionLimits
from tests.doubles.parties import ScriptedMode
from tests.penny.calls.calls import a_call


pytestmark = pytest.mark.process  # a database in a file

Json = dict[str, Any]
PROMPT = "Eres Penny."
MODES = {
    "metric": "latency",
    "arms": {"quick": {"mode": "EXTERNAL"}, "own": {"mode": "SELF_HOSTED"}},
}
VOICES = {"metric": "resolution", "min_n": 30, "arms": {"control": {}, "warm": {"voice": "marin"}}}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[CallStore]:
    store = CallStore(f"sqlite:///{tmp_path / 'calls.sqlite'}")
    await store.start()
    yield store
    await store.aclose()


def a_broker(external: Availability | None = None) -> Broker:
    modes = {name: ScriptedMode(name) for name in ("SELF_HOSTED", "EXTERNAL")}
    if external is not None:
        modes["EXTERNAL"] = ScriptedMode("EXTERNAL", external)
    limits = SessionLimits(max_s=600, idle_s=60)
    settings = BrokerSettings("SELF_HOSTED", False, 10, limits)
    return Broker(modes, settings, (), asyncio.get_running_loop().time)


def running(store: CallStore, **experiments: Json) -> Experiments:
    made = {name: ExperimentSection.model_validate(each) for name, each in experiments.items()}
    return Experiments(made, ExperimentStore(store.database), lambda: 1_796_000_000.0, PROMPT)


def a_spec(number: int, **more: Any) -> SessionSpec:
    context = {"caller": f"+3460000{number:04}"}
    fields = {"session_id": f"sess_{number}", "language": "es", "instructions": PROMPT}
    return SessionSpec(**{**fields, "context": context, **more})


async def test_a_caller_keeps_an_arm_and_what_took_effect_is_told_once(store: CallStore) -> None:
    broker, live = a_broker(), running(store, voz=VOICES)
    await live.start(broker)
    voices = set()
    for number in range(40):
        specs = [a_spec(number), a_spec(number, session_id=f"again_{number}")]
        opened = [broker.arrange(broker.modes["EXTERNAL"], spec) for spec in specs]
        assert opened[0].voice == opened[1].voice
        voices.add(opened[0].voice)
        told = [live.take(spec.session_id) for spec in specs]
        assert told[0] == told[1]
        assert told[0]["voz"]["arm"] == ("warm" if opened[0].voice else "control")
        assert live.take(specs[0].session_id) == {}
    assert voices == {"", "marin"}
    await live.aclose()


async def test_a_callers_own_wish_is_never_overruled_nor_counted(store: CallStore) -> None:
    prompts = {"metric": "escalation", "arms": {"a": {}, "b": {"instructions": "Sé breve."}}}
    live = running(store, voz=VOICES, texto=prompts)
    broker = a_broker()
    await live.start(broker)
    for wish in (
        {"voice": "alloy", "instructions": "Otra."},
        {"session": {"audio": {"output": {"voice": "alloy"}}, "instructions": "Otra."}},
        {"session": {"type": "transcription"}},
    ):
        for number in range(20):
            spec = a_spec(number, **wish)
            assert broker.arrange(broker.modes["EXTERNAL"], spec) == spec
            assert live.take(spec.session_id) == {}
    await live.aclose()


async def test_a_mode_is_chosen_for_who_named_none_and_may_have_every_arm(store: CallStore) -> None:
    broker, live = a_broker(), running(store, modo=MODES)
    await live.start(broker)
    chosen = {broker.choose(None, a_spec(number)).name for number in range(40)}
    assert chosen == {"SELF_HOSTED", "EXTERNAL"}
    assert live.take("sess_1")["modo"]["arm"] in ("quick", "own")
    assert live.take("sess_99") == {}
    assert broker.choose("SELF_HOSTED", a_spec(50)).name == "SELF_HOSTED"
    assert live.take("sess_50") == {}

    def only_private(name: str) -> None:
        if name == "EXTERNAL":
            raise ModeUnavailable("not for this key")

    modes = {
        broker.choose(None, a_spec(n, session_id=f"x{n}"), only_private).name for n in range(40)
    }
    assert modes == {"SELF_HOSTED"}
    assert live.take("x1") == {}
    await live.aclose()
    away, live = a_broker(Availability(False, "no key", "set it")), running(store, modo=MODES)
    await live.start(away)
    assert {away.choose(None, a_spec(n)).name for n in range(40)} == {"SELF_HOSTED"}
    await live.aclose()


async def test_what_only_external_knows_changes_no_private_session(store: CallStore) -> None:
    models = {"metric": "cost", "arms": {"a": {"model": "gpt-realtime"}, "b": {"model": "mini"}}}
    broker, live = a_broker(), running(store, modelo=models)
    await live.start(broker)
    assert broker.arrange(broker.modes["SELF_HOSTED"], a_spec(1)) == a_spec(1)
    models_given = {
        broker.arrange(broker.modes["EXTERNAL"], a_spec(n)).portavoz["model"] for n in range(40)
    }
    assert models_given == {"gpt-realtime", "mini"}
    await live.aclose()


async def test_sessions_that_never_begin_are_forgotten(store: CallStore) -> None:
    broker, live = a_broker(), running(store, voz=VOICES)
    await live.start(broker)
    for number in range(MOST_OPENING + 1):
        broker.arrange(broker.modes["EXTERNAL"], a_spec(number))
    assert live.take("sess_0") == {}
    assert live.take("sess_1") != {}
    await live.aclose()


async def keep(store: CallStore, arm: str, number: int, outcome: str, phase: str) -> None:
    call = a_call(number, id=f"sess_{arm}_{number}")
    call.experiments = {"voz": Exposure(arm=arm, phase=phase, unit=f"{arm}{number}")}
    call.metrics |= {"outcome": outcome}
    await store.put(call)


async def test_another_weight_moves_nobody_who_has_an_arm_and_counts_the_others_alone(
    store: CallStore,
) -> None:
    async def met(live: Experiments, numbers: range) -> dict[int, Json]:
        broker = a_broker()
        await live.start(broker)
        for number in numbers:
            broker.arrange(broker.modes["EXTERNAL"], a_spec(number))
        given = {number: live.take(f"sess_{number}")["voz"] for number in numbers}
        await live.aclose()
        return given

    first = running(store, voz=VOICES)
    before = await met(first, range(60))
    for number, exposed in before.items():
        call = a_call(number, id=f"sess_{number}")
        call.experiments = {"voz": Exposure.model_validate(exposed)}
        await store.put(call)
    arms = {"control": {"weight": 1}, "warm": {"voice": "marin", "weight": 1000}}
    later = {**VOICES, "arms": arms}

    after = await met(running(store, voz=later), range(120))

    assert {after[n]["arm"] == before[n]["arm"] and after[n]["kept"] for n in before} == {True}
    assert {after[n]["arm"] for n in range(60, 120)} == {"warm"}
    assert not any("kept" in after[n] for n in range(60, 120))
    assert {each["phase"] for each in after.values()}.isdisjoint({before[0]["phase"]})
    for number, exposed in after.items():
        call = a_call(number, id=f"later_{number}")
        call.experiments = {"voz": Exposure.model_validate(exposed)}
        await store.put(call)
    experiment = ExperimentSection.model_validate(later)
    result = await first.store.result("voz", experiment)
    warm = [n for n in before if before[n]["arm"] == "warm"]
    assert 10 < len(warm) < 50
    assert result["kept"] == 60 - len(warm)
    assert [arm["units"] for arm in result["arms"]] == [0, 60 + len(warm)]
    assert result["warnings"] == []

    await first.store.stop("voz", ExperimentSection.model_validate(VOICES).phase, "harm", 1)
    anew = await met(running(store, voz={**later, "min_n": 31, "metric": "cost"}), range(60))
    assert all("kept" in anew[n] for n in range(60)), "of the phase between"


async def test_a_harmful_arm_ends_the_experiment_everywhere_and_for_good(
    store: CallStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broker, live = a_broker(), running(store, voz=VOICES)
    await live.start(broker)
    phase = ExperimentSection.model_validate(VOICES).phase
    for number in range(60):
        await keep(store, "control", number, "resolved", phase)
        await keep(store, "warm", number, "resolved" if number % 4 == 0 else "abandoned", phase)
    await keep(store, "warm", 999, "abandoned", "another phase")
    assert broker.arrange(broker.modes["EXTERNAL"], a_spec(1)) is not None
    assert live.take("sess_1") != {}
    await live.look()
    broker.arrange(broker.modes["EXTERNAL"], a_spec(2))
    assert live.take("sess_2") == {}
    other, second = a_broker(), running(store, voz=VOICES)
    await second.start(other)
    other.arrange(other.modes["EXTERNAL"], a_spec(3))
    assert second.take("sess_3") == {}
    ((name, stopped),) = (await live.store.stops()).items()
    assert name == ("voz", phase)
    assert stopped["reason"] == "harm: warm"
    again = running(store, voz={**VOICES, "arms": {**VOICES["arms"], "warm": {"voice": "cedar"}}})
    third = a_broker()
    await again.start(third)
    third.arrange(third.modes["EXTERNAL"], a_spec(4))
    assert again.take("sess_4") != {}  # another phase
    for each in (live, second, again):
        await each.aclose()

    file = tmp_path / "penny.yaml"
    file.write_text(
        "calls: {folder: ., url: 'sqlite:///calls.sqlite'}\n"
        "experiments: {voz: {metric: resolution, min_n: 30,"
        " arms: {control: {}, warm: {voice: marin}}}}\n"
    )
    for action in (["list"], ["show", "voz"]):
        assert await asyncio.to_thread(main, ["experiments", *action, "--config", str(file)]) == 0
        told = capsys.readouterr().out
        assert "stopped (harm: warm)" in told
        assert "worse" in told
    given = ["experiments", "stop", "voz", "--config", str(file)]
    assert await asyncio.to_thread(main, given) == 0
    assert "was stopped before" in capsys.readouterr().out
    assert await asyncio.to_thread(main, ["experiments", "show", "x", "--config", str(file)]) == 1
    assert "there are: voz" in capsys.readouterr().err
