"""Going through all sources of conversations, the lists first."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING

from tap_kommo_chats.records.conversations import CONFIG, STATE, TALK, Conversation
from tap_kommo_chats.sources.account import check_account
from tap_kommo_chats.sources.file import FileSource
from tap_kommo_chats.sources.handed_over import HandedOver
from tap_kommo_chats.sources.sql import SQLSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from tap_kommo_chats.records.conversations import Entry
    from tap_kommo_chats.run.directory import Directory
    from tap_kommo_chats.settings.values import Settings, SQLSettings
    from tap_kommo_chats.sources import Source
    from tap_kommo_chats.sources.listing import Report
    from tap_kommo_chats.state.ledger import Ledger
    from tap_kommo_chats.state.seen_talks import SeenTalks

_LISTED_AT_ONCE = 500
"""So many of a list may be asked for before a signal is looked at."""


class Lists:
    """The lists that the settings name."""

    def __init__(
        self,
        settings: Settings,
        directory: Directory | None,
        report: Report,
        interruptible: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """Keep where to look; nothing is opened yet.

        Args:
            settings: Say which there are.
            directory: Tells whose they are; None when there is no CRM.
            report: Is told of each entry that is not as it should be.
            interruptible: What a signal may break into.
        """
        self._settings = settings
        self._directory = directory
        self._report = report
        self._interruptible = interruptible

    def all(
        self,
        pending: Iterable[tuple[str, int | None]],
        seen: SeenTalks,
        natives: Ledger | None,
    ) -> Iterator[Source]:
        """Go through them.

        Args:
            pending: Conversations that earlier runs could not read, or that are due
                for a visit. They are a list of their own where there is a CRM: what a
                search found once, no later one, and no list of it, need name again.
            seen: Keeps the talks of native channels.
            natives: Learns of them; None where none is read.

        Raises:
            RunError: If it cannot be told whose conversations are wanted.
        """
        crm, directory = self._settings.crm, self._directory
        yield [Conversation(id_, CONFIG) for id_ in self._settings.conversation_ids]
        if directory is None or crm is None:
            yield from self._given()
            return
        needs_number = natives is not None and self._has_lists
        number = self._checked(directory) if needs_number else None
        listed = chain.from_iterable(self._given())
        kept = None if crm.is_searched else seen
        talks = HandedOver(listed, crm.origins, kept, number, self._report)
        yield apart(talks, natives)
        yield [Conversation(id_, STATE, at_ms) for id_, at_ms in pending]

    @property
    def _has_lists(self) -> bool:
        return bool(self._settings.conversations_file or self._settings.sql)

    def _checked(self, directory: Directory) -> int | None:
        """Return the account's number, of an account that is the right one."""
        with self._interruptible():
            check_account(directory.account, self._settings)
        return directory.account.number

    def _given(self) -> Iterator[Source]:
        settings, report = self._settings, self._report
        file, sql = settings.conversations_file, settings.sql
        # Without the CRM nobody knows which channel is one's own.
        has_talks = settings.crm is not None
        if file is not None:
            timeout = settings.request_timeout
            source = FileSource(file, report, timeout, has_talks=has_talks)
            yield source
            self._compare(source.searched_for)
        if sql is not None:
            yield SQLSource(sql.url, self._query(sql), report, has_talks=has_talks)

    def _compare(self, searched_for: frozenset[str]) -> None:
        """Report where the search that made a list looks at fewer channels."""
        crm = self._settings.crm
        if crm is None or crm.is_searched or not searched_for:
            return
        if not crm.origins.are_within(searched_for):
            self._report(
                "The search that made conversations_file looks at fewer channels than "
                "this run, so what is new in the others is not in it: give both runs "
                "the same crm_origins and native_channels"
            )

    def _query(self, sql: SQLSettings) -> str:
        if not sql.needs_account or self._directory is None:
            return sql.query
        with self._interruptible():
            return sql.query_of(self._directory.number_for())


def apart(
    found: Iterable[Conversation], natives: Ledger | None
) -> Iterator[Conversation]:
    """Keep the talks of native channels apart from conversations.

    Args:
        found: Both.
        natives: Learns of the talks; None where none is read.
    """
    for conversation in found:
        if conversation.source != TALK:
            yield conversation
        elif natives is not None:
            natives.learn(conversation)


def find(
    is_wanted: Callable[[str], bool],
    ledger: Ledger,
    sources: Iterable[Source],
    crm: Iterable[Conversation] | None,
    *,
    interruptible: Callable[[], AbstractContextManager[None]],
) -> Iterator[Entry]:
    """Go through all sources.

    Lists are gone through at once, so that no file and no cursor stays open for as long
    as reading takes, and what is wrong with one is told before anything is read. The
    CRM is asked as the reading goes on, because its requests take as long.

    Args:
        is_wanted: Tells which conversations to look at.
        ledger: Learns what the sources know.
        sources: The lists.
        crm: Finds those that changed; None when there is none.
        interruptible: What a signal may break into.

    Yields:
        What is known of each conversation; once more whenever more becomes known.

    Raises:
        RunError: If a source cannot be used, or breaks off.
        StopRequestedError: If a signal asks to stop.
    """

    def ours(
        source: Iterable[Conversation], at_once: int
    ) -> Iterator[list[Conversation]]:
        conversations = iter(source)
        while True:
            with interruptible():
                some = list(islice(conversations, at_once))
            if not some:
                return
            yield [each for each in some if is_wanted(each.conversation_id)]

    for source in sources:
        for some in ours(source, _LISTED_AT_ONCE):
            ledger.learn_all(some)
    searched: Iterator[Conversation] = iter(())
    if crm is not None:
        found = chain.from_iterable(ours(crm, 1))
        # What is wrong with the token is told before anything is read.
        first = next(found, None)
        searched = found if first is None else chain([first], found)
    yield from ledger.entries()
    for conversation in searched:
        yield ledger.learn(conversation)
