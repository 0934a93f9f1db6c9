"""All sources together: which conversations there are, and what is known of each."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from tap_kommo_chats.sources import CONFIG, STATE, Conversation
from tap_kommo_chats.sources.file import FileSource
from tap_kommo_chats.sources.sql import SQLSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from tap_kommo_chats.settings import Settings
    from tap_kommo_chats.sharding import Shard
    from tap_kommo_chats.sources import Source
    from tap_kommo_chats.sources.listing import Report
    from tap_kommo_chats.state.ledger import Entry, Ledger

T = TypeVar("T")


def lists(settings: Settings, owed_ids: Iterable[str], report: Report) -> list[Source]:
    """Make the sources that are lists.

    Args:
        settings: Say which there are.
        owed_ids: Conversations that earlier runs could not read. They are a list of
            their own beside the CRM, which does not name them again.
        report: Is told of each entry that is not as it should be.

    Returns:
        The sources.
    """
    found: list[Source] = [
        [Conversation(id_, CONFIG) for id_ in settings.conversation_ids]
    ]
    if settings.conversations_file is not None:
        found.append(FileSource(settings.conversations_file, report))
    if settings.sql is not None:
        found.append(SQLSource(settings.sql.url, settings.sql.query, report))
    if settings.crm is not None:
        found.append([Conversation(id_, STATE) for id_ in owed_ids])
    return found


def survey(
    shard: Shard,
    ledger: Ledger,
    sources: Iterable[Source],
    crm: Source | None,
    *,
    interruptible: Callable[[], AbstractContextManager[None]],
) -> Iterator[Entry]:
    """Go through all sources.

    Lists are gone through at once, so that no file and no cursor stays open for as long
    as reading takes, and what is wrong with one is told before anything is read. The
    CRM is asked as the reading goes on, because its requests take as long.

    Args:
        shard: Which conversations to look at.
        ledger: Learns what the sources know.
        sources: The lists.
        crm: Finds those that changed; None when there is none.
        interruptible: What a signal may break into.

    Yields:
        What is known of each conversation; once more whenever more becomes known.

    Raises:
        RunError: If a source cannot be used, or breaks off.
    """

    def ours(source: Iterable[Conversation]) -> Iterator[Conversation]:
        conversations = iter(source)
        while True:
            with interruptible():
                conversation = next(conversations, None)
            if conversation is None:
                return
            if shard.holds(conversation.conversation_id):
                yield conversation

    for source in sources:
        for conversation in ours(source):
            ledger.learn(conversation)
    discovered: Iterator[Conversation] = iter(())
    if crm is not None:
        found = ours(crm)
        # What is wrong with the token is told before anything is read.
        first = next(found, None)
        discovered = found if first is None else chain([first], found)
    yield from ledger.entries()
    for conversation in discovered:
        yield ledger.learn(conversation)
