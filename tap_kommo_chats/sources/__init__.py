"""Where conversations come from. A source yields what it knows of each.

Sources add up. A source that cannot be used, or breaks off, stops the run: a list with
a part missing looks like a whole one, and what it does not name would be passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = "config"
FILE = "file"
SQL = "sql"
CRM = "crm"
STATE = "state"
"""A conversation that an earlier run found and could not read."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation, as one source knows it.

    Attributes:
        conversation_id: Kommo's id of it, fit to stand in a request's path.
        source: Where it came from, one of the names above.
        last_activity_ms: When something last happened in it, in milliseconds since
            1970; None when the source does not know. A time too late costs a request,
            one too early costs messages.
    """

    conversation_id: str
    source: str
    last_activity_ms: int | None = None


class Source(Protocol):
    """Somewhere conversations come from."""

    def __iter__(self) -> Iterator[Conversation]:
        """Yield conversations, in any order, perhaps one several times.

        Raises:
            RunError: If the source cannot be used, or breaks off.
        """
        ...
