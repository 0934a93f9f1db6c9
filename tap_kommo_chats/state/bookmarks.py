"""How far each conversation has been read, as it stands in the Singer state.

Of each conversation that was read the state keeps what `known` says, in some 60 bytes
when nothing happened in it for as long as the look-back, and about 100 until then. A
conversation that failed, or was not to be read, is owed, with the time of what last
happened in it, as far as a source knew; 0 where none did. It keeps that when its
trouble is settled though it was not read: then it is asked for again when something
happens after that time, and goes on from where it was.

The digests in it are of records as they were written. `made_of` tells what decides on
that beside the messages, such as masks: when it changes, digests are forgotten, so that
what is within the look-back is written once more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tap_kommo_chats.state.known import read_known, write_known
from tap_kommo_chats.state.layout import (
    CONVERSATIONS,
    MADE_OF,
    OWED,
    THIS_VERSION,
    VERSION,
    Trouble,
)
from tap_kommo_chats.state.search_mark import SearchMark
from tap_kommo_chats.state.troubles import FAILED, Troubles
from tap_kommo_chats.times import SECOND_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_kommo_chats.sharding import Shard
    from tap_kommo_chats.state.known import Known

_BYTES_EACH = 64


class Bookmarks:
    """The bookmarks of all conversations, kept in the stream's state.

    Attributes:
        search_mark: Up to when the CRM was searched for the messages.
        troubles: What keeps conversations from being read.
    """

    def __init__(
        self, state: dict[str, Any], lookback_ms: int = 0, made_of: str = ""
    ) -> None:
        """Take over the state's part of the stream of messages, once it was checked.

        Args:
            state: It is changed in place, so that what stands here is written out.
            lookback_ms: How long before the last reading a message may have been sent
                and still be new or edited.
            made_of: What decides how records are written; see above.
        """
        self._state = state
        self._lookback_ms = lookback_ms
        self._state[VERSION] = THIS_VERSION
        self._known: dict[str, str] = state.setdefault(CONVERSATIONS, {})
        self.search_mark = SearchMark(state)
        self.troubles = Troubles(state, self._read_ms)
        if state.get(MADE_OF, made_of) != made_of:
            self._forget_digests()
        state[MADE_OF] = made_of

    def has_others_than(self, conversation_ids: Iterable[str]) -> bool:
        """Tell whether a conversation was read that is none of some."""
        return not self._known.keys() <= set(conversation_ids)

    @property
    def is_empty(self) -> bool:
        """Whether no conversation was read so far."""
        return not self._known

    @property
    def size_bytes(self) -> int:
        """About how long the state is as JSON."""
        return _BYTES_EACH * len(self._known)

    def known(self, conversation_id: str) -> Known | None:
        """Return what is known of a conversation; None when it was never read."""
        written = self._known.get(conversation_id)
        return None if written is None else read_known(written)

    def keep(self, conversation_id: str, known: Known) -> None:
        """Note that a conversation was read and all its records were written."""
        self._known[conversation_id] = write_known(known, self._lookback_ms)
        self._state.get(OWED, {}).pop(conversation_id, None)
        if not self._state.get(OWED, True):
            del self._state[OWED]
        self.troubles.end(conversation_id)

    def newest_ms(self, conversation_id: str, newest_ms: int, started_ms: int) -> int:
        """Tell which time to keep as that of the newest message of a conversation.

        Args:
            conversation_id: Kommo's id of it.
            newest_ms: The time of the newest message read, 0 when there was none.
            started_ms: When the run began. A message from the future, which some
                messenger's clock stamped, must not keep later ones out.

        Returns:
            Milliseconds since 1970, never less than what was kept before.
        """
        known = self.known(conversation_id)
        # In the second in which the run started more may come, perhaps without
        # milliseconds.
        latest_ms = started_ms // SECOND_MS * SECOND_MS - 1
        return max(known.newest_ms if known else 0, min(newest_ms, latest_ms))

    def note_in_crm(self, conversation_id: str) -> None:
        """Note that a complete search of the CRM showed a talk of a conversation."""
        known = self.known(conversation_id)
        if known is not None and not known.is_in_crm:
            known = replace(known, is_in_crm=True)
            self._known[conversation_id] = write_known(known, self._lookback_ms)

    def forget_crm(self) -> None:
        """Note that the CRM may not show any more what it has shown."""
        for conversation_id, written in self._known.items():
            known = read_known(written) if " c" in written else None
            if known is not None:
                self._known[conversation_id] = write_known(
                    replace(known, is_in_crm=False), self._lookback_ms
                )

    # What has to be asked for, whatever a hint says of it

    def is_owed(self, conversation_id: str) -> bool:
        """Tell whether a conversation must be asked for, whatever a hint says of it."""
        return conversation_id in self._state.get(
            OWED, ()
        ) and not self.troubles.is_settled(conversation_id)

    def settled_after_ms(self, conversation_id: str) -> int | None:
        """Tell what has to have happened for one that nobody owes to be asked for.

        Returns:
            When something last happened in it as far as was known when its trouble was
            settled, in milliseconds since 1970, 0 when no source told; None when it is
            in none that is settled.
        """
        if not self.troubles.is_settled(conversation_id):
            return None
        activity_ms: int = self._state.get(OWED, {}).get(conversation_id, 0)
        return activity_ms

    def failed_before(self, conversation_id: str) -> bool:
        """Tell whether a conversation could not be read in the last run that tried."""
        return self.troubles.kind_of(conversation_id) in FAILED or (
            conversation_id not in self._known and self.is_owed(conversation_id)
        )

    def had_messages(self, conversation_id: str) -> bool:
        """Tell whether it had messages when it was read."""
        known = self.known(conversation_id)
        return known is not None and known.newest_ms > 0

    def expects_messages(self, conversation_id: str) -> bool:
        """Tell whether it is known to have messages, so that none would be odd."""
        return self.troubles.is_unread(conversation_id) or (
            self.had_messages(conversation_id)
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
        ids = list(self._known)
        for had_messages in (True, False):
            for conversation_id in ids:
                if self.had_messages(conversation_id) is had_messages and self.is_well(
                    conversation_id
                ):
                    yield conversation_id

    def is_covered(self, conversation_id: str) -> bool:
        """Tell whether a conversation was read and nothing of it is owed."""
        return conversation_id in self._known and not self.is_owed(conversation_id)

    def owe(self, conversation_id: str, activity_ms: int | None) -> None:
        """Note that a conversation could not be read. What is known of it stays.

        Args:
            conversation_id: Kommo's id of it.
            activity_ms: When something last happened in it, in milliseconds since 1970;
                None when no source tells.
        """
        owed = self._state.setdefault(OWED, {})
        owed[conversation_id] = max(owed.get(conversation_id, 0), activity_ms or 0)

    def set_aside(self, conversation_id: str) -> None:
        """Note that a conversation is not to be read.

        It is owed, so that nothing is missed when it is to be read again, and in no
        trouble, so that it is asked for then.
        """
        self.owe(conversation_id, None)
        self.troubles.leave(conversation_id)

    def pending(self, now_ms: int) -> Iterator[tuple[str, int | None]]:
        """Go through the conversations that are owed, or due for a visit.

        Yields:
            The id, and when something last happened in it, as far as is known, in
            milliseconds since 1970.
        """
        for conversation_id, activity_ms in list(self._state.get(OWED, {}).items()):
            if self.is_owed(conversation_id):
                yield conversation_id, activity_ms or None
        for conversation_id, written in list(self._known.items()):
            # A quiet one has no times in seconds, and none is due.
            if "s" in written and not self.troubles.is_settled(conversation_id):
                known = read_known(written)
                if known is not None and known.is_due(now_ms, self._lookback_ms):
                    yield conversation_id, known.acted_ms

    # Changes of what the state is for

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
        others = [id_ for id_ in self._known if not shard.holds(id_)]
        for conversation_id in others:
            del self._known[conversation_id]
        owed = self._state.get(OWED, {})
        for conversation_id in [id_ for id_ in owed if not shard.holds(id_)]:
            del owed[conversation_id]
        self.troubles.take_shard(shard)
        if not self._known and not others:
            return None
        rest = ""
        if not shard.is_within(before):
            rest = "; conversations of this shard that it does not know are read whole"
        return (
            f"The state is of shard {before} and the run is of shard {shard}: "
            f"{len(self._known)} bookmark(s) are kept and {len(others)} of other "
            f"shards left out{rest}"
        )

    def _read_ms(self, conversation_id: str) -> int | None:
        """Tell when the run began that read a conversation last; None if none did."""
        known = self.known(conversation_id)
        return None if known is None else known.read_ms

    def _forget_digests(self) -> None:
        for conversation_id, written in self._known.items():
            known = read_known(written) if "=" in written else None
            if known is not None:
                self._known[conversation_id] = write_known(
                    replace(known, digest=None), self._lookback_ms
                )
