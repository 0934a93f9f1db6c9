"""How far each conversation has been read, as it stands in the Singer state.

The state of the stream is

    {"conversations": {"<conversation id>": <milliseconds>, ...},
     "read_since": <milliseconds>,
     "owed": {"<conversation id>": <milliseconds>, ...},
     "discovered_until": {"<origin>": <milliseconds>, ...},
     "shard": "<number>/<of>"}

The number of a conversation is the time of the newest message that was read of it,
always before the start of the run that read it, and 0 when it had none. Since
`read_since` each of them was read: it is the start of the last run that read every
conversation it was to read, and of the first run until there is one. A conversation
that failed since then, or was not to be read, is owed: it has the `read_since` of its
own last reading, and 0 when it was never read. An object of numbers takes about 55
bytes a conversation, and Meltano can merge two of them.

`discovered_until` is there when conversations are found through the CRM: each of an
origin that had an event before then was read or is owed. `shard` is there when only
one part of the conversations is read.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from singer_sdk.exceptions import SyncError

from tap_kommo_chats.sharding import WHOLE, Shard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_CONVERSATIONS = "conversations"
_READ_SINCE = "read_since"
_OWED = "owed"
_DISCOVERED_UNTIL = "discovered_until"
_SHARD = "shard"

_BYTES_EACH = 56
_BIG_BYTES = 1_000_000
_OFTEN_SECONDS = 10.0
_SELDOM_SECONDS = 300.0
_SHARE_OF_RUN = 0.05


class StateError(SyncError):
    """The state is not one that this tap wrote.

    Reading everything again instead would be as silent as it is expensive.
    """

    def __init__(self, problem: str) -> None:
        """Say what is wrong and what to do.

        Args:
            problem: What is wrong, and where.
        """
        super().__init__(
            f"The state cannot be used: {problem}. Restore the last good state, or run "
            "with --full-refresh to read everything again",
        )


def check_state(state: object, stream: str, others: Iterable[str] = ()) -> None:
    """Check a whole state before the SDK takes it apart.

    Args:
        state: The state the tap was given; None and {} are an empty one.
        stream: The name of the stream that has bookmarks.
        others: The names of the streams that have none.

    Raises:
        StateError: If it is not one this tap wrote.
    """
    if not state:
        return
    bookmarks = state.get("bookmarks") if isinstance(state, dict) else None
    if not isinstance(bookmarks, dict):
        problem = 'it is not an object with "bookmarks"'
        raise StateError(problem)
    for name, bookmark in bookmarks.items():
        if name in others and bookmark in ({}, None):
            continue
        if name != stream:
            problem = f"it has bookmarks of {name!r}, which is no stream of this tap"
            raise StateError(problem)
        if not isinstance(bookmark, dict):
            problem = f"the bookmarks of {name!r} are not an object"
            raise StateError(problem)
        _check_layout(bookmark)


class Bookmarks:
    """The bookmarks of all conversations, kept in the stream's state."""

    def __init__(self, state: dict[str, Any]) -> None:
        """Take over a stream's state.

        Args:
            state: The state's part for the stream. It is changed in place, so that
                the SDK writes out what stands here.

        Raises:
            StateError: If it is not empty and not of the layout above.
        """
        _check_layout(state)
        self._state = state
        self._read_until: dict[str, int] = state.setdefault(_CONVERSATIONS, {})

    def discovered_until_ms(self, origins: Iterable[str]) -> int | None:
        """Tell up to when the CRM's events were gone through.

        Args:
            origins: The origins to read.

        Returns:
            Milliseconds since 1970; None when for one of them they never were.
        """
        until = self._state.get(_DISCOVERED_UNTIL, {})
        times = [until.get(origin) for origin in origins]
        return None if None in times else min(times)

    def hints_since_ms(self, origins: Iterable[str]) -> int:
        """Tell since when a hint is needed that something happened.

        What happened before was read, of all conversations that are in the state and
        not owed.

        Args:
            origins: The origins that are looked for in the CRM; none without one.

        Returns:
            Milliseconds since 1970. 0 when the CRM was searched, but never for one of
            these origins: what it told of that one was passed over.
        """
        read_since: int = self._state.get(_READ_SINCE, 0)
        if not self._state.get(_DISCOVERED_UNTIL) or not origins:
            return read_since
        return min(read_since, self.discovered_until_ms(origins) or 0)

    @property
    def is_empty(self) -> bool:
        """Whether no conversation was read so far."""
        return not self._read_until

    @property
    def owed_ids(self) -> tuple[str, ...]:
        """The conversations that must be asked for, whatever a hint says of them."""
        return tuple(self._state.get(_OWED, ()))

    @property
    def size_bytes(self) -> int:
        """About how long the state is as JSON."""
        return _BYTES_EACH * len(self._read_until)

    def cutoff_ms(self, conversation_id: str, lookback_ms: int) -> int | None:
        """Tell up to when a conversation needs no reading.

        Args:
            conversation_id: The conversation.
            lookback_ms: How long before the last reading a message may have been sent
                and still be new or edited, in milliseconds.

        Returns:
            Messages sent later than this are wanted, in milliseconds since 1970; None
            when the conversation was never read, so that all are.
        """
        read_until = self._read_until.get(conversation_id)
        if read_until is None:
            return None
        owed = self._state.get(_OWED, {})
        read_since: int = owed.get(conversation_id, self._state[_READ_SINCE])
        return min(read_until, read_since - lookback_ms)

    def is_covered(self, conversation_id: str) -> bool:
        """Tell whether a conversation was read, or known not to have changed, so far.

        Args:
            conversation_id: The conversation.
        """
        return conversation_id in self._read_until and not self.is_owed(conversation_id)

    def is_owed(self, conversation_id: str) -> bool:
        """Tell whether a conversation must be asked for, whatever a hint says of it.

        Args:
            conversation_id: The conversation.
        """
        return conversation_id in self._state.get(_OWED, ())

    def read_until_ms(self, conversation_id: str) -> int | None:
        """Return the time of the newest message read of a conversation.

        Args:
            conversation_id: The conversation.

        Returns:
            Milliseconds since 1970, 0 when it had no message; None when it was never
            read.
        """
        return self._read_until.get(conversation_id)

    def advance(self, conversation_id: str, newest_ms: int, start_ms: int) -> None:
        """Note that a conversation was read and all its records were written.

        Args:
            conversation_id: The conversation.
            newest_ms: The time of the newest message read, 0 when there was none.
            start_ms: When the run started. A message from the future, which some
                messenger's clock stamped, must not keep later ones out.
        """
        self._state.setdefault(_READ_SINCE, start_ms)
        before = self._read_until.get(conversation_id, 0)
        # In the second in which the run started more may come, perhaps without
        # milliseconds.
        latest_ms = start_ms // 1000 * 1000 - 1
        self._read_until[conversation_id] = max(before, min(newest_ms, latest_ms))
        self._state.get(_OWED, {}).pop(conversation_id, None)

    def owe(self, conversation_id: str) -> None:
        """Note that a conversation could not be read.

        Its bookmark stays.

        Args:
            conversation_id: The conversation.
        """
        read_since = (
            self._state[_READ_SINCE] if conversation_id in self._read_until else 0
        )
        self._state.setdefault(_OWED, {}).setdefault(conversation_id, read_since)

    def complete(self, start_ms: int, listed: Iterable[str] | None) -> None:
        """Note that a run read every conversation it was to read, or owes it.

        Args:
            start_ms: When the run started, in milliseconds since 1970.
            listed: The conversations that the sources named. The others of the state
                were not read since, and are owed too. None when a source names only
                those that changed.
        """
        if listed is not None:
            for conversation_id in self._read_until.keys() - set(listed):
                self.owe(conversation_id)
        self._state[_READ_SINCE] = start_ms
        if not self._state.get(_OWED, True):
            del self._state[_OWED]

    def note_discovery(self, start_ms: int, origins: Iterable[str]) -> None:
        """Note that all conversations with events before a run were read, or are owed.

        Args:
            start_ms: When the run started, in milliseconds since 1970.
            origins: The origins that were looked for.
        """
        until = self._state.setdefault(_DISCOVERED_UNTIL, {})
        until.update(dict.fromkeys(sorted(origins), start_ms))

    def take_shard(self, shard: Shard) -> str | None:
        """Make the state that of one shard.

        Bookmarks of other shards are left out. When the state knows only some of the
        shard's conversations, the CRM has to be searched from the beginning for the
        others, which are read whole.

        Args:
            shard: The run's shard.

        Returns:
            What an operator should know of it, in one line; None when nothing changed.
        """
        before = Shard.parse(self._state[_SHARD]) if _SHARD in self._state else WHOLE
        if shard == before:
            return None
        if shard == WHOLE:
            del self._state[_SHARD]
        else:
            self._state[_SHARD] = str(shard)
        is_within = shard.is_within(before)
        if not is_within:
            self._state.pop(_DISCOVERED_UNTIL, None)
        others = [id_ for id_ in self._read_until if not shard.holds(id_)]
        for conversation_id in others:
            del self._read_until[conversation_id]
        owed = self._state.get(_OWED, {})
        for conversation_id in [id_ for id_ in owed if not shard.holds(id_)]:
            del owed[conversation_id]
        if not self._read_until and not others:
            return None
        rest = ""
        if not is_within:
            rest = "; conversations of this shard that it does not know are read whole"
        return (
            f"The state is of shard {before} and the run is of shard {shard}: "
            f"{len(self._read_until)} bookmark(s) are kept and {len(others)} of other "
            f"shards left out{rest}"
        )


