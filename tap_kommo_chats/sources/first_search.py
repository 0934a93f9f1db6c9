"""What a first search could not know. Pure.

Nobody promises that the list of talks goes to its end, or how long events are kept. A
conversation that neither names is unknown until something happens in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_kommo_chats.integers import read_id
from tap_kommo_chats.kommo.pages import PAGE, Ending
from tap_kommo_chats.times import CALENDAR_MS, DAY_MS, SECOND_MS, format_instant

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_kommo_chats.records.talks import Talk

_SPREAD = 2
"""Talks are numbered one after the other. Where the numbers go this many times as far
as the list, talks are missing from it, unless half of them were deleted."""


class FirstSearch:
    """What a first search saw of the list of talks, and of the events."""

    def __init__(self, from_ms: int | None) -> None:
        """Begin with nothing seen.

        Args:
            from_ms: What happened before was not asked for, in milliseconds since
                1970; None when all was.
        """
        self._from_ms = from_ms or 0
        self._listed = 0
        self._highest_id = 0
        self._ending: Ending | None = None
        self._first_talk_ms: int | None = None
        self._first_event_ms: int | None = None

    def saw_talks(self, talks: Iterable[Talk], ending: Ending | None) -> None:
        """Take in new talks of a page of the list, and how it ended, if it did."""
        self._ending = ending
        for talk in talks:
            self._listed += 1
            self._highest_id = max(self._highest_id, talk.talk_id)
            began_ms = (read_id(talk.value.get("created_at")) or 0) * SECOND_MS
            if began_ms in CALENDAR_MS and began_ms >= max(self._from_ms, 1):
                self._first_talk_ms = min(self._first_talk_ms or began_ms, began_ms)

    def saw_event(self, at_ms: int) -> None:
        """Take in when an event happened, in milliseconds since 1970."""
        self._first_event_ms = min(self._first_event_ms or at_ms, at_ms)

    def list_gap(self, seen: int) -> str | None:
        """Say that the list of talks ended early, if it did.

        Args:
            seen: How many talks there are in all, those that events led to included.
        """
        if seen > self._listed:
            return (
                f"its list of talks ended after {self._listed}, and events lead to "
                f"{seen - self._listed} more"
            )
        # Where a page has 100 talks, the third of a list of 250 is not a full one.
        may_go_on = self._ending is not Ending.LAST or self._listed % PAGE == 0
        if may_go_on and self._highest_id > _SPREAD * self._listed:
            return (
                f"its list of talks ended after {self._listed}, and they are numbered "
                f"up to {self._highest_id}"
            )
        return None

    def events_gap(self) -> str | None:
        """Say that the events do not go back to the first of the listed talks."""
        talk_ms, event_ms = self._first_talk_ms, self._first_event_ms
        # A day, because nobody promises that a talk and its first event agree.
        if talk_ms is None or (event_ms is not None and event_ms <= talk_ms + DAY_MS):
            return None
        begin = "it gives no events"
        if event_ms is not None:
            begin = f"its events begin at {format_instant(event_ms)}"
        return f"{begin}, and its talks at {format_instant(talk_ms)}"
