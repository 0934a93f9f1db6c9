"""The walk through one conversation, as pure state: no server, no socket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests import Response

from tap_kommo_chats.kommo.pagination import (
    PAGE_SIZE,
    EmptiedError,
    HistoryPaginator,
    PagingError,
)
from tap_kommo_chats.records.messages import Row, read_row

Value = dict[str, Any]
BetweenPages = Callable[[int, list[Value]], None]
"""Is given the number of requests so far, and the server's list to change."""

REQUESTS_AT_MOST = 2_000


def value(name: object, seconds: int = 1_700_000_000, text: str = "") -> Value:
    return {"timestamp": seconds, "message": {"id": f"m{name}", "text": text}}


def history(length: int) -> list[Value]:
    """Messages m0 (the newest) to m{length - 1}, one a minute."""
    return [value(n, 1_700_000_000 - 60 * n) for n in range(length)]


@dataclass
class Walk:
    offsets: list[int] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    newest_first: bool = True

    @property
    def ids(self) -> list[str]:
        return [str(row.message_id) for row in self.rows]


def walk(
    server: list[Value],
    between: BetweenPages = lambda _requests, _server: None,
    cutoff_ms: int | None = None,
) -> Walk:
    paginator = HistoryPaginator(cutoff_ms)
    seen = Walk()
    while not paginator.finished:
        assert len(seen.offsets) < REQUESTS_AT_MOST, "the walk does not end"
        offset = paginator.current_value
        seen.offsets.append(offset)
        page = paginator.accept(
            [
                read_row(row, offset + place)
                for place, row in enumerate(server[offset : offset + PAGE_SIZE])
            ]
        )
        seen.rows.extend(page.rows)
        seen.newest_first = page.newest_first
        paginator.advance(Response())
        between(len(seen.offsets), server)
    return seen


@pytest.mark.parametrize(
    ("length", "requests"),
    [
        (0, 1),
        (1, 1),
        (49, 1),
        (50, 2),
        (51, 2),
        (98, 2),
        (99, 3),
        (100, 3),
        (101, 3),
        (1000, 21),
        (1200, 25),
    ],
)
def test_every_row_is_read_once_in_as_few_requests(length: int, requests: int) -> None:
    seen = walk(history(length))

    assert seen.ids == [f"m{n}" for n in range(length)]
    assert len(seen.offsets) == requests


def test_each_page_starts_with_the_last_row_of_the_one_before() -> None:
    assert walk(history(120)).offsets == [0, 49, 98]


@pytest.mark.parametrize("requests", [1, 2])
@pytest.mark.parametrize("count", [1, 2, 30, 49, 50, 70, 119])
def test_rows_that_vanish_anywhere_hide_none_that_stay(
    requests: int, count: int
) -> None:
    for position in range(120 - count + 1):
        server = history(120)

        def vanish(done: int, rows: list[Value], at: int = position) -> None:
            if done == requests:
                del rows[at : at + count]

        seen = walk(server, vanish)

        assert {row["message"]["id"] for row in server} <= set(seen.ids)


@pytest.mark.parametrize("requests", [1, 2])
@pytest.mark.parametrize("count", [1, 2, 30, 49, 50, 70, 200])
def test_rows_that_appear_anywhere_hide_none_that_were_there(
    requests: int, count: int
) -> None:
    for position in range(121):
        server = history(120)

        def appear(done: int, rows: list[Value], at: int = position) -> None:
            if done == requests:
                rows[at:at] = [value(f"new{n}") for n in range(count)]

        seen = walk(server, appear)

        assert {f"m{n}" for n in range(120)} <= set(seen.ids)


@pytest.mark.parametrize(("count", "requests"), [(1, 1), (5, 3), (30, 5)])
def test_rows_that_vanish_cost_few_requests(count: int, requests: int) -> None:
    def vanish(done: int, rows: list[Value]) -> None:
        if done == 1:
            del rows[:count]

    more = len(walk(history(1200), vanish).offsets) - len(walk(history(1200)).offsets)

    assert more <= requests


def test_a_row_that_vanishes_at_every_request_does_not_stop_the_walk() -> None:
    server = history(1000)

    def vanish(_done: int, rows: list[Value]) -> None:
        if rows:
            del rows[0]

    seen = walk(server, vanish)

    assert {row["message"]["id"] for row in server} <= set(seen.ids)
    assert len(seen.offsets) <= 1.6 * 1000 / PAGE_SIZE


