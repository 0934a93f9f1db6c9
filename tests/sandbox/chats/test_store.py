"""The store: order, pages and changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.chats.store import ConversationStore, Row


def row(message_id: str, timestamp: int, **more: int) -> Row:
    return {
        "timestamp": timestamp,
        **more,
        "sender": {"id": "s"},
        "message": {"id": message_id, "type": "text", "text": message_id},
    }


def store_of(*rows: Row) -> ConversationStore:
    store = ConversationStore()
    for each in rows:
        store.add("chat", each)
    return store


def test_rows_come_newest_first_in_whatever_order_they_were_added() -> None:
    store = store_of(row("b", 20), row("c", 30), row("a", 10))
    assert store.message_ids("chat") == ["c", "b", "a"]


def test_of_two_rows_of_one_time_the_later_added_comes_first() -> None:
    store = store_of(row("a", 10), row("z", 20), row("b", 10))
    assert store.message_ids("chat") == ["z", "b", "a"]


def test_milliseconds_decide_within_a_second() -> None:
    store = store_of(
        row("late", 10, msec_timestamp=10_900),
        row("early", 10, msec_timestamp=10_100),
        row("seconds only", 10),
    )
    assert store.message_ids("chat") == ["late", "early", "seconds only"]


@given(
    times=st.lists(st.integers(0, 9), max_size=30),
    offset=st.integers(0, 40),
    limit=st.integers(1, 50),
)
def test_a_page_is_a_slice_of_all_rows(
    times: list[int], offset: int, limit: int
) -> None:
    store = store_of(*(row(str(number), time) for number, time in enumerate(times)))
    rows = store.rows("chat")
    assert store.page("chat", offset, limit) == rows[offset : offset + limit]
    assert [each["timestamp"] for each in rows] == sorted(times, reverse=True)


def test_a_row_is_served_as_it_was_added() -> None:
    added = row("a", 10, unknown=1)
    assert store_of(added).rows("chat") == [added]


def test_an_edit_changes_the_fields_named_and_leaves_the_row_at_its_place() -> None:
    store = store_of(row("a", 10), row("b", 20))
    store.edit("chat", "a", text="new", tag="t")
    assert store.message_ids("chat") == ["b", "a"]
    assert store.rows("chat")[1]["message"] == {
        "id": "a",
        "type": "text",
        "text": "new",
        "tag": "t",
    }


def test_a_page_that_was_taken_does_not_change_with_an_edit() -> None:
    store = store_of(row("a", 10))
    page = store.page("chat", 0, 50)
    store.edit("chat", "a", text="new")
    assert page == [row("a", 10)]


def test_a_field_may_have_the_name_of_an_argument() -> None:
    store = store_of(row("a", 10))
    store.edit("chat", "a", conversation_id="x", message_id="y")
    assert store.rows("chat")[0]["message"]["conversation_id"] == "x"


def test_a_removed_row_is_gone_and_its_conversation_stays() -> None:
    store = store_of(row("a", 10))
    store.remove("chat", "a")
    assert store.rows("chat") == []
    assert store.conversation_ids() == ["chat"]


def test_a_known_conversation_may_have_no_rows() -> None:
    store = store_of(row("a", 10))
    store.add_conversation("empty")
    store.add_conversation("chat")
    assert store.conversation_ids() == ["chat", "empty"]
    assert [store.size("chat"), store.size("empty"), store.size("unknown")] == [1, 0, 0]


def test_asking_for_an_unknown_conversation_does_not_make_it_known() -> None:
    store = ConversationStore()
    assert store.page("unknown", 0, 50) == store.rows("unknown") == []
    with pytest.raises(KeyError):
        store.remove("unknown", "a")
    assert store.conversation_ids() == []


def test_raw_rows_are_served_as_they_are_in_the_order_given() -> None:
    raw: list[object] = [row("a", 10), None, row("b", 20), {"message": 1}, "text", []]
    store = store_of(row("old", 10))
    store.put_raw("chat", raw)
    store.put_raw("new", raw[:1])
    assert store.rows("chat") == raw
    assert store.page("chat", 1, 3) == raw[1:4]
    assert [store.size("chat"), store.size("new")] == [6, 1]
    assert store.conversation_ids() == ["chat", "new"]


def test_changing_the_list_of_raw_rows_afterwards_changes_nothing() -> None:
    raw: list[object] = [row("b", 20), row("a", 10)]
    store = ConversationStore()
    store.put_raw("chat", raw)
    raw.clear()
    assert store.rows("chat") == [row("b", 20), row("a", 10)]


def test_messages_of_a_raw_conversation_cannot_be_added_edited_or_removed() -> None:
    store = ConversationStore()
    store.put_raw("chat", [row("a", 10)])
    with pytest.raises(ValueError, match="'chat' holds raw rows"):
        store.add("chat", row("b", 20))
    with pytest.raises(ValueError, match="raw"):
        store.edit("chat", "a", text="new")
    with pytest.raises(ValueError, match="raw"):
        store.remove("chat", "a")
    assert not store.add_newest("chat", {"message": {"id": "b"}})
    assert store.rows("chat") == [row("a", 10)]


def test_the_newest_message_is_newer_than_any_there_ever_was() -> None:
    store = store_of(row("b", 20), row("a", 10))
    store.remove("chat", "b")
    assert store.add_newest("chat", {"message": {"id": "c"}})
    assert store.rows("chat")[0] == {
        "timestamp": 21,
        "msec_timestamp": 21_000,
        "message": {"id": "c"},
    }
    store.remove_at("chat", 0)
    store.add_newest("chat", {"message": {"id": "d"}})
    assert store.rows("chat")[0]["timestamp"] == 22


def test_the_newest_message_may_be_the_first_but_makes_no_conversation_known() -> None:
    store = ConversationStore()
    store.add_conversation("empty")
    assert store.add_newest("empty", {"message": {"id": "a"}})
    assert not store.add_newest("unknown", {"message": {"id": "a"}})
    assert store.message_ids("empty") == ["a"]
    assert store.conversation_ids() == ["empty"]


@pytest.mark.parametrize(
    ("place", "gone"), [(0.0, "d"), (0.24, "d"), (0.25, "c"), (0.999, "a")]
)
def test_a_place_goes_from_the_newest_to_the_oldest(place: float, gone: str) -> None:
    store = store_of(*(row(name, time) for time, name in enumerate("abcd")))
    assert store.remove_at("chat", place)
    assert {*"abcd"} - {*store.message_ids("chat")} == {gone}


def test_there_may_be_no_message_at_a_place() -> None:
    store = ConversationStore()
    store.add_conversation("empty")
    assert not store.remove_at("empty", 0)
    assert not store.remove_at("unknown", 0)


def test_changing_an_unknown_message_is_an_error() -> None:
    store = store_of(row("a", 10))
    with pytest.raises(KeyError):
        store.edit("chat", "b", text="new")
    with pytest.raises(KeyError):
        store.remove("chat", "b")


def test_the_newest_time_is_that_of_the_newest_message_there_is() -> None:
    store = store_of(row("a", 10), row("b", 20, msec_timestamp=20_900))
    assert store.newest_at("chat") == 20
    store.remove("chat", "b")
    assert store.newest_at("chat") == 10


@pytest.mark.parametrize("chat", ["unknown", "empty", "raw"])
def test_where_no_message_can_be_looked_at_there_is_no_newest_time(chat: str) -> None:
    store = ConversationStore()
    store.add_conversation("empty")
    store.put_raw("raw", [row("a", 10)])
    assert store.newest_at(chat) is None


def test_who_asked_is_told_of_each_added_message_and_may_read_the_store() -> None:
    store = store_of(row("a", 10))
    told: list[tuple[str, int]] = []
    store.on_add.append(lambda chat: told.append((chat, store.size(chat))))
    store.add("chat", row("b", 20))
    store.add_newest("chat", {"message": {"id": "c"}})
    store.edit("chat", "a", text="new")
    store.remove("chat", "a")
    store.put_raw("chat", [])
    assert told == [("chat", 2), ("chat", 3)]
