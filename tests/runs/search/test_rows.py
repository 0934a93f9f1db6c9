"""What the rows of conversations and talks tell of a search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.account import DAY, START, Account

if TYPE_CHECKING:
    from pathlib import Path


def test_a_conversation_tells_when_something_happened_and_what_became_of_it(
    account: Account,
) -> None:
    account.talk(1, "a", updated_at=START // 1000 - 60)
    account.talk(2, "a")
    account.message("a")

    (row,) = account.run().records_of("conversations")

    assert row["sources"] == ["crm"]
    assert row["outcome"] == "read"
    assert row["newest_message_at"] == "2025-10-09T08:53:20.000+00:00"
    assert row["last_activity_at"] == "2025-10-09T08:53:20.000+00:00"


def test_a_row_of_a_conversation_knows_what_the_one_it_replaces_knew(
    account: Account,
) -> None:
    account.talk(1, "a", contact_id=7)
    account.message("a")
    first = account.run(conversation_ids=["a"])
    account.now += 10 * DAY

    second = account.run(first.state, conversation_ids=["a"])

    (before,) = first.records_of("conversations")
    (after,) = second.records_of("conversations")
    assert {name: value is None for name, value in before.items()} == {
        name: value is None for name, value in after.items()
    }
    assert [row["contact_id"] for row in first.records_of("talks")] == [7]


def test_a_list_beside_the_crm_has_no_row_when_nothing_happened(
    account: Account, tmp_path: Path
) -> None:
    account.message("listed", 6 * DAY)
    path = tmp_path / "chats.csv"
    path.write_text("conversation_id,updated_at\nlisted,2025-10-03\n", "utf-8")
    first = account.run(conversations_file=str(path))
    account.now += 10 * DAY

    second = account.run(first.state, conversations_file=str(path))

    (row,) = first.records_of("conversations")
    assert row["newest_message_at"] == "2025-10-03T08:53:20.000+00:00"
    assert second.records_of("conversations") == []


def test_a_run_without_the_messages_keeps_what_earlier_ones_read(
    account: Account,
) -> None:
    account.talk(1, "a")
    account.message("a")
    account.event(talk_id=1)
    account.now += DAY
    first = account.run()
    account.now += 10 * DAY
    account.event(talk_id=1)

    second = account.run_some(["conversations"], first.state)

    (row,) = second.records_of("conversations")
    assert row["outcome"] is None
    assert row["newest_message_at"] == "2025-10-09T08:53:20.000+00:00"


def test_a_talk_travels_as_the_crm_gave_it(account: Account) -> None:
    account.talk(1, "a", rate=4, brand_new={"deep": [1]})
    (given,) = account.crm.store.talks.all()

    (row,) = account.run().records_of("talks")

    extra = row.pop("extra")
    assert {**row, **extra} == given
    assert extra["brand_new"] == {"deep": [1]}


def test_a_later_run_tells_the_talks_it_saw_only(account: Account) -> None:
    account.talk(1, "a")
    account.talk(2, "b")
    first = account.run()
    account.now += 10 * DAY
    account.event(talk_id=2)

    second = account.run(first.state)

    assert [row["talk_id"] for row in first.records_of("talks")] == [1, 2]
    assert [row["talk_id"] for row in second.records_of("talks")] == [2]


def test_talks_that_were_not_written_are_told_by_the_next_run(account: Account) -> None:
    account.talk(1, "a")
    account.message("a")
    lines = account.run().messages
    talks = next(n for n, m in enumerate(lines) if m.get("stream") == "talks")
    written = lines[:talks]
    states = [m["value"] for m in written if m["type"] == "STATE"]
    account.now += 10 * DAY

    second = account.run(states[-1])

    assert [row["talk_id"] for row in second.records_of("talks")] == [1]