def test_nothing_where_the_next_page_should_start_is_not_taken_for_the_end() -> None:
    def vanish(done: int, rows: list[Value]) -> None:
        if done == 1:
            del rows[5:25]

    seen = walk(history(60), vanish)

    assert seen.ids[-10:] == [f"m{n}" for n in range(50, 60)]


def test_a_conversation_that_had_rows_and_then_none_was_not_read() -> None:
    def vanish(done: int, rows: list[Value]) -> None:
        if done == 1:
            rows.clear()

    with pytest.raises(EmptiedError, match="gave 50 message"):
        walk(history(260), vanish)


def test_a_server_that_gives_its_first_page_only_is_found_out() -> None:
    class First(list[Value]):
        """A list of which the first page comes, and nothing else."""

        asked = 0

        def __getitem__(self, key: Any) -> Any:
            self.asked += 1
            return [] if key.start else super().__getitem__(key)

    server = First(history(260))

    with pytest.raises(EmptiedError):
        walk(server)
    assert server.asked < 50


def test_a_page_with_no_row_is_no_end_while_the_one_before_it_has_some() -> None:
    def vanish(done: int, rows: list[Value]) -> None:
        if done == 1:
            del rows[20:]

    assert walk(history(50), vanish).ids == [f"m{n}" for n in range(50)]


@pytest.mark.parametrize("count", [20, 49, 50, 60, 120, 200])
def test_rows_that_repeat_are_given_once(count: int) -> None:
    def arrive(done: int, rows: list[Value]) -> None:
        if done == 2:
            rows[0:0] = [value(f"new{n}") for n in range(count)]

    seen = walk(history(290), arrive)

    assert len(seen.ids) == len(set(seen.ids))
    assert set(seen.ids) >= {f"m{n}" for n in range(290)}


def test_a_row_that_was_edited_before_it_repeats_is_given_again() -> None:
    def edit(done: int, rows: list[Value]) -> None:
        if done == 1:
            rows[49] = value(49, 1_700_000_000 - 60 * 49, text="edited")

    seen = walk(history(60), edit)

    assert [
        row.value["message"]["text"] for row in seen.rows if row.message_id == "m49"
    ]
    assert seen.ids.count("m49") == 2


def test_one_id_with_two_contents_on_a_page_is_given_twice() -> None:
    assert walk([value(1), value(1, text="other")]).ids == ["m1", "m1"]


def test_rows_that_cannot_be_told_apart_are_each_given() -> None:
    server: list[Any] = [None if n % 2 else {"n": n} for n in range(120)]

    assert [row.value for row in walk(server).rows] == server


def test_rows_that_cannot_be_told_apart_hide_no_gap() -> None:
    server: list[Any] = history(300)
    server[::10] = [None] * 30

    def vanish(done: int, rows: list[Any]) -> None:
        if done == 1:
            del rows[:30]

    seen = walk(server, vanish)

    stayed = {row["message"]["id"] for row in server if row is not None}
    assert stayed <= set(seen.ids)


def test_a_page_of_rows_that_cannot_be_told_apart_does_not_stop_the_walk() -> None:
    server: list[Any] = [*history(60), *[None] * 200, *history(60)]

    assert len(walk(server).rows) >= 260


def test_an_id_that_stands_at_two_places_hides_no_gap() -> None:
    server = history(300)
    server[120] = dict(server[10])

    def vanish(done: int, rows: list[Value]) -> None:
        if done == 1:
            del rows[:45]

    seen = walk(server, vanish)

    assert {row["message"]["id"] for row in server} <= set(seen.ids)


def test_a_page_longer_than_asked_for_is_read_whole() -> None:
    paginator = HistoryPaginator()
    rows = [read_row(row, place) for place, row in enumerate(history(500))]

    assert len(paginator.accept(rows).rows) == 500
    paginator.advance(Response())

    assert (paginator.current_value, paginator.finished) == (499, False)


@pytest.mark.parametrize("turned", [0, 20])
def test_a_server_that_ignores_the_offset_is_found_out(turned: int) -> None:
    class Stuck(list[Value]):
        """A list that gives the same rows whatever is asked for."""

        first = 0

        def __getitem__(self, _key: Any) -> Any:
            self.first = (self.first + turned) % PAGE_SIZE
            page = history(PAGE_SIZE)
            return page[self.first :] + page[: self.first]

    with pytest.raises(PagingError, match="same rows"):
        walk(Stuck())


