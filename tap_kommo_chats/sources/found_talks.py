"""The file of all talks that searches of the CRM found, for runs that do not search.

Each line is a talk, as a list of conversations has it:

    {"searched": {...}, "account_id": 28805383}
    {"conversation_id": "...", "talk_id": 42, "origin": "waba",
     "created_at": 1764000000, "updated_at": 1764500000000, "account_id": 28805383}
    {"searched": {...}, "account_id": 28805383}

The first line is the mark of the searches that made it, as the state has one for a
stream. So for a file that is lost, or put back from a copy, the next search makes up.
The last line is the same, so that one that was cut off is told from a whole one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tap_kommo_chats.errors import RunError, StateError
from tap_kommo_chats.integers import read_id
from tap_kommo_chats.sources.file import LINE_AT_MOST
from tap_kommo_chats.sources.listing import (
    ACCOUNT_COLUMN,
    BEGIN_COLUMN,
    ID_COLUMN,
    MARK_COLUMN,
    ORIGIN_COLUMN,
    TALK_COLUMN,
    TIME_COLUMN,
)
from tap_kommo_chats.sources.places import is_there, opened, replaced
from tap_kommo_chats.state.layout import EVENTS, OF_A_SEARCH, check_part
from tap_kommo_chats.state.search_mark import SearchMark
from tap_kommo_chats.times import SECOND_MS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_kommo_chats.records.talks import Talk
    from tap_kommo_chats.state.seen_talks import SeenTalks

SETTING = "found_talks_file"

_USELESS = (
    f"{SETTING} holds what no search of this account wrote: name another file, or "
    "remove this one, and the next run searches the CRM from the beginning"
)
_NOT_WHOLE = (
    f"{SETTING} was cut off, or changed while the CRM was searched: put a whole copy "
    "in its place, or remove it, and the next run searches the CRM from the beginning"
)


class FoundTalks:
    """The file. It is read before a search, and replaced after it.

    Attributes:
        mark: Up to when the CRM was searched for it.
        is_there: Whether there was one.
    """

    def __init__(self, location: str, timeout: int, account_id: int | None) -> None:
        """Read its mark.

        Args:
            location: A path or a URL.
            timeout: Seconds to wait for a server.
            account_id: Kommo's number of the account whose talks they are; None when
                that is not known.

        Raises:
            RunError: If it cannot be read, or is no such file, or another account's.
        """
        self._location = location
        self._timeout = timeout
        self._account_id = account_id
        self._part: dict[str, Any] = {}
        self._head: str | None = None
        self.is_there = is_there(SETTING, location, timeout)
        if self.is_there:
            with opened(SETTING, location, timeout) as file:
                self._head = file.readline()
            self._part = self._read_mark(self._head)
        self.mark = SearchMark(self._part)

    def keep(self, seen: SeenTalks) -> None:
        """Write all talks that this search saw, beside those that it did not.

        Args:
            seen: The talks that it saw.

        Raises:
            RunError: If the file cannot be written. Then it stays as it was.
        """
        with replaced(SETTING, self._location, self._timeout) as file:
            mark = self._mark_line()
            file.write(mark)
            for line in self._others(seen):
                file.write(line)
            for talk, active_ms in seen.active():
                file.write(_line(self._entry(talk, active_ms)))
            file.write(mark)

    def _mark_line(self) -> str:
        mark = {MARK_COLUMN: self._part, ACCOUNT_COLUMN: self._account_id}
        if len(line := _line(mark)) <= LINE_AT_MOST:
            return line
        # Longer than a list's line may be. What was acted on is acted on once more.
        self._part.pop(EVENTS, None)
        return _line(mark)

    def _others(self, seen: SeenTalks) -> Iterator[str]:
        """Yield the lines of talks that were not seen. Of others the time counts."""
        if self._head is None:
            return
        with opened(SETTING, self._location, self._timeout) as file:
            is_as_it_was, last = file.readline() == self._head, ""
            for line in file:
                last = line
                if line == self._head:
                    continue
                entry = _decoded(line)
                talk_id = read_id(entry.get(TALK_COLUMN))
                active_ms = entry.get(TIME_COLUMN)
                if talk_id is None or type(active_ms) not in {int, type(None)}:
                    raise RunError(_USELESS)
                if not seen.note_active(talk_id, active_ms or 0):
                    yield line
        if not is_as_it_was or last != self._head:
            raise RunError(_NOT_WHOLE)

    def _read_mark(self, line: str) -> dict[str, Any]:
        head = _decoded(line)
        part = head.get(MARK_COLUMN)
        try:
            check_part(SETTING, part, OF_A_SEARCH)
        except StateError:
            raise RunError(_USELESS) from None
        if head.get(ACCOUNT_COLUMN) != self._account_id:
            raise RunError(_USELESS)
        return dict(part) if isinstance(part, dict) else {}

    def _entry(self, talk: Talk, active_ms: int | None) -> dict[str, object]:
        times = (active_ms or talk.updated_ms or 0, talk.began_ms)
        return {
            ID_COLUMN: talk.chat_id,
            TALK_COLUMN: talk.talk_id,
            ORIGIN_COLUMN: talk.origin,
            BEGIN_COLUMN: talk.began_ms // SECOND_MS or None,
            # A time before that is none, and would not be read.
            TIME_COLUMN: max(times) or None,
            ACCOUNT_COLUMN: read_id(talk.value.get("account_id")) or self._account_id,
        }


def _line(entry: Mapping[str, object]) -> str:
    return msgspec.json.encode(entry).decode() + "\n"


def _decoded(line: str) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(line)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise RunError(_USELESS)
    return value
