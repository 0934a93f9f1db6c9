"""Which failure is one conversation's, and which is everyone's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from sandbox.faults import Faults
from tap_kommo_chats.errors import IncompleteRunError, RunError
from tests.runs.test_incremental import DAY, fill, now_ms
from tests.support.refusals import answers
from tests.support.tap import config_for, failing_run, run, wait_for_nothing

if TYPE_CHECKING:
    from sandbox.server import Sandbox
    from tests.support.tap import FailedRun

WELL = ["w1", "w2", "w3", "w4"]


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    wait_for_nothing(monkeypatch)


def asked(sandbox: Sandbox) -> list[str | None]:
    return [seen.conversation_id for seen in sandbox.requests]


def read(failed: FailedRun) -> set[str]:
    return {key[0] for key in failed.output.keys}


def owed(failed: FailedRun) -> set[str]:
    return set(failed.output.state["bookmarks"]["chat_history"]["owed"])


@pytest.mark.parametrize("max_concurrency", [1, 8])
@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_403_beside_an_answer_is_that_conversations_own(
    sandbox: Sandbox,
    caplog: pytest.LogCaptureFixture,
    place: int,
    max_concurrency: int,
) -> None:
    fill(sandbox, WELL, 3, now_ms() - 30 * DAY)
    ids = [*WELL[:place], "foreign", *WELL[place:]]
    sandbox.answer = answers({"foreign": 403})
    config = {**config_for(sandbox, ids), "max_concurrency": max_concurrency}

    failed = failing_run(config, caplog)

    assert isinstance(failed.error, IncompleteRunError)
    assert "(foreign)" in str(failed.error)
    assert "Kommo refuses this conversation: it may not be of this chan" in failed.log
    assert read(failed) == set(WELL)
    assert owed(failed) == {"foreign"}


def test_two_that_are_refused_before_any_answer_are_their_own(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    fill(sandbox, WELL, 3, now_ms() - 30 * DAY)
    sandbox.answer = answers({"f*": 403})

    failed = failing_run(config_for(sandbox, ["f1", "f2", *WELL]), caplog)

    assert isinstance(failed.error, IncompleteRunError)
    assert read(failed) == set(WELL)


def test_three_that_are_refused_before_any_answer_stop_the_run_and_go_last_then(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    fill(sandbox, WELL, 3, now_ms() - 30 * DAY)
    sandbox.answer = answers({"f*": 403})
    ids = ["f1", "f2", "f3", *WELL]
    config = {**config_for(sandbox, ids), "max_concurrency": 1}

    first = failing_run(config, caplog)
    second = failing_run(config, caplog, first.output.state)

    assert isinstance(first.error, RunError)
    assert "check that channel_secret is the secret" in str(first.error)
    assert owed(first) == {"f1", "f2", "f3"}
    assert asked(sandbox)[:3] == ["f1", "f2", "f3"]
    assert isinstance(second.error, IncompleteRunError)
    assert read(second) == set(WELL)
    assert asked(sandbox)[-3:] == ["f1", "f2", "f3"]


def test_of_those_that_failed_none_stops_the_same_others_each_time(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    fill(sandbox, ["a", "b", "c"], 1, now_ms() - 30 * DAY)
    sandbox.answer = answers({"*": 404})
    config = {**config_for(sandbox, ["a", "b", "c"]), "max_concurrency": 1}
    state = failing_run(config, caplog).output.state
    sandbox.answer = None
    # Of a host that never answered nobody can tell whether it is there.
    sandbox.faults = Faults(reset_before=1.0, only=frozenset("a"))

    first = failing_run(config, caplog, state)
    second = failing_run(config, caplog, first.output.state)

    assert isinstance(first.error, RunError)
    assert isinstance(second.error, IncompleteRunError)
    assert read(second) == {"b", "c"}


@pytest.mark.parametrize("max_concurrency", [1, 8])
def test_a_wrong_secret_costs_three_requests_whatever_was_read_before(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, max_concurrency: int
) -> None:
    ids = [f"c{number}" for number in range(30)]
    fill(sandbox, ids, 1, now_ms() - 30 * DAY)
    config = {**config_for(sandbox), "max_concurrency": max_concurrency}
    state = run(config).state
    sandbox.forget_requests()

    failed = failing_run({**config, "channel_secret": "0" * 40}, caplog, state)

    assert isinstance(failed.error, RunError)
    assert len(sandbox.requests) == 3


def test_one_refused_alone_names_both_suspects(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.answer = answers({"only": 403})

    failed = failing_run(config_for(sandbox, ["only"]), caplog)

    assert isinstance(failed.error, IncompleteRunError)
    assert "it may not be of this channel" in failed.log
    assert "check channel_secret and scope_id" in failed.log


def test_the_clock_is_not_to_blame_for_one_after_an_answer(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    fill(sandbox, WELL, 1, now_ms() - 30 * DAY)
    date = "Tue, 13 Dec 2022 11:00:00 GMT"
    sandbox.answer = lambda seen: (
        web.json_response({}, status=403, headers={"Date": date})
        if seen.conversation_id == "foreign"
        else None
    )

    failed = failing_run(config_for(sandbox, ["w1", "foreign", "w2"]), caplog)

    assert isinstance(failed.error, IncompleteRunError)
    assert read(failed) == {"w1", "w2"}


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 403, "content_type": "text/html"},
        {"status": 403, "headers": {"Date": "Tue, 13 Dec 2022 11:00:00 GMT"}},
        {"status": 302, "headers": {"Location": "/elsewhere"}},
    ],
    ids=["a firewall", "a clock", "a redirect"],
)
def test_what_is_certain_stops_the_run_at_once_and_goes_last_then(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, answer: dict[str, Any]
) -> None:
    fill(sandbox, WELL, 1, now_ms() - 30 * DAY)
    sandbox.answer = lambda seen: (
        web.Response(**answer) if seen.conversation_id == "bad" else None
    )
    config = {**config_for(sandbox, ["bad", *WELL]), "max_concurrency": 1}

    first = failing_run(config, caplog)
    second = failing_run(config, caplog, first.output.state)

    assert isinstance(first.error, RunError)
    assert asked(sandbox)[0:2] == ["bad", "w1"]
    assert read(second) == set(WELL)


def test_a_redirect_of_one_conversation_is_its_own_after_an_answer(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    fill(sandbox, WELL, 1, now_ms() - 30 * DAY)
    sandbox.answer = answers({"away": 302})

    failed = failing_run(config_for(sandbox, ["w1", "away", "w2"]), caplog)

    assert isinstance(failed.error, IncompleteRunError)
    assert read(failed) == {"w1", "w2"}


def test_twenty_403s_in_a_row_stop_the_run(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    fill(sandbox, WELL, 1, now_ms() - 30 * DAY)
    sandbox.answer = answers({"f*": 403})
    ids = ["w1", *(f"f{number}" for number in range(100)), "w2"]
    config = {**config_for(sandbox, ids), "max_concurrency": 2}

    failed = failing_run(config, caplog)

    assert isinstance(failed.error, RunError)
    assert "this machine's address is blocked" in str(failed.error)
    # Those on their way come on top.
    assert 21 <= len(sandbox.requests) <= 21 + 2 * 2
    assert len(owed(failed)) == 20


def test_those_refused_in_an_earlier_run_stop_none(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    fill(sandbox, WELL, 1, now_ms() - 30 * DAY)
    sandbox.answer = answers({"f*": 403})
    config = config_for(sandbox, [*(f"f{number}" for number in range(50)), *WELL])
    state: dict[str, Any] = {}
    errors = []

    for _ in range(20):
        failed = failing_run(config, caplog, state)
        state = failed.output.state
        errors.append(failed.error)

    assert isinstance(errors[-1], IncompleteRunError)
    assert "50 conversation(s) could not be read" in str(errors[-1])


@pytest.mark.parametrize("status", [400, 403, 404])
def test_before_the_first_ones_stop_a_run_some_that_were_read_before_are_tried(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    fill(sandbox, WELL, 1, now_ms() - 30 * DAY)
    state = run(config_for(sandbox, WELL)).state
    sandbox.answer = answers({"dead*": status})
    for id_ in WELL:
        fill(sandbox, [id_], 2, now_ms())
    dead = [f"dead{number}" for number in range(65)]

    failed = failing_run(config_for(sandbox, [*dead, *WELL]), caplog, state)

    assert isinstance(failed.error, IncompleteRunError)
    assert read(failed) == set(WELL)
    assert owed(failed) == set(dead)
    # None of them is asked for twice.
    assert len(sandbox.requests) == len(WELL) + len(dead) + len(WELL)


def test_a_conversation_that_left_the_lists_is_no_witness(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    fill(sandbox, WELL, 1, now_ms() - 30 * DAY)
    state = run(config_for(sandbox, WELL)).state
    sandbox.answer = answers({"dead": 404})
    sandbox.forget_requests()

    failing_run(config_for(sandbox, ["dead", "w2"]), caplog, state)

    assert asked(sandbox) == ["dead", "w2"]


def test_when_witnesses_fail_too_the_run_is_stopped(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    fill(sandbox, WELL, 1, now_ms() - 30 * DAY)
    state = run(config_for(sandbox, WELL)).state
    sandbox.answer = lambda _: web.Response(status=404)
    dead = [f"dead{number}" for number in range(100)]
    sandbox.forget_requests()

    failed = failing_run(config_for(sandbox, [*dead, *WELL]), caplog, state)

    assert isinstance(failed.error, RunError)
    assert set(asked(sandbox)[1:4]) < set(WELL)
    assert len(sandbox.requests) == 50