# The cut-off: histories here have a message a minute, m0 the newest.


def cutoff_at(place: int) -> int:
    """The time of message m{place}, in milliseconds."""
    return (1_700_000_000 - 60 * place) * 1000


def test_the_walk_ends_with_the_first_page_that_ends_before_the_cutoff() -> None:
    seen = walk(history(1000), cutoff_ms=cutoff_at(60))

    assert seen.offsets == [0, 49]


def test_a_page_that_ends_exactly_at_the_cutoff_is_not_the_last() -> None:
    assert walk(history(1000), cutoff_ms=cutoff_at(49)).offsets == [0, 49]


def test_a_page_that_ends_before_the_cutoff_is_the_last() -> None:
    assert walk(history(1000), cutoff_ms=cutoff_at(44)).offsets == [0]


@pytest.mark.parametrize("place", range(45, 50))
def test_a_single_message_with_an_old_time_does_not_end_the_walk(place: int) -> None:
    server = history(1000)
    server[place]["timestamp"] = 1_000_000_000

    seen = walk(server, cutoff_ms=cutoff_at(500))

    assert {f"m{n}" for n in range(501)} <= set(seen.ids)


def test_a_last_row_without_milliseconds_ends_no_walk_within_its_second() -> None:
    server = history(1000)
    for row in server[40:50]:
        row["timestamp"] = 1_700_000_000 - 60 * 49

    assert len(walk(server, cutoff_ms=cutoff_at(49) + 500).offsets) > 1


def test_an_order_that_is_not_newest_first_is_told_and_read_to_its_end() -> None:
    server = history(200)
    server[3], server[7] = server[7], server[3]

    seen = walk(server, cutoff_ms=cutoff_at(10))

    assert not seen.newest_first
    assert len(seen.ids) == 200


def test_rows_of_one_second_with_and_without_milliseconds_are_in_order() -> None:
    server = [
        {**value(0, 1_700_000_000), "msec_timestamp": 1_700_000_000_100},
        value(1, 1_700_000_000),
        {**value(2, 1_700_000_000), "msec_timestamp": 1_700_000_000_900},
    ]

    assert walk(server).newest_first


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_time_of_1970_or_before_neither_ends_a_walk_nor_breaks_its_order(
    seconds: int,
) -> None:
    server = history(120)
    server[10]["timestamp"] = server[49]["timestamp"] = seconds

    seen = walk(server, cutoff_ms=cutoff_at(110))

    assert seen.newest_first
    assert len(seen.ids) == 120


def test_rows_without_a_time_end_no_walk() -> None:
    server: list[Value] = [{"message": {"id": f"m{n}"}} for n in range(120)]

    assert len(walk(server, cutoff_ms=cutoff_at(0)).ids) == 120


Change = tuple[str, float, int]

CHANGES = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(["appear", "vanish", "edit"]),
            st.floats(0, 1),
            st.sampled_from([1, 2, 3, 10, 25, 49, 50, 51, 120]),
        ),
        max_size=3,
    ),
    max_size=12,
)


@given(length=st.integers(0, 400), blanks=st.sets(st.integers(0, 400)), changes=CHANGES)
def test_whatever_changes_between_pages_no_row_that_stays_is_missed(
    length: int, blanks: set[int], changes: list[list[Change]]
) -> None:
    server: list[Any] = history(length)
    for place in blanks:
        if place < length:
            server[place] = None
    initial = {row["message"]["id"] for row in server if row is not None}
    appeared = 0

    def change(done: int, rows: list[Any]) -> None:
        nonlocal appeared
        for kind, where, count in changes[done - 1] if done <= len(changes) else ():
            at = round(where * len(rows))
            if kind == "appear":
                rows[at:at] = [value(f"new{appeared + n}") for n in range(count)]
                appeared += count
            elif kind == "vanish":
                del rows[at : at + count]
            else:
                for place in range(at, min(at + count, len(rows))):
                    if rows[place] is None:
                        continue
                    edited = dict(rows[place], message=dict(rows[place]["message"]))
                    edited["message"]["text"] += "edited"
                    rows[place] = edited

    try:
        seen = walk(server, change)
    except EmptiedError:
        assert not server
        return

    now = {row["message"]["id"] for row in server if row is not None}
    assert initial & now <= set(seen.ids)
