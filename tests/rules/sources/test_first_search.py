"""What a first search could not know."""

from __future__ import annotations

import pytest

from tap_kommo_chats.kommo.pages import Ending
from tap_kommo_chats.records.talks import Talk, read_talk
from tap_kommo_chats.sources.first_search import FirstSearch

DAY = 24 * 60 * 60
BEGAN = 1_750_000_000


def talk(talk_id: int, created_at: object = BEGAN) -> Talk:
    read = read_talk({"talk_id": talk_id, "created_at": created_at})
    assert read is not None
    return read


def listed(ids: range, ending: Ending = Ending.LAST) -> FirstSearch:
    first = FirstSearch(None)
    first.saw_talks(map(talk, ids), ending)
    return first


def test_a_list_that_has_all_that_events_name_has_no_gap() -> None:
    assert listed(range(1, 8)).list_gap(7) is None


def test_a_list_without_what_events_name_has_a_gap() -> None:
    gap = listed(range(1, 8)).list_gap(9)

    assert gap is not None
    assert "after 7, and events lead to 2 more" in gap


@pytest.mark.parametrize("ending", [Ending.FULL, Ending.ENDLESS])
def test_a_list_that_did_not_come_to_its_end_has_a_gap_if_numbers_go_far_beyond(
    ending: Ending,
) -> None:
    assert listed(range(901, 1001), ending).list_gap(100) is not None
    assert listed(range(1, 101), ending).list_gap(100) is None


def test_numbers_that_go_far_beyond_say_nothing_of_a_list_that_came_to_its_end() -> (
    None
):
    assert listed(range(901, 1000)).list_gap(99) is None


def test_a_list_of_as_many_as_one_page_may_have_been_cut_off() -> None:
    assert listed(range(751, 1001)).list_gap(250) is not None


def test_an_account_without_talks_has_no_gap() -> None:
    first = listed(range(0))

    assert first.list_gap(0) is None
    assert first.events_gap() is None


@pytest.mark.parametrize(
    ("after", "is_gap"), [(-DAY, False), (DAY, False), (2 * DAY, True)]
)
def test_events_have_a_gap_if_they_begin_a_day_after_the_first_talk(
    after: int, *, is_gap: bool
) -> None:
    first = listed(range(1, 3))
    first.saw_event((BEGAN + 9 * DAY) * 1000)
    first.saw_event((BEGAN + after) * 1000)

    assert (first.events_gap() is not None) is is_gap


def test_talks_without_any_event_are_a_gap() -> None:
    gap = listed(range(1, 3)).events_gap()

    assert gap is not None
    assert gap.startswith("it gives no events")


def test_talks_that_began_before_what_was_asked_for_are_no_gap() -> None:
    first = FirstSearch((BEGAN + DAY) * 1000)
    first.saw_talks([talk(1)], Ending.LAST)

    assert first.events_gap() is None


@pytest.mark.parametrize("created_at", [None, 0, -5, "soon", 2**62])
def test_a_talk_without_a_usable_time_says_nothing_of_events(
    created_at: object,
) -> None:
    first = FirstSearch(None)
    first.saw_talks([talk(1, created_at)], Ending.LAST)

    assert first.events_gap() is None
