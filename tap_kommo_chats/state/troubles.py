"""What keeps conversations from being read, as it stands in the Singer state.

A conversation is in one kind of trouble at a time, since the start of the run in which
that kind began; one that is failing, since the last run that tried. It is in none when
it was read. So a failure that lasts can be told from one of today, and an outage from
an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_kommo_chats.state.layout import TROUBLES, UNREAD, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_kommo_chats.sharding import Shard


FAILED = frozenset({Trouble.FAILING, Trouble.REFUSED, Trouble.SILENT, Trouble.GIVEN_UP})
"""What those are in that could not be read. The others could: there was nothing."""

SETTLED = frozenset({Trouble.GONE, Trouble.GIVEN_UP})
"""What nothing is to be done about, until something new happens."""


class Troubles:
    """The conversations that are in trouble."""

    def __init__(
        self, state: dict[str, Any], read_ms: Callable[[str], int | None]
    ) -> None:
        """Take over a part of a state that was checked.

        Two states that were merged may have one conversation in two kinds of trouble:
        the later counts. One that was read by a run after the one in which its trouble
        began is in none any more.

        Args:
            state: It is changed in place, so that what stands here is written out.
            read_ms: Tells when the run began that read a conversation last, in
                milliseconds since 1970; None when none did.
        """
        self._state = state
        self._kinds: dict[str, Trouble] = {}
        began = sorted(
            (since_ms, id_, Trouble(kind))
            for kind, ids in state.pop(TROUBLES, {}).items()
            for id_, since_ms in ids.items()
            if since_ms >= _or_never(read_ms(id_))
        )
        for since_ms, id_, kind in began:
            self.begin(id_, kind, since_ms)
        for id_, since_ms in state.pop(UNREAD, {}).items():
            if since_ms >= _or_never(read_ms(id_)):
                self.expect(id_, since_ms)

    def kind_of(self, conversation_id: str) -> Trouble | None:
        """Tell which trouble a conversation is in; None when in none."""
        return self._kinds.get(conversation_id)

    def since_ms(self, conversation_id: str) -> int | None:
        """Tell since the start of which run it is, in milliseconds since 1970."""
        kind = self.kind_of(conversation_id)
        if kind is None:
            return None
        since_ms: int = self._state[TROUBLES][kind.value][conversation_id]
        return since_ms

    def failed_ms(self, conversation_id: str) -> int:
        """Tell when the run began in which it failed last, whoever was to blame.

        Returns:
            Milliseconds since 1970; 0 when it was answered.
        """
        is_failing = self.kind_of(conversation_id) is Trouble.FAILING
        return (self.since_ms(conversation_id) or 0) if is_failing else 0

    def is_settled(self, conversation_id: str) -> bool:
        """Tell whether nobody owes it any more, though it was not read."""
        return self.kind_of(conversation_id) in SETTLED

    def given_up_ms(self, conversation_id: str) -> int | None:
        """Tell when a conversation was given up.

        Returns:
            The start of that run, in milliseconds since 1970; None when it was not.
        """
        if self.kind_of(conversation_id) is not Trouble.GIVEN_UP:
            return None
        return self.since_ms(conversation_id)

    def begin(self, conversation_id: str, kind: Trouble, start_ms: int) -> None:
        """Note that a conversation is in a trouble.

        That it still is changes nothing, unless it is failing.

        Args:
            conversation_id: Kommo's id of it.
            kind: Which.
            start_ms: When the run started, in milliseconds since 1970.
        """
        if kind is Trouble.FAILING or self.kind_of(conversation_id) is not kind:
            self.leave(conversation_id)
            self._kinds[conversation_id] = kind
            ids = self._state.setdefault(TROUBLES, {}).setdefault(kind.value, {})
            ids[conversation_id] = start_ms

    def leave(self, conversation_id: str) -> None:
        """Note that it is in none any more, though it was not read."""
        kind = self._kinds.pop(conversation_id, None)
        if kind is not None:
            troubles = self._state[TROUBLES]
            self._drop(kind.value, troubles, conversation_id)
            if not troubles:
                del self._state[TROUBLES]

    def end(self, conversation_id: str) -> None:
        """Note that a conversation was read, so that nothing here is true any more."""
        self.leave(conversation_id)
        self._drop(UNREAD, self._state, conversation_id)

    def forgive(self, start_ms: int) -> None:
        """Take no refusal for a conversation's own that nobody can tell from ours.

        Args:
            start_ms: When the run started that was refused everything, or did not get
                far enough to ask; in milliseconds since 1970.
        """
        refused = self._state.get(TROUBLES, {}).get(Trouble.REFUSED.value, ())
        for conversation_id in tuple(refused):
            self.begin(conversation_id, Trouble.FAILING, start_ms)

    # Messages that are known to be there

    def expect(self, conversation_id: str, start_ms: int) -> None:
        """Note that a conversation has messages that could not be read."""
        unread = self._state.setdefault(UNREAD, {})
        unread.setdefault(conversation_id, start_ms)

    def is_unread(self, conversation_id: str) -> bool:
        """Tell whether it has messages that could not be read so far."""
        return conversation_id in self._state.get(UNREAD, ())

    def take_shard(self, shard: Shard) -> None:
        """Forget the conversations of other shards."""
        for conversation_id in (*self._kinds, *self._state.get(UNREAD, ())):
            if not shard.holds(conversation_id):
                self.end(conversation_id)

    @staticmethod
    def _drop(name: str, part: dict[str, Any], conversation_id: str) -> None:
        """Take one out, and the object with it when it was the last."""
        ids = part.get(name, {})
        ids.pop(conversation_id, None)
        if name in part and not ids:
            del part[name]


def _or_never(read_ms: int | None) -> int:
    return -1 if read_ms is None else read_ms
