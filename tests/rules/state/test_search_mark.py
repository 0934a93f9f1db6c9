"""Up to when the CRM was searched for a stream."""

from __future__ import annotations

from typing import Any

from tap_kommo_chats.sharding import WHOLE, Shard
from tap_kommo_chats.state.search_mark import SearchMark
from tap_kommo_chats.state.tap_state import TapState

RUN = 1_700_000_000_000


def mark(**state: Any) -> SearchMark:
    return SearchMark(state)


def test_what_was_never_searched_for_has_no_mark() -> None:
    assert mark().until_ms(["a"]) is None
    assert not mark().is_set


def test_a_mark_is_where_the_search_of_its_origins_ended() -> None:
    moved = mark()
    moved.move(["a", "b"], RUN)

    assert moved.until_ms(["a", "b"]) == RUN
    assert moved.until_ms(["b"]) == RUN


def test_the_origin_that_lags_most_counts() -> None:
    moved = mark(searched_until={"a": 7})
    moved.move(["b"], RUN)

    assert moved.until_ms(["a", "b"]) == 7


def test_a_new_origin_is_searched_for_from_the_beginning() -> None:
    assert mark(searched_until={"a": 7}).until_ms(["a", "new"]) is None


def test_a_part_of_the_shard_keeps_its_mark() -> None:
    half = mark(searched_until={"a": 7}, shard="1/2")

    assert half.take_shard(Shard(3, 4)) == Shard(1, 2)
    assert half.until_ms(["a"]) == 7


def test_another_shard_is_searched_for_from_the_beginning() -> None:
    half = mark(searched_until={"a": 7}, shard="1/2")

    half.take_shard(WHOLE)

    assert half.until_ms(["a"]) is None


def test_a_change_of_shards_reaches_every_selected_stream() -> None:
    parts: dict[str, dict[str, Any]] = {
        "chat_history": {"searched_until": {"a": 7}},
        "talks": {"searched_until": {"a": 7}, "shard": "1/2"},
    }
    state = TapState(lambda name: parts[name], ["chat_history", "talks"])

    state.take_shard(Shard(2, 2))

    assert state.marks["chat_history"].until_ms(["a"]) == 7
    assert state.marks["talks"].until_ms(["a"]) is None
    assert parts["chat_history"]["shard"] == parts["talks"]["shard"] == "2/2"


def test_without_the_messages_their_bookmarks_stay() -> None:
    parts: dict[str, dict[str, Any]] = {
        "chat_history": {"conversations": {"a": 1, "b": 2}, "read_since": RUN},
        "talks": {},
    }
    TapState(lambda name: parts[name], ["talks"]).take_shard(Shard(1, 2))

    assert parts["chat_history"]["conversations"] == {"a": 1, "b": 2}
