"""The sequencer never has two responses under way, whatever comes in which order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modes.external.sequencer import ResponseSequencer


def test_requests_without_parameters_become_one() -> None:
    sequencer = ResponseSequencer()
    assert sequencer.request(None, "e1")
    assert sequencer.request(None, "e2") == []
    assert sequencer.request(None, "e3") == []
    sequencer.created("r1")
    assert [event["event_id"] for event in sequencer.done("r1")] == ["e2"]
    sequencer.created("r2")
    assert sequencer.done("r2") == []
    assert sequencer.is_idle


def test_done_without_created_frees_the_next_request() -> None:
    sequencer = ResponseSequencer()
    sequencer.request(None, "e1")
    sequencer.request({"metadata": {}}, "e2")
    assert sequencer.done("never_created")[0]["event_id"] == "e2"


def test_trailing_end_of_a_finished_response_changes_nothing() -> None:
    sequencer = ResponseSequencer()
    sequencer.request(None, "e1")
    sequencer.created("r1")
    sequencer.done("r1")
    sequencer.request(None, "e2")
    assert sequencer.done("r1") == []
    assert sequencer.state == "requested"


def test_cancel_before_created_cancels_what_is_created() -> None:
    sequencer = ResponseSequencer()
    sequencer.request(None, "e1")
    assert sequencer.cancel() == []
    assert sequencer.created("r1") == [{"type": "response.cancel", "response_id": "r1"}]
    assert sequencer.request(None, "e2") == []
    assert sequencer.done("r1")[0]["event_id"] == "e2"


def test_busy_server_gets_the_request_again_after_its_own_response() -> None:
    sequencer = ResponseSequencer()
    sequencer.request(None, "e1")
    code = "conversation_already_has_active_response"
    assert sequencer.refused("e1", code) == []
    sequencer.created("r_server")
    assert sequencer.done("r_server")[0]["event_id"] == "e1"


def test_too_many_waiting_requests_are_refused() -> None:
    sequencer = ResponseSequencer()
    sequencer.request(None, "e0")
    results = [sequencer.request({"metadata": {"n": str(n)}}, f"e{n + 1}") for n in range(9)]
    assert results[:8] == [[]] * 8
    assert results[8] is None


steps = st.lists(
    st.one_of(
        st.just(("request", "")),
        st.just(("created", "")),
        st.just(("done", "")),
        st.just(("cancel", "")),
        st.just(("speech", "")),
        st.just(("refused", "")),
    ),
    max_size=60,
)


@given(steps)
def test_a_server_that_answers_in_order_never_sees_two_at_once(
    moves: list[tuple[str, str]],
) -> None:
    sequencer = ResponseSequencer()
    pending: list[str] = []  # creations that the server has not answered
    active: list[str] = []
    serial = 0

    def sent(events: list[dict[str, object]] | None) -> None:
        for event in events or ():
            if event["type"] == "response.create":
                assert not pending
                assert not active
                pending.append(str(event["event_id"]))

    for kind, _ in moves:
        serial += 1
        if kind == "request":
            sent(sequencer.request(None, f"e{serial}"))
        elif kind == "created" and pending:
            pending.pop()
            active.append(f"r{serial}")
            sent(sequencer.created(active[0]))
        elif kind == "done" and active:
            sent(sequencer.done(active.pop()))
        elif kind == "cancel":
            sent(sequencer.cancel())
        elif kind == "speech":
            sequencer.speech_began()
        elif kind == "refused" and pending:
            sent(sequencer.refused(pending.pop(), "server_error"))
    while active or pending:
        if pending:
            pending.pop()
            active.append(f"r_last{serial}")
            serial += 1
            sent(sequencer.created(active[0]))
        sent(sequencer.done(active.pop()))
    assert sequencer.is_idle
