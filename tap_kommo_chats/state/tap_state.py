"""The whole state of a run: the bookmarks, and a search mark for each stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_kommo_chats.state.bookmarks import Bookmarks
from tap_kommo_chats.state.layout import (
    MESSAGES,
    MIRRORED,
    SEARCHED,
    TALK_MESSAGES,
)
from tap_kommo_chats.state.read_chats import ReadChats
from tap_kommo_chats.state.search_mark import SearchMark
from tap_kommo_chats.state.written import Written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tap_kommo_chats.sharding import Shard


class TapState:
    """What a run goes on from.

    Attributes:
        bookmarks: How far each conversation was read.
        talks: How far each talk of a native channel was; None where none is read.
        chats: Through which talk each chat of these was read last.
        marks: The search mark of each selected stream that lives off the search, by
            its name.
        written: What is remembered of the rows of each selected stream that mirrors
            the CRM, by its name.
    """

    def __init__(
        self,
        part_of: Callable[[str], dict[str, Any]],
        selected: Iterable[str],
        lookback_ms: int = 0,
        made_of: str = "",
    ) -> None:
        """Take over a state that was checked.

        Args:
            part_of: Gives a stream's part of the state, to be changed in place.
            selected: The names of the selected streams.
            lookback_ms: See `Bookmarks`.
            made_of: See `Bookmarks`.
        """
        self.bookmarks = Bookmarks(part_of(MESSAGES), lookback_ms, made_of)
        streams = list(selected)
        self.talks: Bookmarks | None = None
        self.chats: ReadChats | None = None
        if TALK_MESSAGES in streams:
            self.talks = Bookmarks(part_of(TALK_MESSAGES), lookback_ms, made_of)
            self.chats = ReadChats(part_of(TALK_MESSAGES))
        self.marks = {
            stream: SearchMark(part_of(stream))
            for stream in streams
            if stream in SEARCHED
        }
        self.written = {
            stream: Written(part_of(stream), made_of)
            for stream in streams
            if stream in MIRRORED
        }

    def take_shard(self, shard: Shard) -> str | None:
        """Make the state that of one shard, for the selected streams.

        Returns:
            What an operator should know of it, in one line; None when nothing changed.
        """
        note = self.bookmarks.take_shard(shard) if MESSAGES in self.marks else None
        if self.talks is not None:
            note = self.talks.take_shard(shard) or note
        for mark in self.marks.values():
            mark.take_shard(shard)
        return note