def _check_layout(state: Mapping[str, Any]) -> None:
    ours = {_CONVERSATIONS, _READ_SINCE, _OWED, _DISCOVERED_UNTIL, _SHARD}
    unknown = sorted(set(state) - ours)
    if unknown:
        problem = (
            f"the bookmarks of chat_history have {unknown[0]!r}, which this tap does "
            "not write (it keeps one time per conversation)"
        )
        raise StateError(problem)
    for part in (_CONVERSATIONS, _OWED, _DISCOVERED_UNTIL):
        times = state.get(part, {})
        if not isinstance(times, dict):
            problem = f"{part!r} is not an object"
            raise StateError(problem)
        for name, time_ms in times.items():
            if not _is_time(time_ms):
                problem = f"{part!r} has for {name!r} no time in milliseconds"
                raise StateError(problem)
    conversations = state.get(_CONVERSATIONS, {})
    if (conversations or _READ_SINCE in state) and not _is_time(state.get(_READ_SINCE)):
        problem = f"{_READ_SINCE!r} is missing or not a time in milliseconds"
        raise StateError(problem)
    try:
        Shard.parse(state.get(_SHARD, "1/1"))
    except ValueError:
        problem = f"{_SHARD!r} is not a shard such as 2/8"
        raise StateError(problem) from None


def _is_time(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


class StatePace:
    """Says when a STATE is due: often while it is small, never at much cost."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the clock.

        Args:
            clock: Tells the time in seconds, from any origin.
        """
        self._clock = clock
        self._next = clock() + _OFTEN_SECONDS

    def due(self) -> bool:
        """Tell whether a STATE should be written now."""
        return self._clock() >= self._next

    def wrote(self, seconds: float, size_bytes: int) -> None:
        """Note that a STATE was written.

        Args:
            seconds: How long writing it took.
            size_bytes: How long it is, about.
        """
        apart = _SELDOM_SECONDS if size_bytes > _BIG_BYTES else _OFTEN_SECONDS
        self._next = self._clock() + max(apart, seconds / _SHARE_OF_RUN)
