"""Leases of calls to analyse: done once in the end, whoever dies, however long a step takes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from penny.analysis.batch.collect import collect
from penny.analysis.batch.graph import Skipped, Step, Throttled, Work, name_graph, run_steps
from penny.analysis.batch.jobs import DEATHS, LEASE_MS, Jobs, LeaseLost
from penny.analysis.batch.steps import Tools, make_steps, measure_disagreement
from penny.analysis.batch.worker import Worker
from penny.analysis.dialogue import said_in
from penny.calls.query import CallQuery
from penny.calls.record import Call
from penny.calls.store import CallStore
from penny.calls.tables import analysis_jobs, analysis_steps, call_figures
from tests.penny.calls.calls import a_call, a_turn


pytestmark = pytest.mark.process  # a PostgreSQL of its own

TOOLS = Tools(rules=lambda _tenant: ())
STEPS = make_steps()
NOTHING = "Lo siento, no lo encuentro."


class Clock:
    """Unix time that tests move."""

    def __init__(self) -> None:
        self.ms = 1_800_000_000_000

    def __call__(self) -> int:
        return self.ms


def an_angry_call(number: int = 0, **more: Any) -> Call:
    """Somebody who was charged twice, asks again and wants out."""
    turns = [
        a_turn("Me han cobrado dos veces la factura de noviembre", NOTHING),
        a_turn(
            "Ya se lo he dicho, me han cobrado dos veces", "Lo siento, no lo encuentro.", number=2
        ),
        a_turn(
            "Esto es una vergüenza, quiero hablar con una persona",
            "Le llamaremos mañana.",
            number=3,
        ),
    ]
    return a_call(number, turns=turns, **more)


async def test_a_call_is_analysed_once_and_its_figures_stand_beside_it(store: CallStore) -> None:
    clock = Clock()
    await store.put(an_angry_call())
    told: list[str] = []

    async def also(_connection: Any, call: Call) -> None:
        told.append(call.id)

    jobs = Jobs(store, "one", name_graph(STEPS), clock, also)
    assert await jobs.add_new() == 1
    assert await jobs.add_new() == 0
    worker = Worker(jobs, STEPS, TOOLS)
    done = await worker.run()
    assert (done.completed, done.failed, told) == (1, 0, ["sess_default_0"])
    call = await store.get("default", "sess_default_0")
    assert call is not None
    assert call.processed
    assert call.turns[0].words == "Me han cobrado dos veces la factura de noviembre"
    assert call.derived["intent"] == "billing_inquiry"
    assert call.derived["alerts"][0]["kind"] == "sentiment"
    assert len(call.derived["alerts"][0]["turns"]) > 1
    assert call.derived["promises"] == [{"text": "Le llamaremos mañana.", "turns": [3]}]
    assert call.derived["steps"]["transcript"]["reason"] == "its sound is not kept"
    assert call.metrics["final_sentiment"] in ("negative", "very_negative")
    found, _ = await store.find(
        None, CallQuery(alert=True, sentiment=call.metrics["final_sentiment"])
    )
    assert [row["id"] for row in found] == ["sess_default_0"]
    async with store.database.begin() as connection:
        row = (await connection.execute(select(call_figures))).one()
    assert (row.escalated, row.repeated, row.promises, row.is_partial) == (True, True, 1, False)
    assert row.outcome == call.metrics["outcome"]
    assert (await jobs.stats())["completed"] == 1


async def test_what_was_erased_while_it_was_analysed_is_not_written(store: CallStore) -> None:
    clock = Clock()
    await store.put(an_angry_call())
    jobs = Jobs(store, "one", "", clock)
    await jobs.add_new()
    (job,) = await jobs.claim()
    call = await store.get(None, job.call_id)
    assert call is not None
    work = Work(call, said_in(call), TOOLS)
    found = collect(work, await run_steps(STEPS, work, {}))
    await store.delete("default", [job.call_id], 1)
    await store.purge([job.call_id])
    with pytest.raises(LeaseLost):
        await jobs.finish(job, found)
    async with store.database.begin() as connection:
        for table in (call_figures, analysis_steps, analysis_jobs):
            assert (await connection.execute(select(table))).first() is None


async def test_workers_that_die_at_any_moment_leave_every_call_analysed_once(
    store: CallStore,
) -> None:
    """Each worker is cancelled after so many steps of the loop as chance would have it, without
    giving back what it held, as one that is killed; its lease ends by the clock alone."""
    clock = Clock()
    for number in range(12):
        await store.put(an_angry_call(number))
    finished: Counter[str] = Counter()

    async def also(_connection: Any, call: Call) -> None:
        finished[call.id] += 1

    await Jobs(store, "none", "", clock).add_new()
    for life in range(40):
        jobs = Jobs(store, f"worker {life}", "", clock, also)
        for job in await jobs.claim(2):
            call = await store.get(None, job.call_id)
            assert call is not None
            work = Work(call, said_in(call), TOOLS)
            found = collect(work, await run_steps(STEPS, work, {}))
            if (life * 7 + len(finished)) % 3 == 0:
                break  # killed before it wrote
            await jobs.finish(job, found)
        clock.ms += LEASE_MS + 1
    assert len(finished) == 12
    assert set(finished.values()) == {1}
    assert (await Jobs(store, "x", "", clock).stats())["waiting"] == 0


async def test_what_two_workers_have_at_once_counts_for_who_holds_the_lease(
    store: CallStore,
) -> None:
    clock = Clock()
    await store.put(an_angry_call())
    slow, quick = Jobs(store, "slow", "", clock), Jobs(store, "quick", "", clock)
    await slow.add_new()
    (job,) = await slow.claim()
    assert await quick.claim() == []
    clock.ms += LEASE_MS + 1
    (again,) = await quick.claim()
    call = await store.get(None, job.call_id)
    assert call is not None
    work = Work(call, said_in(call), TOOLS)
    found = collect(work, await run_steps(STEPS, work, {}))
    with pytest.raises(LeaseLost):
        await slow.finish(job, found)
    with pytest.raises(LeaseLost):
        await slow.keep_step(job.call_id, found.steps[0])
    assert await slow.renew([job.call_id]) == []
    await quick.finish(again, found)
    assert (await quick.stats())["completed"] == 1


async def test_a_call_that_ends_every_worker_is_given_up(store: CallStore) -> None:
    clock = Clock()
    await store.put(an_angry_call())
    await Jobs(store, "none", "", clock).add_new()
    for life in range(DEATHS):
        assert await Jobs(store, f"worker {life}", "", clock).claim()
        clock.ms += LEASE_MS + 1
    jobs = Jobs(store, "last", "", clock)
    done = await Worker(jobs, STEPS, TOOLS).run()
    assert done.failed == 1
    call = await store.get(None, "sess_default_0")
    assert call is not None
    assert call.derived["state"] == "failed"
    assert "died" in call.derived["reason"]
    assert (await jobs.stats())["failed"] == 1


async def test_a_failing_step_is_tried_three_times_and_then_shown(store: CallStore) -> None:
    clock = Clock()
    await store.put(an_angry_call())

    def breaks(_work: Work) -> dict[str, Any]:
        raise ValueError("what was said")

    steps = [replace(s, run=breaks) if s.name == "entities" else s for s in STEPS]
    jobs = Jobs(store, "one", "", clock)
    await jobs.add_new()
    for _ in range(3):
        await Worker(jobs, steps, TOOLS).run()
        clock.ms += 400_000
    call = await store.get(None, "sess_default_0")
    assert call is not None
    assert call.derived["reason"] == "entities: ValueError"
    assert call.derived["is_partial"]
    assert call.derived["intent"] == "billing_inquiry"
    kept = (await jobs.steps_of(call.id))["entities"]
    assert (kept.state, kept.reason, kept.attempts) == ("failed", "ValueError", 3)
    assert await jobs.claim() == []


async def test_a_throttled_model_loses_no_call_and_is_told_of(store: CallStore) -> None:
    clock = Clock()
    await store.put(an_angry_call())

    def busy(_work: Work) -> dict[str, Any]:
        raise Throttled("too many requests")

    jobs = Jobs(store, "one", "", clock)
    await jobs.add_new()
    for _ in range(DEATHS + 2):
        await Worker(jobs, [Step("model", 1, busy)], TOOLS).run()
        clock.ms += 60_001
    stats = await jobs.stats()
    assert stats["waiting"] == 1
    assert stats["throttled_since_s"] > 300
    await Worker(jobs, STEPS, TOOLS).run()
    stats = await jobs.stats()
    assert (stats["completed"], stats["throttled_since_s"]) == (1, None)


async def test_a_new_version_runs_itself_and_what_depends_on_it_alone() -> None:
    call = an_angry_call()
    runs: Counter[str] = Counter()

    def step(name: str, *needs: str, version: int = 1) -> Step:
        def run(_work: Work) -> dict[str, Any]:
            runs[name] += 1
            return {}

        return Step(name, version, run, needs=needs)

    graph = [step("a"), step("b", "a"), step("c")]
    work = Work(call, said_in(call), TOOLS)
    kept = {each.step: each for each in await run_steps(graph, work, {})}
    await run_steps(graph, work, kept)
    assert runs == {"a": 1, "b": 1, "c": 1}
    await run_steps([step("a", version=2), *graph[1:]], work, kept)
    assert runs == {"a": 2, "b": 2, "c": 1}


async def test_what_needs_a_step_that_was_skipped_is_skipped_with_the_reason() -> None:
    def skip(_work: Work) -> dict[str, Any]:
        raise Skipped("no model is set up")

    call = an_angry_call()
    graph = [Step("model", 1, skip), Step("after", 1, lambda _w: {}, needs=("model",))]
    first, second = await run_steps(graph, Work(call, said_in(call), TOOLS), {})
    assert (first.state, first.reason) == ("skipped", "no model is set up")
    assert (second.state, second.reason) == ("skipped", "it needs model")


def test_disagreement_is_word_error_between_two_transcripts() -> None:
    told = measure_disagreement([("el salgo de mi cuesta", "el saldo de mi cuenta")])
    assert told["disagreement"] == 0.4
    assert told["substitutions"] == 2
