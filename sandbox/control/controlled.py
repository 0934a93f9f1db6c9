"""What the endpoints change and show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sandbox.chats.store import ConversationStore
    from sandbox.crm.api import CrmApi
    from sandbox.exchange import SeenRequest
    from sandbox.faults import Faults


class Controlled(Protocol):
    """A sandbox.

    Attributes:
        crm: The CRM API.
        faults: What goes wrong.
    """

    crm: CrmApi
    faults: Faults

    @property
    def store(self) -> ConversationStore:
        """The conversations."""

    @property
    def requests(self) -> tuple[SeenRequest, ...]:
        """All requests answered so far."""

    def now(self) -> float:
        """Return the server's time, in seconds since 1970 (UTC)."""
