"""What the CRM of one account holds, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.crm.events import INCOMING, OUTGOING, Events
from sandbox.crm.item import ACCOUNT_ID, AMOJO_ID
from sandbox.crm.talks import Talks

if TYPE_CHECKING:
    from sandbox.crm.item import Item


class CrmStore:
    """An account, its talks and events. Safe to use from several threads.

    Attributes:
        account: The account itself.
        talks: The talks.
        events: The events.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self.account: Item = {
            "id": ACCOUNT_ID,
            "name": "Sandbox",
            "subdomain": "sandbox",
            "amojo_id": AMOJO_ID,
        }
        self.talks = Talks()
        self.events = Events(self.talks)

    def message_arrived(
        self, chat_id: str, message_id: str, *, at: int, incoming: bool
    ) -> str | None:
        """Do what Kommo does when a message arrives: raise an event, touch the talk.

        Args:
            chat_id: The conversation.
            message_id: The message's id.
            at: When it arrived, in Unix seconds.
            incoming: Whether it came from outside.

        Returns:
            The event's id; None if no talk is of that conversation.
        """
        talk = self.talks.touch(chat_id, at)
        if talk is None:
            return None
        return self.events.add(
            at,
            type=INCOMING if incoming else OUTGOING,
            talk_id=talk["talk_id"],
            origin=talk["origin"],
            message_id=message_id,
        )
