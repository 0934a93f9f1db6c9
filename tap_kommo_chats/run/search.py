"""Which span of time the CRM is searched in, for all streams together and for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_kommo_chats.sources.events import Window
from tap_kommo_chats.sources.numbers import WayBack
from tap_kommo_chats.state.event_memory import EventMemory, quarter_begin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tap_kommo_chats.records.conversations import Conversation
    from tap_kommo_chats.settings.values import CrmSettings
    from tap_kommo_chats.sources.events import Event
    from tap_kommo_chats.state.search_mark import SearchMark


@dataclass(frozen=True, slots=True)
class Search:
    """One search for several streams. A stream that lags gets what it missed.

    Attributes:
        window: The time to look at, which is that of the stream that lags most.
        since_ms: For each stream that lags less, where its own time begins, in
            milliseconds since 1970.
    """

    window: Window
    since_ms: Mapping[str, int]


def plan_search(
    until_ms: Mapping[str, int | None],
    *,
    margin_ms: int,
    start_ms: int | None,
    started_ms: int,
) -> Search:
    """Say which time to look at.

    Args:
        until_ms: By stream, up to when the CRM was searched for it, in milliseconds
            since 1970; None when it never was.
        margin_ms: How long an event may be late to show up, in milliseconds.
        start_ms: What happened before it is not wanted, in milliseconds since 1970;
            None when all is.
        started_ms: When the run began, in milliseconds since 1970.
    """
    begins = {
        stream: start_ms if until is None else quarter_begin(until - margin_ms)
        for stream, until in until_ms.items()
    }
    is_first = None in until_ms.values()
    known = [begin for begin in begins.values() if begin is not None]
    from_ms = None if None in begins.values() else min(known)
    return Search(
        Window(start_ms if is_first else from_ms, started_ms, is_first=is_first),
        {
            stream: begin
            for stream, begin in begins.items()
            if begin is not None
            and until_ms[stream] is not None
            and (is_first or from_ms is None or begin > from_ms)
        },
    )


def remembered(
    search: Search, crm: CrmSettings, marks: Mapping[str, SearchMark]
) -> EventMemory[Event]:
    """Take over what the last search acted on, if it did for all streams alike."""
    each = list(marks.values())
    if (
        search.window.is_first
        or search.since_ms
        or any(mark.events != each[0].events for mark in each)
    ):
        return EventMemory({}, None)
    return EventMemory(each[0].events, each[0].until_ms(crm.origins.names))


def plan_way_back(
    crm: CrmSettings,
    marks: Mapping[str, SearchMark],
    is_read: Callable[[Conversation], bool],
) -> WayBack | None:
    """Say from which number on talks are asked for; None when none is left.

    Args:
        crm: Says which are wanted.
        marks: The search mark of each selected stream, by its name.
        is_read: Tells what needs no reading because it turns up.
    """
    if crm.numbers is None or not marks:
        return None
    first = crm.numbers.first
    begin = min(mark.next_number(crm.origins.names, first) for mark in marks.values())
    return WayBack(crm.numbers, begin, is_read) if begin <= crm.numbers.last else None
