"""Up to when the CRM was searched for a stream, as it stands in the Singer state.

Each stream that lives off the search has a mark of its own. It moves when the stream
has written all that the search found. So one that was not selected, or came later, or
was cut short, gets what it missed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_kommo_chats.sharding import WHOLE, Shard
from tap_kommo_chats.state.layout import (
    EVENTS,
    NUMBERS,
    REFUSED,
    SEARCHED_UNTIL,
    SHARD,
    THIS_VERSION,
    VERSION,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class SearchMark:
    """The mark of one stream."""

    def __init__(self, state: dict[str, Any]) -> None:
        """Take over a stream's part of a state that was checked.

        Args:
            state: It is changed in place, so that what stands here is written out.
        """
        self._state = state

    @property
    def is_set(self) -> bool:
        """Whether the CRM was ever searched for the stream, for any origin."""
        return bool(self._state.get(SEARCHED_UNTIL))

    @property
    def is_refused(self) -> bool:
        """Whether the CRM refused the stream when it was asked for it last."""
        return REFUSED in self._state

    def refuse(self, start_ms: int) -> None:
        """Note that it did, in the run that started at a time since 1970."""
        self._state.setdefault(REFUSED, start_ms)

    def allow(self) -> None:
        """Note that it does not any more."""
        self._state.pop(REFUSED, None)

    def has_others(self, origins: Iterable[str]) -> bool:
        """Tell whether the CRM was searched for origins that are not among these."""
        return bool(self._state.get(SEARCHED_UNTIL, {}).keys() - set(origins))

    def until_ms(self, origins: Iterable[str]) -> int | None:
        """Tell up to when the events of some origins were gone through.

        Returns:
            Milliseconds since 1970; None when for one of them they never were.
        """
        until = self._state.get(SEARCHED_UNTIL, {})
        times = [until.get(origin) for origin in origins]
        return None if None in times else min(times)

    @property
    def events(self) -> Mapping[str, str]:
        """What the last search remembered of the events it found."""
        events: dict[str, str] = self._state.get(EVENTS, {})
        return events

    def next_number(self, origins: Iterable[str], first: int) -> int:
        """Tell up to where talks were asked for by their numbers.

        Args:
            origins: The origins that are looked for.
            first: The number at which that begins.

        Returns:
            The number of the next one.
        """
        numbers: dict[str, int] = self._state.get(NUMBERS, {})
        return max(first, min(numbers.get(f"{first} {o}", first) for o in origins))

    def move_number(self, origins: Iterable[str], first: int, following: int) -> None:
        """Note that all of the talks before a number was written, or is owed."""
        keys = [f"{first} {origin}" for origin in sorted(origins)]
        self._state[NUMBERS] = dict.fromkeys(keys, following)

    def move(
        self, origins: Iterable[str], start_ms: int, events: Mapping[str, str]
    ) -> None:
        """Note that all with events before a run was written, or is owed.

        Args:
            origins: The origins that were looked for.
            start_ms: When the run started, in milliseconds since 1970.
            events: What the search remembers of them.
        """
        self._state[EVENTS] = dict(events)
        self._state[VERSION] = THIS_VERSION
        self._state[SEARCHED_UNTIL] = dict.fromkeys(sorted(origins), start_ms)

    def take_shard(self, shard: Shard) -> Shard:
        """Make the mark that of one shard.

        When it is of another part of the conversations, the CRM has to be searched
        from the beginning.

        Returns:
            The shard it was of.
        """
        before = Shard.parse(self._state.get(SHARD, str(WHOLE)))
        if shard == WHOLE:
            self._state.pop(SHARD, None)
        else:
            self._state[SHARD] = str(shard)
        if not shard.is_within(before):
            self._state.pop(SEARCHED_UNTIL, None)
            self._state.pop(EVENTS, None)
            self._state.pop(NUMBERS, None)
        return before
