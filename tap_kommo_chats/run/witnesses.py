"""Conversations that tell whether anything can be read: those that were read before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_kommo_chats.records.conversations import STATE, Conversation, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_kommo_chats.records.conversations import Entry
    from tap_kommo_chats.state.bookmarks import Bookmarks
    from tap_kommo_chats.state.ledger import Ledger

NOT_ASKED = frozenset({None, Outcome.UNCHANGED, Outcome.GIVEN_UP})
"""The outcomes of conversations that were not asked for so far."""


class Witnesses:
    """Those that were not asked for in this run, one after the other."""

    def __init__(
        self, bookmarks: Bookmarks, ledger: Ledger, *, may_be_unlisted: bool
    ) -> None:
        """Look at none yet.

        Args:
            bookmarks: Say which were read before.
            ledger: Says which were asked for in this run.
            may_be_unlisted: Whether one may be asked for that no source named, as
                where a source names only those that changed.
        """
        self._bookmarks = bookmarks
        self._ledger = ledger
        self._may_be_unlisted = may_be_unlisted
        self._candidates: Iterator[str] | None = None
        self._next: str | None = None
        self.taken: set[str] = set()

    @property
    def any_left(self) -> bool:
        """Whether there is one."""
        if self._candidates is None:
            self._candidates = self._bookmarks.well_ids()
        while self._next is None or not self._fits(self._next):
            self._next = next(self._candidates, None)
            if self._next is None:
                return False
        return True

    def take(self) -> Entry | None:
        """Return the next one; None when there is none left."""
        if not self.any_left or self._next is None:
            return None
        self.taken.add(self._next)
        known = self._ledger.entry(self._next)
        return known or self._ledger.learn(Conversation(self._next, STATE))

    def _fits(self, conversation_id: str) -> bool:
        if conversation_id in self.taken:
            return False
        entry = self._ledger.entry(conversation_id)
        if entry is None:
            return self._may_be_unlisted
        return entry.outcome in NOT_ASKED
