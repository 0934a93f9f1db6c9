"""Each stream that lives off the search goes on where its own last run ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.account import DAY, Account, names

if TYPE_CHECKING:
    from tests.support.tap import Output

TELLING = ["conversations", "talks"]


def talk_ids(output: Output) -> list[int]:
    return [row["talk_id"] for row in output.records_of("talks")]


def told(output: Output) -> list[str]:
    return sorted(row["conversation_id"] for row in output.records_of("conversations"))


def marks(state: dict[str, Any]) -> set[str]:
    bookmarks = state["bookmarks"]
    return {name for name, part in bookmarks.items() if "searched_until" in part}


def test_a_streams_mark_moves_when_its_rows_were_written(account: Account) -> None:
    account.talk(1, "a")

    output = account.run_some(["chat_history", "conversations"])

    lines = output.messages
    last = max(n for n, m in enumerate(lines) if m.get("stream") == "conversations")
    before = [m["value"] for m in lines[:last] if m["type"] == "STATE"]
    assert marks(before[-1]) == {"chat_history"}
    assert marks(output.state) == {"chat_history", "conversations"}


def test_talks_alone_can_be_selected(account: Account) -> None:
    account.talk(1, "a")
    account.message("a")

    output = account.run_some(["talks"])

    assert talk_ids(output) == [1]
    assert account.asked() == []


def test_without_the_messages_a_run_goes_on_where_its_last_one_ended(
    account: Account,
) -> None:
    account.talk(1, "a")
    first = account.run_some(TELLING)
    account.now += 10 * DAY
    account.talk(2, "b")
    account.event(talk_id=2)

    second = account.run_some(TELLING, first.state)

    assert (talk_ids(first), told(first)) == ([1], ["a"])
    assert (talk_ids(second), told(second)) == ([2], ["b"])


def test_what_was_found_without_the_messages_is_read_by_a_later_run(
    account: Account,
) -> None:
    account.talk(1, "a")
    account.message("a", 5 * DAY)
    account.event(talk_id=1)
    first = account.run()
    account.now += 10 * DAY
    account.message("a")
    account.event(talk_id=1)
    second = account.run_some(TELLING, first.state)
    account.now += 10 * DAY

    third = account.run(second.state)

    assert names(second) == []
    assert names(third) == ["m2"]


def test_a_stream_that_lags_gets_what_it_missed_and_the_others_do_not(
    account: Account,
) -> None:
    account.talk(1, "a")
    account.event(talk_id=1)
    account.now += 5 * DAY
    first = account.run()
    account.now += 5 * DAY
    account.talk(2, "b")
    account.event(talk_id=2)
    account.now += 5 * DAY
    second = account.run_some(["chat_history", "conversations"], first.state)
    account.now += 10 * DAY
    account.talk(3, "c")
    account.event(talk_id=3)

    third = account.run(second.state)

    assert told(second) == ["b"]
    assert talk_ids(third) == [2, 3]
    assert told(third) == ["c"]


def test_a_stream_that_was_added_later_gets_what_there_was_before(
    account: Account,
) -> None:
    account.talk(1, "a")
    account.event(talk_id=1)
    account.now += 5 * DAY
    first = account.run_some(["chat_history", "conversations"])
    account.now += 10 * DAY

    second = account.run(first.state)

    assert talk_ids(second) == [1]
    assert told(second) == []
    assert account.asked() == ["a"]


def test_a_talk_in_which_something_happened_is_told_though_its_own_time_stays(
    account: Account,
) -> None:
    account.talk(1, "a")
    account.talk(2, "b")
    account.now += 5 * DAY
    first = account.run_some(["talks"])
    account.now += 10 * DAY
    account.event(talk_id=1)

    second = account.run(first.state)

    assert talk_ids(second) == [1]
    assert told(second) == ["a", "b"]
