"""How far each conversation has been read, as it stands in the Singer state.

Of each conversation that was read the state keeps what `known` says, in some 60 bytes
when nothing happened in it for as long as the look-back, and about 100 until then. A
conversation that failed is owed, with the time of what last happened in it, as far as a
source knew; 0 where none did.

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
)
from tap_kommo_chats.state.search_mark import SearchMark
from tap_kommo_chats.times import SECOND_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_kommo_chats.sharding import Shard
    from tap_kommo_chats.state.known import Known

_BYTES_EACH = 64


class Bookmarks:
    """The bookmarks of all conversations, kept in the stream's state."""

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
        """Tell whether a conversation failed and was not read since."""
        return conversation_id in self._state.get(OWED, ())

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

    def pending(self, now_ms: int) -> Iterator[tuple[str, int | None]]:
        """Go through the conversations that are owed, or due for a visit.

        Yields:
            The id, and when something last happened in it, as far as is known, in
            milliseconds since 1970.
        """
        for conversation_id, activity_ms in list(self._state.get(OWED, {}).items()):
            yield conversation_id, activity_ms or None
        for conversation_id, written in list(self._known.items()):
            # A quiet one has no times in seconds, and none is due.
            if "s" in written:
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

    def _forget_digests(self) -> None:
        for conversation_id, written in self._known.items():
            known = read_known(written) if "=" in written else None
            if known is not None:
                self._known[conversation_id] = write_known(
                    replace(known, digest=None), self._lookback_ms
                )
