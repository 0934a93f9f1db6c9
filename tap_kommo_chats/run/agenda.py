"""Which conversation is asked for next."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from tap_kommo_chats.records.conversations import Outcome
from tap_kommo_chats.run.witnesses import NOT_ASKED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_kommo_chats.records.conversations import Entry
    from tap_kommo_chats.run.books import Books
    from tap_kommo_chats.run.plan import Plan, ReadJob
    from tap_kommo_chats.run.witnesses import Witnesses
    from tap_kommo_chats.settings.values import Settings
    from tap_kommo_chats.state.bookmarks import Bookmarks

logger = logging.getLogger("tap-kommo-chats.chat_history")


class Agenda:
    """Puts what is to be read into an order in which nothing stops the others."""

    def __init__(
        self, plan: Plan, bookmarks: Bookmarks, books: Books, witnesses: Witnesses
    ) -> None:
        """Say what decides.

        Args:
            plan: Says what to read of a conversation.
            bookmarks: What earlier runs read.
            books: Are told which are asked for, and say when a witness is wanted.
            witnesses: Those that were read before.
        """
        self._plan = plan
        self._bookmarks = bookmarks
        self._books = books
        self._witnesses = witnesses

    def jobs(
        self, found: Iterable[Entry], tick: Callable[[], None]
    ) -> Iterator[ReadJob]:
        """Say one after the other what to read, in the light of what happened so far.

        Args:
            found: The conversations there are; one again when more became known.
            tick: Called for each of them. Thousands may be passed over before one is
                read.
        """
        for entry in _owed_last(found, self._bookmarks):
            tick()
            if not _may_be_asked(entry):
                continue
            job = self._plan.job_for(entry, self._bookmarks)
            if job is None:
                self._books.passed_over(entry)
                continue
            yield from self._of_witnesses()
            if entry.conversation_id not in self._witnesses.taken:
                self._books.asked(entry)
                yield job
        yield from self._of_witnesses()

    def _of_witnesses(self) -> Iterator[ReadJob]:
        verdicts = self._books.verdicts
        while verdicts.wants_witness:
            entry = self._witnesses.take()
            if entry is None:
                return
            verdicts.call_witness()
            self._books.asked(entry)
            # Nothing new is in it as far as is known, or it is read anyway.
            quiet = replace(entry, last_activity_ms=None)
            yield self._plan.job_for(entry, self._bookmarks) or self._plan.job(
                quiet, self._bookmarks
            )


def _may_be_asked(entry: Entry) -> bool:
    """Tell whether a conversation was not asked for in this run, or for nothing.

    One that was empty when it was asked for is asked for again when an event tells of
    a message in it.
    """
    return entry.outcome in NOT_ASKED or (
        entry.outcome is Outcome.EMPTY and entry.has_messages
    )


def _owed_last(entries: Iterable[Entry], bookmarks: Bookmarks) -> Iterator[Entry]:
    """Put off what failed before, so that it cannot keep the others from being read.

    Of these the one that failed last comes last, so that none of them stops the same
    others each time.
    """
    owed: dict[str, Entry] = {}
    for entry in entries:
        if bookmarks.is_owed(entry.conversation_id):
            # What is known of it last counts.
            owed[entry.conversation_id] = entry
        else:
            yield entry
    failed_ms = bookmarks.troubles.failed_ms
    yield from sorted(owed.values(), key=lambda entry: failed_ms(entry.conversation_id))


def set_aside(settings: Settings, bookmarks: Bookmarks) -> None:
    """Leave out what is to be ignored, so that it can be brought back."""
    ignored = settings.ignored_conversation_ids
    for conversation_id in filter(settings.shard.holds, sorted(ignored)):
        bookmarks.set_aside(conversation_id)
    if ignored:
        logger.info(
            "Left out the %d conversation(s) of ignored_conversation_ids; one that is "
            "taken out there is asked for again",
            len(ignored),
        )
