"""Which events of an overlap have to be acted on again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_kommo_chats.state.event_memory import QUARTER_MS, EventMemory, quarter_begin

if TYPE_CHECKING:
    from random import Random

RUN = quarter_begin(1_700_000_000_000)


@dataclass(frozen=True)
class Event:
    event_id: str | None
    at_ms: int


def search(
    events: list[Event], memory: EventMemory[Event], page: int = 3
) -> list[Event]:
    """Go through events, newest first, and return those to act on."""
    walk = memory.walk()
    ordered = sorted(events, key=lambda event: -event.at_ms)
    acted = []
    for first in range(0, len(ordered), page):
        acted += walk.take(ordered[first : first + page])
    return acted + walk.end()


def after(events: list[Event], until_ms: int = RUN) -> EventMemory[Event]:
    """A memory of a search that found these."""
    first = EventMemory[Event]({}, None)
    search(events, first)
    return EventMemory(first.written(0), until_ms)


EVENTS = [Event(f"e{n}", RUN - n * 60_000) for n in range(100)]


def test_a_first_search_acts_on_everything() -> None:
    assert len(search(EVENTS, EventMemory({}, None))) == 100


def test_what_was_acted_on_is_not_acted_on_again() -> None:
    assert search(EVENTS, after(EVENTS)) == []


def test_what_is_new_is_acted_on_alone() -> None:
    new = Event("new", RUN + 1)

    assert search([*EVENTS, new], after(EVENTS)) == [new]


def test_a_late_event_lets_its_quarter_of_an_hour_be_acted_on() -> None:
    late = Event("late", RUN - 20 * 60_000)

    acted = search([*EVENTS, late], after(EVENTS))

    assert late in acted
    assert {e.at_ms // QUARTER_MS for e in acted} == {late.at_ms // QUARTER_MS}


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_an_event_that_comes_twice_because_pages_shift_counts_once(
    at_once: int,
) -> None:
    pages = [EVENTS[:50], EVENTS[49:99], EVENTS[98:]]
    first = EventMemory[Event]({}, None)
    walk = first.walk()
    for place in range(0, len(pages), at_once):
        walk.take([event for page in pages[place : place + at_once] for event in page])
    walk.end()

    assert search(EVENTS, EventMemory(first.written(0), RUN)) == []


def test_an_event_without_an_id_is_acted_on_each_time() -> None:
    nameless = Event(None, RUN - 60_000)

    assert search([*EVENTS, nameless], after([*EVENTS, nameless])) == [nameless]


def test_the_quarter_in_which_a_search_ended_is_compared_up_to_there() -> None:
    middle = RUN + QUARTER_MS // 2
    early, late = Event("early", middle - 1), Event("late", middle + 1)

    assert search([early, late], after([early], middle)) == [late]


def test_what_is_written_goes_back_as_far_as_the_next_search() -> None:
    memory = EventMemory[Event]({}, None)
    search(EVENTS, memory)

    written = memory.written(RUN - 2 * QUARTER_MS)

    assert sorted(int(q) * QUARTER_MS - RUN for q in written) == [
        -2 * QUARTER_MS,
        -QUARTER_MS,
        0,
    ]


@given(
    st.lists(st.integers(0, 100 * 60_000), max_size=40),
    st.lists(st.integers(-60_000, 100 * 60_000), max_size=5),
    st.randoms(use_true_random=False),
)
def test_nothing_that_came_meanwhile_is_passed_over_in_any_order(
    ages: list[int], new_ages: list[int], random: Random
) -> None:
    events = [Event(f"e{n}", RUN - age) for n, age in enumerate(ages)]
    new = [Event(f"n{n}", RUN - age) for n, age in enumerate(new_ages)]
    memory = after(events)
    shuffled = [*events, *new]
    random.shuffle(shuffled)
    walk = memory.walk()
    acted = []
    for first in range(0, len(shuffled), 4):
        acted += walk.take(shuffled[first : first + 4])
    acted += walk.end()

    assert set(new) <= set(acted)
