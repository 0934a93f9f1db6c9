"""How far each conversation has been read, as it stands in the Singer state.

The number of a conversation is the time of the newest message that was read of it, in
milliseconds since 1970: always before the start of the run that read it, and 0 when it
had none. Since `read_since` each of them was read: it is the start of the last run that
read every conversation it was to read, and of the first run until there is one. A
conversation that failed since then, or was not to be read, is owed: it has the
`read_since` of its own last reading, and 0 when it was never read. It keeps that when
its trouble is settled though it was not read: then it is asked for again when something
new happens, and goes on from there. An object of numbers takes about 55 bytes a
conversation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_kommo_chats.state.layout import (
    CONVERSATIONS,
    MESSAGES,
    OWED,
    READ_SINCE,
    THIS_VERSION,
    VERSION,
    Trouble,
    check_part,
)
from tap_kommo_chats.state.search_mark import SearchMark
from tap_kommo_chats.state.troubles import FAILED, Troubles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_kommo_chats.sharding import Shard

_BYTES_EACH = 56


class Bookmarks:
    """The bookmarks of all conversations, kept in the stream's state.

    Attributes:
        search_mark: Up to when the CRM was searched for the messages.
        troubles: What keeps conversations from being read.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        """Take over the state's part of the stream of messages.

        Args:
            state: It is changed in place, so that what stands here is written out.

        Raises:
            StateError: If it is not one this tap wrote.
        """
        check_part(MESSAGES, state)
        self._state = state
        self._state[VERSION] = THIS_VERSION
        self._read_until: dict[str, int] = state.setdefault(CONVERSATIONS, {})
        self.search_mark = SearchMark(state)
        self.troubles = Troubles(state, self._read_until)

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
        read_since: int = self._state.get(READ_SINCE, 0)
        if not self.search_mark.is_set or not origins:
            return read_since
        return min(read_since, self.search_mark.until_ms(origins) or 0)

    def has_others_than(self, conversation_ids: Iterable[str]) -> bool:
        """Tell whether a conversation was read that is none of some."""
        return not self._read_until.keys() <= set(conversation_ids)

    @property
    def is_empty(self) -> bool:
        """Whether no conversation was read so far."""
        return not self._read_until

    @property
    def owed_ids(self) -> tuple[str, ...]:
        """The conversations that must be asked for, whatever a hint says of them."""
        return tuple(filter(self.is_owed, self._state.get(OWED, ())))

    @property
    def size_bytes(self) -> int:
        """About how long the state is as JSON."""
        return _BYTES_EACH * len(self._read_until)

    def cutoff_ms(self, conversation_id: str, lookback_ms: int) -> int | None:
        """Tell up to when a conversation needs no reading.

        Args:
            conversation_id: Kommo's id of it.
            lookback_ms: How long before the last reading a message may have been sent
                and still be new or edited, in milliseconds.

        Returns:
            Messages sent later than this are wanted, in milliseconds since 1970; None
            when the conversation was never read, so that all are.
        """
        read_until = self._read_until.get(conversation_id)
        if read_until is None:
            return None
        owed = self._state.get(OWED, {})
        read_since: int = owed.get(conversation_id, self._state[READ_SINCE])
        return min(read_until, read_since - lookback_ms)

    def is_covered(self, conversation_id: str) -> bool:
        """Tell whether a conversation was read and nothing of it is owed."""
        return conversation_id in self._read_until and not self.is_owed(conversation_id)

    def is_owed(self, conversation_id: str) -> bool:
        """Tell whether a conversation must be asked for, whatever a hint says of it."""
        return conversation_id in self._state.get(
            OWED, ()
        ) and not self.troubles.is_settled(conversation_id)

    def failed_before(self, conversation_id: str) -> bool:
        """Tell whether a conversation could not be read in the last run that tried."""
        never_read = conversation_id not in self._read_until
        return self.troubles.kind_of(conversation_id) in FAILED or (
            never_read and self.is_owed(conversation_id)
        )

    def given_up_ms(self, conversation_id: str) -> int | None:
        """Tell when a conversation was given up.

        Returns:
            The start of that run, in milliseconds since 1970; None when it was not.
        """
        if self.troubles.kind_of(conversation_id) is not Trouble.GIVEN_UP:
            return None
        return self.troubles.since_ms(conversation_id)

    def expects_messages(self, conversation_id: str) -> bool:
        """Tell whether it is known to have messages, so that none would be odd."""
        return self.troubles.is_unread(conversation_id) or (
            bool(self._read_until.get(conversation_id))
            and self.troubles.kind_of(conversation_id)
            not in {Trouble.EMPTIED, Trouble.GONE}
        )

    def is_well(self, conversation_id: str) -> bool:
        """Tell whether a conversation was read before and nothing is wrong with it."""
        return (
            self.is_covered(conversation_id)
            and self.troubles.kind_of(conversation_id) is None
        )

    def well_ids(self) -> Iterator[str]:
        """Go through the conversations that are well, those with messages first.

        Bookmarks may move meanwhile.
        """
        known = list(self._read_until)
        for had_messages in (True, False):
            for conversation_id in known:
                had_some = bool(self._read_until.get(conversation_id))
                if had_some is had_messages and self.is_well(conversation_id):
                    yield conversation_id

    def read_until_ms(self, conversation_id: str) -> int | None:
        """Return the time of the newest message read of a conversation.

        Returns:
            Milliseconds since 1970, 0 when it had no message; None when it was never
            read.
        """
        return self._read_until.get(conversation_id)

    def advance(self, conversation_id: str, newest_ms: int, start_ms: int) -> None:
        """Note that a conversation was read and all its records were written.

        Args:
            conversation_id: Kommo's id of it.
            newest_ms: The time of the newest message read, 0 when there was none.
            start_ms: When the run started. A message from the future, which some
                messenger's clock stamped, must not keep later ones out.
        """
        self._state.setdefault(READ_SINCE, start_ms)
        before = self._read_until.get(conversation_id, 0)
        # In the second in which the run started more may come, perhaps without
        # milliseconds.
        latest_ms = start_ms // 1000 * 1000 - 1
        self._read_until[conversation_id] = max(before, min(newest_ms, latest_ms))
        self._state.get(OWED, {}).pop(conversation_id, None)
        self.troubles.end(conversation_id)

    def owe(self, conversation_id: str) -> None:
        """Note that a conversation could not be read. Its bookmark stays."""
        read_since = (
            self._state[READ_SINCE] if conversation_id in self._read_until else 0
        )
        self._state.setdefault(OWED, {}).setdefault(conversation_id, read_since)

    def set_aside(self, conversation_id: str) -> None:
        """Note that a conversation is not to be read.

        It is owed, so that nothing is missed when it is to be read again, and in no
        trouble, so that it is asked for then.
        """
        self.owe(conversation_id)
        self.troubles.leave(conversation_id)

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
        self._state[READ_SINCE] = start_ms
        if not self._state.get(OWED, True):
            del self._state[OWED]

    def take_shard(self, shard: Shard) -> str | None:
        """Make the state that of one shard.

        Bookmarks of other shards are left out. When the state knows only some of the
        shard's conversations, the CRM has to be searched from the beginning for the
        others, which are read whole.

        Returns:
            What an operator should know of it, in one line; None when nothing changed.
        """
        before = self.search_mark.take_shard(shard)
        if shard == before:
            return None
        others = [id_ for id_ in self._read_until if not shard.holds(id_)]
        for conversation_id in others:
            del self._read_until[conversation_id]
        owed = self._state.get(OWED, {})
        for conversation_id in [id_ for id_ in owed if not shard.holds(id_)]:
            del owed[conversation_id]
        self.troubles.take_shard(shard)
        if not self._read_until and not others:
            return None
        rest = ""
        if not shard.is_within(before):
            rest = "; conversations of this shard that it does not know are read whole"
        return (
            f"The state is of shard {before} and the run is of shard {shard}: "
            f"{len(self._read_until)} bookmark(s) are kept and {len(others)} of other "
            f"shards left out{rest}"
        )
