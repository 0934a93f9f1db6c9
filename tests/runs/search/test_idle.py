"""What a run costs that meets nothing new, and what it tells of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from tap_kommo_chats.tap import TapKommoChats
from tap_kommo_chats.times import format_instant
from tests.support.account import DAY, HOUR, Account, names
from tests.support.tap import config_for, failing_run, run

if TYPE_CHECKING:
    import pytest

    from sandbox import Sandbox
    from tests.support.tap import Output


def account_of_talks(account: Account, talks: int) -> None:
    for number in range(talks):
        account.talk(number + 1, f"c{number}")
        account.message(f"c{number}")
        account.event(talk_id=number + 1)
    account.now += HOUR // 60


def written(output: Output) -> list[str]:
    return [m["stream"] for m in output.messages if m["type"] == "RECORD"]


def test_a_second_run_at_once_writes_itself_and_asks_the_crm_five_times(
    account: Account,
) -> None:
    account_of_talks(account, 20)
    first = account.run()
    account.sandbox.forget_requests()

    second = account.run(first.state)

    assert written(second) == ["runs"]
    assert account.asked() == []
    assert [target.split("?")[0] for target in account.crm_requests()] == [
        "/api/v4/account",
        "/api/v4/events",
        "/api/v4/leads",
        "/api/v4/leads/pipelines",
        "/api/v4/users",
    ]


def test_without_hints_each_conversation_is_asked_for_and_none_has_a_row(
    sandbox: Sandbox,
) -> None:
    ids = [f"c{number}" for number in range(20)]
    first = run(config_for(sandbox, ids))
    sandbox.forget_requests()

    second = run(config_for(sandbox, ids), first.state)

    assert len(sandbox.requests) == 20
    assert written(second) == ["runs"]


def test_a_run_tells_what_it_did_and_up_to_when(account: Account) -> None:
    account_of_talks(account, 3)
    state = account.run().state
    account.now += 2 * DAY
    state = account.run(state).state
    account.now += 10 * DAY
    new = account.message("c1")
    account.event(talk_id=2)
    account.now += HOUR
    account.sandbox.forget_requests()

    second = account.run(state)

    (row,) = second.records_of("runs")
    assert names(second) == [new]
    assert row.pop("run_ended_at") is not None
    assert row == {
        "scope_id": account.sandbox.scope_id,
        "run_started_at": format_instant(account.now),
        "shard": "1/1",
        "version": TapKommoChats.plugin_version,
        "outcome": "complete",
        "conversations_read": 1,
        "conversations_empty": 0,
        "conversations_unchanged": 0,
        "conversations_failed": 0,
        "conversations_gone": 0,
        "conversations_given_up": 0,
        "messages": 1,
        "talk_messages": None,
        "requests": 1,
        "crm_requests": len(account.crm_requests()),
        "searched_until": format_instant(account.now),
    }


def test_a_run_that_could_not_read_all_says_so(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    account_of_talks(account, 3)
    account.sandbox.answer = lambda request: (
        web.Response(status=404) if request.conversation_id == "c1" else None
    )

    with account.clock():
        failed = failing_run(account.config(), caplog)

    (row,) = failed.output.records_of("runs")
    assert (row["outcome"], row["conversations_failed"]) == ("incomplete", 1)


def test_what_an_event_is_late_to_tell_is_found_by_a_visit(account: Account) -> None:
    account_of_talks(account, 1)
    first = account.run()
    account.now += HOUR
    # Nothing tells of it, because its event was lost.
    late = account.message("c0", age_ms=HOUR // 2)

    second = account.run(first.state)

    assert names(second) == [late]


def test_with_no_look_back_a_conversation_is_visited_once_an_hour_later(
    account: Account,
) -> None:
    account_of_talks(account, 1)
    state = account.run(lookback_days=0).state
    account.sandbox.forget_requests()
    for _ in range(30):
        account.now += HOUR // 4
        state = account.run(state, lookback_days=0).state

    assert account.asked() == ["c0"]


def test_with_a_look_back_it_is_visited_three_times(account: Account) -> None:
    account_of_talks(account, 1)
    state = account.run(lookback_days=1).state
    account.sandbox.forget_requests()
    for _ in range(4 * 30):
        account.now += HOUR // 4
        state = account.run(state, lookback_days=1).state

    assert account.asked() == ["c0"] * 3


def test_a_message_of_a_broken_clock_is_written_when_its_conversation_is_read(
    account: Account,
) -> None:
    account.talk(1, "c0")
    name = account.message("c0", age_ms=account.now)
    account.event(talk_id=1)
    state = account.run().state
    account.sandbox.forget_requests()
    found: list[str] = []
    for _ in range(4 * 30):
        account.now += HOUR // 4
        output = account.run(state)
        state = output.state
        found += names(output)

    # Never for nothing: only a visit meets it again.
    assert len(found) <= len(account.asked()) == 3
    assert {*found} <= {name}
