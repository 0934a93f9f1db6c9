"""The search marks of the selected streams, for the channels that are looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_kommo_chats.state.known import margin_ms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_kommo_chats.settings.values import CrmSettings, Settings
    from tap_kommo_chats.state.search_mark import SearchMark


class Marks:
    """What the CRM was searched for, stream by stream.

    Attributes:
        counting: The marks by which a search is planned. What a stream that is refused
            missed is not looked for in vain by each run.
    """

    def __init__(self, marks: Mapping[str, SearchMark], settings: Settings) -> None:
        """Take over the mark of each selected stream.

        Args:
            marks: They are changed in place.
            settings: Say whether the CRM is searched, and for which channels.
        """
        self.counting: dict[str, SearchMark] = {
            name: mark for name, mark in marks.items() if not mark.is_refused
        } or dict(marks)
        self._all = marks
        self._margin_ms = margin_ms(settings.lookback_ms)
        self._crm: CrmSettings | None = settings.crm if settings.searches else None

    def searched_from_ms(self, stream: str) -> int | None:
        """Tell from when on what happened may not have been written for a stream.

        Returns:
            Milliseconds since 1970; None when nothing was ever written for it.
        """
        mark = self.counting.get(stream)
        if self._crm is None or mark is None:
            return None
        until_ms = mark.until_ms(self._crm.origins.names)
        return None if until_ms is None else max(0, until_ms - self._margin_ms)

    def refuse(self, stream: str, started_ms: int) -> None:
        """Note that a stream cannot be read, so that it keeps no other from going on.

        It gets what it missed by the second run after it can be read again.
        """
        if stream in self._all:
            self._all[stream].refuse(started_ms)

    def allow(self, stream: str) -> None:
        """Note that a stream can be read."""
        if stream in self._all:
            self._all[stream].allow()

    def move_number(self, stream: str, following: int) -> None:
        """Note up to where talks were asked for by their numbers for a stream."""
        crm, mark = self._crm, self.counting.get(stream)
        if crm is not None and crm.numbers is not None and mark is not None:
            mark.move_number(crm.origins.names, crm.numbers.first, following)

    def move(self, stream: str, started_ms: int, events: Mapping[str, str]) -> None:
        """Note that a stream has written all that a search found.

        Args:
            stream: Its name.
            started_ms: When the run began, in milliseconds since 1970.
            events: What the search remembers of its events.
        """
        crm, mark = self._crm, self.counting.get(stream)
        if crm is not None and mark is not None:
            mark.move(crm.origins.names, started_ms, events)
