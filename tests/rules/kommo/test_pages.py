"""A walk through the pages of a list ends, and not before its last page."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_kommo_chats.kommo import pages
from tap_kommo_chats.kommo.pages import Ending, Walk


def rows(*numbers: int) -> list[object]:
    return [{"id": number} for number in numbers]


def full(first: int = 0, size: int = 250) -> list[object]:
    return rows(*range(first, first + size))


def walked(answers: Any, *, at_most: int = 1000) -> tuple[list[str], Walk]:
    """Walk through what a function of the query and the number of the page answers."""
    walk = Walk("limit=250")
    query: str | None = "limit=250"
    asked: list[str] = []
    while query is not None:
        asked.append(query)
        assert len(asked) <= at_most
        query = walk.after(*answers(query, len(asked)))
    return asked, walk


def one_after_the_other(*answers: Any) -> Any:
    return lambda _query, number: answers[number - 1]


def test_links_are_followed_to_the_page_that_has_none() -> None:
    asked, walk = walked(
        one_after_the_other(
            (rows(1, 2), "page=2"), (rows(3), "page=3"), (rows(4), None)
        )
    )

    assert asked == ["limit=250", "page=2", "page=3"]
    assert walk.ending is Ending.LAST


def test_nothing_is_a_last_page() -> None:
    assert walked(one_after_the_other(([], None)))[1].ending is Ending.LAST


def test_a_page_that_names_itself_ends_the_walk() -> None:
    asked, walk = walked(lambda query, _number: (rows(1), query))

    assert len(asked) == 1
    assert walk.ending is Ending.ENDLESS


def test_a_link_back_to_a_page_that_was_seen_ends_the_walk() -> None:
    links = {"limit=250": "b", "b": "a", "a": "b"}
    asked, walk = walked(lambda query, number: (rows(number), links[query]))

    assert asked == ["limit=250", "b", "a"]
    assert walk.ending is Ending.ENDLESS


@pytest.mark.parametrize(
    "of",
    [
        lambda _number: [],
        lambda _number: rows(1, 2),
        lambda number: rows(number % 2),
        lambda number: [{"talk_id": 1, "updated_at": number}],
        lambda _number: ["no object"],
    ],
    ids=["empty", "the same", "two in turn", "changing", "odd"],
)
def test_pages_with_nothing_new_end_a_walk_though_each_has_a_link_of_its_own(
    of: Any,
) -> None:
    asked, walk = walked(lambda _query, number: (of(number), f"page={number + 1}"))

    assert len(asked) <= 5
    assert walk.ending is Ending.ENDLESS


def test_a_page_whose_rows_are_withheld_does_not_end_a_walk() -> None:
    asked, walk = walked(
        one_after_the_other(
            (rows(1), "page=2"), ([], "page=3"), ([], "page=4"), (rows(2), None)
        )
    )

    assert len(asked) == 4
    assert walk.ending is Ending.LAST


@pytest.mark.parametrize("size", [100, 250])
def test_behind_a_full_page_without_a_link_the_next_one_is_asked_for(size: int) -> None:
    asked, walk = walked(
        one_after_the_other((full(0, size), None), (full(size, 7), None))
    )

    assert [parse_qs(query) for query in asked] == [
        {"limit": ["250"]},
        {"limit": ["250"], "page": ["2"]},
    ]
    assert walk.ending is Ending.LAST


@pytest.mark.parametrize("beyond", [[], full()], ids=["nothing", "the same"])
def test_a_full_page_with_nothing_behind_it_may_not_be_the_last(
    beyond: list[object],
) -> None:
    asked, walk = walked(
        one_after_the_other(
            (full(), "limit=250&page=2"), (full(250), None), (beyond, None)
        )
    )

    assert parse_qs(asked[-1])["page"] == ["3"]
    assert walk.ending is Ending.FULL


def test_a_page_that_no_link_led_to_is_told_as_a_guess() -> None:
    walk = Walk("limit=250")

    walk.after(full(), "page=2")
    assert not walk.is_guess
    walk.after(full(250), None)
    assert walk.is_guess


def test_a_walk_of_ever_new_rows_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_PAGES_AT_MOST", 50)

    asked, walk = walked(
        lambda _query, number: (rows(number), f"page={number + 1}"), at_most=50
    )

    assert len(asked) == 50
    assert walk.ending is Ending.ENDLESS


ANSWERS = st.tuples(
    st.lists(st.integers(0, 5), max_size=3).map(lambda numbers: rows(*numbers))
    | st.just(full()),
    st.none() | st.sampled_from(["page=1", "page=2", "a", "", "fresh"]),
)


@given(st.lists(ANSWERS, min_size=1, max_size=8))
def test_whatever_a_few_pages_hold_and_name_a_walk_through_them_ends(
    answers: list[tuple[list[object], str | None]],
) -> None:
    def answer(_query: str, number: int) -> tuple[list[object], str | None]:
        held, link = answers[number % len(answers)]
        return held, f"page={number + 1}" if link == "fresh" else link

    _, walk = walked(answer, at_most=4 * (len(answers) + 4))

    assert walk.ending is not None


@given(st.integers(0, 2000), st.sampled_from([3, 50, 100, 250]), st.booleans())
def test_a_list_with_links_is_gone_through_whole(
    count: int,
    size: int,
    names_last: bool,  # noqa: FBT001 (hypothesis names it)
) -> None:
    seen: list[object] = []

    def answer(_query: str, number: int) -> tuple[list[object], str | None]:
        begin = (number - 1) * size
        held = rows(*range(begin, min(begin + size, count)))
        seen.extend(held)
        has_next = begin + size < count + (size if names_last and count else 0)
        return held, f"page={number + 1}" if has_next else None

    _, walk = walked(answer)

    assert seen == rows(*range(count))
    assert walk.ending is not Ending.ENDLESS
