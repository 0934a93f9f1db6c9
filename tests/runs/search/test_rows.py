"""What the rows of conversations and talks tell of a search."""

from __future__ import annotations

from sandbox import OWN_ORIGIN
from tests.support.account import DAY, START, Account


def test_a_conversation_tells_its_talks_its_contact_and_its_lead(
    account: Account,
) -> None:
    account.talk(1, "a", contact_id=7, entity_id=70, updated_at=START // 1000 - 60)
    account.talk(2, "a", contact_id=8, entity_id=80)
    account.message("a")

    (row,) = account.run().records_of("conversations")

    assert row["talk_ids"] == [1, 2]
    assert (row["contact_id"], row["entity_type"], row["entity_id"]) == (8, "lead", 80)
    assert row["origin"] == OWN_ORIGIN
    assert row["sources"] == ["crm"]
    assert row["outcome"] == "read"
    assert row["newest_message_at"] == "2025-10-09T08:53:20.000+00:00"
    assert row["last_activity_at"] == "2025-10-09T08:53:20.000+00:00"


def test_a_contact_whose_number_is_text_is_told_too(account: Account) -> None:
    account.talk(1, "a", contact_id=0)
    account.crm.store.talks.update(1, contact_id="77")

    (row,) = account.run().records_of("conversations")

    assert row["contact_id"] == 77


def test_a_talk_travels_as_the_crm_gave_it(account: Account) -> None:
    account.talk(1, "a", rate=4, brand_new={"deep": [1]})
    (given,) = account.crm.store.talks.all()

    (row,) = account.run().records_of("talks")

    extra = row.pop("extra")
    assert row.pop("scope_id") == account.sandbox.scope_id
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
