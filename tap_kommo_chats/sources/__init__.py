"""Where conversations come from. A source yields what it knows of each.

Sources add up. A source that cannot be used, or breaks off, stops the run: a list with
a part missing looks like a whole one, and what it does not name would be passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_kommo_chats.records.conversations import Conversation


class Source(Protocol):
    """Somewhere conversations come from."""

    def __iter__(self) -> Iterator[Conversation]:
        """Yield conversations, in any order, perhaps one several times.

        Raises:
            RunError: If the source cannot be used, or breaks off.
        """
        ...
