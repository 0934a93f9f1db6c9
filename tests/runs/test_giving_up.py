"""When a conversation that cannot be read is given up, and how it comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandbox.faults import Faults
from tap_kommo_chats.errors import RunError, TapError
from tests.support.account import DAY, HOUR, SECOND, WEEK, Account, names
from tests.support.refusals import Runs, answers, outcomes
from tests.support.tap import config_for, wait_for_nothing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.server import Sandbox


@pytest.fixture
def account(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Account:
    """Of two conversations, the second of which is not to be had."""
    wait_for_nothing(monkeypatch)
    account = Account(sandbox)
    for number, chat in enumerate(["well", "dead"], start=1):
        account.talk(number, chat)
        account.message(chat)
    account.sandbox.answer = answers({"dead": 404})
    return account


@pytest.mark.parametrize("status", [400, 403, 404])
def test_what_answers_nothing_else_for_a_week_is_told_once_more_and_given_up(
    account: Account, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    account.sandbox.answer = answers({"dead": status})
    runs = Runs(account)
    for _ in range(7):
        output = runs.run(DAY)
        assert runs.is_incomplete
        assert outcomes(output)["dead"] == "failed"
    caplog.clear()

    last = runs.run(DAY)

    assert runs.error is None
    (row,) = [
        row
        for row in last.records_of("conversations")
        if row["conversation_id"] == "dead"
    ]
    assert row["outcome"] == "given_up"
    (line,) = [r.getMessage() for r in caplog.records if "dead" in r.getMessage()]
    assert line.startswith(f"Conversation dead: Kommo answered {status}")
    assert "ignored_conversation_ids" in line
    assert row["error"] == line
    caplog.clear()

    runs.run(DAY)

    assert runs.error is None
    assert runs.asked == []
    assert not [r for r in caplog.records if "dead" in r.getMessage()]


def test_two_runs_a_week_apart_are_enough(account: Account) -> None:
    runs = Runs(account)
    runs.run()
    runs.run(WEEK - 1)
    assert runs.is_incomplete

    runs.run(1)

    assert runs.error is None


@pytest.mark.parametrize("trouble", ["an answer", "no answer"])
def test_an_outage_gives_up_nothing(account: Account, trouble: str) -> None:
    runs = Runs(account)
    runs.run()
    account.sandbox.answer = answers({"*": 502} if trouble == "an answer" else {})
    if trouble == "no answer":
        account.sandbox.faults = Faults(
            reset_before=1.0, only=frozenset({"well", "dead"})
        )
    for _ in range(8):
        runs.run(DAY)
        assert isinstance(runs.error, TapError)
    account.sandbox.faults = Faults()
    account.sandbox.answer = answers({"dead": 404})

    runs.run(DAY)
    assert runs.is_incomplete
    runs.run(WEEK - 1)
    assert runs.is_incomplete
    runs.run(1)

    assert runs.error is None
    assert runs.trouble() == "given_up"


def test_runs_that_a_block_stopped_count_for_nothing(account: Account) -> None:
    runs = Runs(account, max_concurrency=1)
    runs.run()
    # The last visit of the other one.
    runs.run(2 * DAY)
    account.sandbox.answer = None
    for number in range(8):
        # What never failed is asked for first, and stops the run.
        account.talk(10 + number, f"new{number}")
        account.event(talk_id=10 + number)
        account.sandbox.faults = Faults(blocked=1.0, only=frozenset({f"new{number}"}))
        runs.run(DAY)
        assert isinstance(runs.error, RunError)
        assert "dead" not in runs.asked
    account.sandbox.faults = Faults()
    account.sandbox.answer = answers({"dead": 404})

    runs.run(DAY)

    assert runs.is_incomplete


@pytest.mark.parametrize("wrong", ["channel_secret", "scope_id"])
def test_a_setting_that_was_wrong_for_a_week_gives_up_nothing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    wait_for_nothing(monkeypatch)
    account = Account(sandbox)
    account.talk(1, "a")
    name = account.message("a")
    runs = Runs(account)
    for _ in range(9):
        runs.run(DAY, **{wrong: "0" * 40})
        assert runs.is_incomplete

    assert names(runs.run(DAY)) == [name]
    assert runs.error is None


def test_where_nothing_else_is_new_one_that_was_read_before_tells_that_all_is_well(
    account: Account,
) -> None:
    runs = Runs(account)
    runs.run()
    # The last visit of the other one.
    runs.run(2 * DAY)

    runs.run(WEEK - 2 * DAY)

    assert runs.error is None
    assert runs.asked == ["dead", "well"]


@pytest.mark.parametrize("was_read", [False, True])
def test_what_was_given_up_comes_back_when_a_source_tells_of_something_new(
    account: Account, *, was_read: bool
) -> None:
    runs = Runs(account)
    read: list[str] = []
    if was_read:
        account.sandbox.answer = None
        read = names(runs.run())
        account.sandbox.answer = answers({"dead": 404})
        account.event(talk_id=2)
    runs.run(HOUR)
    account.message("dead", 18 * HOUR)
    runs.run(WEEK)
    assert runs.trouble() == "given_up"
    account.sandbox.answer = None
    account.now += 3 * DAY
    account.message("dead")
    account.event(talk_id=2)

    output = runs.run()

    assert runs.error is None
    assert runs.trouble() is None
    assert {*read, *names(output)} >= set(account.sandbox.store.message_ids("dead"))


def test_what_was_given_up_comes_back_by_an_event_that_shows_up_late(
    account: Account,
) -> None:
    runs = Runs(account)
    runs.run()
    runs.run(WEEK)
    assert runs.trouble() == "given_up"
    account.crm.store.events.add((account.now - HOUR) // SECOND, talk_id=2)
    account.sandbox.answer = None

    output = runs.run(HOUR)

    assert names(output) == account.sandbox.store.message_ids("dead")


@pytest.mark.parametrize("settled", ["given_up", "gone"])
def test_the_second_in_which_a_run_began_is_not_over_for_what_it_settled(
    account: Account, settled: str
) -> None:
    account.sandbox.answer = None
    runs = Runs(account)
    runs.run()
    account.sandbox.answer = answers({"dead": 404 if settled == "given_up" else 204})
    account.now += 3 * DAY
    account.event(talk_id=2, type="talk_created")
    runs.run()
    account.now += WEEK
    account.event(talk_id=2, type="talk_created")
    runs.run()
    assert runs.trouble() == settled
    new = account.message("dead")
    account.event(talk_id=2)
    account.sandbox.answer = None

    assert new in names(runs.run(HOUR))


@pytest.mark.parametrize("settled", ["given_up", "gone"])
def test_what_came_back_and_was_read_is_told(account: Account, settled: str) -> None:
    account.sandbox.answer = None
    runs = Runs(account)
    runs.run()
    account.sandbox.answer = answers({"dead": 404 if settled == "given_up" else 204})
    account.now += 3 * DAY
    account.event(talk_id=2, type="talk_created")
    runs.run()
    runs.run(WEEK)
    assert runs.trouble() == settled
    account.sandbox.answer = None
    account.now += 3 * DAY
    account.event(talk_id=2, type="talk_created")

    assert outcomes(runs.run()) == {"dead": "read"}


def test_what_came_back_has_another_week(account: Account) -> None:
    runs = Runs(account)
    runs.run()
    runs.run(WEEK)
    account.now += DAY
    account.event(talk_id=2)

    runs.run()
    assert runs.is_incomplete
    runs.run(WEEK - DAY)
    assert runs.is_incomplete
    runs.run(2 * DAY)

    assert runs.error is None


def test_what_is_ignored_is_neither_asked_for_nor_a_failure(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    runs = Runs(account)
    runs.run()

    output = runs.run(DAY, ignored_conversation_ids=["dead"])

    assert runs.error is None
    assert "dead" not in outcomes(output)
    assert "dead" not in runs.asked
    assert "is taken out there is asked for again" in caplog.text


@pytest.mark.parametrize("days", [1, 9])
@pytest.mark.parametrize("listed", [False, True])
def test_what_is_ignored_no_longer_is_read_from_where_it_was(
    account: Account, *, listed: bool, days: int
) -> None:
    more = {"conversation_ids": ["well", "dead"]} if listed else {}
    account.sandbox.answer = None
    runs = Runs(account, **more)
    runs.run()
    new = []
    for _ in range(days):
        account.now += DAY
        new += [account.message("dead"), account.message("dead", 18 * HOUR)]
        account.event(talk_id=2)
        runs.run(ignored_conversation_ids=["dead"])
        assert "dead" not in runs.asked

    output = runs.run(DAY)

    assert runs.error is None
    assert set(names(output)) >= set(new)
    assert runs.trouble() is None


def test_what_was_given_up_comes_back_by_way_of_what_is_ignored(
    account: Account,
) -> None:
    runs = Runs(account)
    runs.run()
    runs.run(WEEK)
    account.sandbox.answer = None

    runs.run(DAY, ignored_conversation_ids=["dead"])
    output = runs.run(DAY)

    assert names(output) == account.sandbox.store.message_ids("dead")
    assert runs.error is None


def test_one_that_is_listed_without_a_time_stays_given_up_and_is_told_once(
    account: Account,
) -> None:
    account.message("list")
    runs = Runs(account, conversation_ids=["list", "dead"])
    runs.run()
    assert outcomes(runs.run(WEEK))["dead"] == "given_up"

    output = runs.run(DAY)

    assert runs.error is None
    assert runs.asked == ["list"]
    assert "dead" not in outcomes(output)


def test_a_mistaken_origin_that_was_taken_out_goes_away(
    account: Account,
) -> None:
    account.talk(3, "foreign", origin="waba")
    account.message("foreign")
    account.event(talk_id=3, origin="waba")
    account.sandbox.answer = answers({"foreign": 403})
    origins: Sequence[str] = account.config()["crm_origins"]
    runs = Runs(account)
    runs.run(crm_origins=[*origins, "waba"])
    assert runs.trouble("foreign") == "refused"

    for _ in range(7):
        account.now += DAY
        account.event(talk_id=3, origin="waba")
        runs.run()

    assert runs.error is None
    assert runs.trouble("foreign") == "given_up"


def test_lists_alone_give_up_too(account: Account) -> None:
    config = config_for(account.sandbox, ["well", "dead"])
    state: dict[str, Any] = {}
    errors = []

    for _ in range(9):
        account.sandbox.forget_requests()
        output, error = account.try_config(config, state)
        state = output.state
        errors.append(error is not None)
        account.now += DAY

    assert errors == [True] * 7 + [False] * 2
    assert account.asked() == ["well"]
