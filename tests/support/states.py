"""States as runs leave them, and what stands in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox import OWN_ORIGIN
from tap_kommo_chats.state.bookmarks import Bookmarks
from tap_kommo_chats.state.known import Known

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SECOND = 1000
DAY = 24 * 60 * 60 * SECOND


def known(newest_ms: int, read_ms: int, acted_ms: int | None = None) -> Known:
    """What is known of a conversation in which its newest message came last."""
    return Known(
        newest_ms,
        read_ms // SECOND * SECOND,
        -(-newest_ms // SECOND) * SECOND,
        acted_ms,
    )


def state_of(
    conversations: Mapping[str, Known],
    *,
    owed: Iterable[str] = (),
    searched_until_ms: int | None = None,
    lookback_days: int = 1,
) -> dict[str, Any]:
    """Return the state after a complete run.

    Args:
        conversations: Those that were read.
        owed: Those that could not be read.
        searched_until_ms: Up to when the CRM was searched; None when it never was.
        lookback_days: The setting of that run.
    """
    part: dict[str, Any] = {}
    bookmarks = Bookmarks(part, lookback_days * DAY)
    for conversation_id, what in conversations.items():
        bookmarks.keep(conversation_id, what)
    for conversation_id in owed:
        bookmarks.owe(conversation_id, 0)
    if searched_until_ms is not None:
        bookmarks.search_mark.move([OWN_ORIGIN], searched_until_ms, {})
    return {"bookmarks": {"chat_history": part}}


def known_of(state: Mapping[str, Any], conversation_id: str) -> Known | None:
    """Return what a state says of a conversation; None when it was never read."""
    part = dict(state["bookmarks"]["chat_history"])
    made_of = part.get("made_of", "")
    return Bookmarks(part, made_of=made_of).known(conversation_id)
