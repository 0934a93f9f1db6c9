"""What a test of the settings looks at: a little of everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_kommo_chats.records.conversations import TALK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_kommo_chats.kommo.host import Host
    from tap_kommo_chats.records.conversations import Conversation

_PAGES_AT_MOST = 3


def glanced_at(
    found: Iterable[Conversation], events: Iterable[object], kinds: int, host: Host
) -> list[Conversation]:
    """Take a conversation of each kind that is read, if a few pages have them.

    Args:
        found: Goes through what the CRM has.
        events: Goes through its events, of which the first pages are asked for.
        kinds: How many kinds are read: own, native, or both.
        host: That of the CRM.

    Returns:
        Some, native ones first; none only where there is none.
    """
    # Before the first conversation is read, because nobody comes back for more.
    next(iter(events), None)
    before = host.requests_made
    some: list[Conversation] = []
    for conversation in found:
        some.append(conversation)
        has_all = len({each.source for each in some}) >= kinds
        if has_all or host.requests_made - before >= _PAGES_AT_MOST:
            break
    return sorted(some, key=lambda each: each.source != TALK)
