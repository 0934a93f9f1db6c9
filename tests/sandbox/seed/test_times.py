"""The invented things may happen on other days, and otherwise stay as they are."""

from __future__ import annotations

from datetime import date
from typing import Any

from sandbox import seeded_crm, seeded_store
from sandbox.seed.times import days_until

DAYS = 153
SECONDS = DAYS * 86_400
RECENT = range(1_600_000_000, 2_000_000_000)


def later(value: Any) -> Any:
    """Move every time in a value, in seconds or milliseconds."""
    if isinstance(value, dict):
        return {name: later(item) for name, item in value.items()}
    if isinstance(value, list):
        return [later(item) for item in value]
    if isinstance(value, int) and value in RECENT:
        return value + SECONDS
    if isinstance(value, int) and value // 1000 in RECENT:
        return value + SECONDS * 1000
    return value


def test_all_of_it_happens_so_many_days_later_and_nothing_else_changes() -> None:
    usual, moved = seeded_store(), seeded_store(DAYS)
    usual_crm, moved_crm = seeded_crm(usual), seeded_crm(moved, DAYS)

    for conversation_id in usual.conversation_ids():
        assert later(usual.rows(conversation_id)) == moved.rows(conversation_id)
    assert later(usual_crm.messages.all()) == moved_crm.messages.all()
    has_messages = [usual.size(t["chat_id"]) != 0 for t in usual_crm.talks.all()]
    for has, one, other in zip(
        has_messages,
        later(usual_crm.talks.all()),
        moved_crm.talks.all(),
        strict=True,
    ):
        # The talk of a chat without a message began with the first of all.
        assert one == other or not has


def test_it_ends_by_the_day_that_is_asked_for() -> None:
    day = date(2027, 2, 3)
    store = seeded_store(days_until(day))
    newest = max(
        row["timestamp"] for id_ in store.conversation_ids() for row in store.rows(id_)
    )

    begin = (day - date(1970, 1, 1)).days * 86_400
    assert begin - 14 * 86_400 < newest < begin
