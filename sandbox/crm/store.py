"""What the CRM of one account holds, in memory, and what happens there."""

from __future__ import annotations

import itertools
import uuid
from typing import TYPE_CHECKING

from sandbox.account import USER_ID
from sandbox.crm.account import usual_account
from sandbox.crm.events import INCOMING, OUTGOING, TALK_CLOSED, TALK_CREATED, Events
from sandbox.crm.leads import Leads
from sandbox.crm.messages import (
    Messages,
    external_author,
    internal_author,
    new_message,
)
from sandbox.crm.pipelines import LOST, WON, Pipelines
from sandbox.crm.talks import Talks
from sandbox.crm.users import Users

if TYPE_CHECKING:
    from sandbox.crm.item import Item

_MESSAGES_NAMESPACE = uuid.UUID("1b2c7e0d-9a35-4f4e-8a6b-64b1f0d2c9a7")


class CrmStore:
    """All that an account has. Safe to use from several threads.

    What happens by itself in Kommo has a method here, which raises the event that Kommo
    raises. What is changed in one of the attributes changes silently.

    Attributes:
        account: The account itself. Replace it to change it.
        users: Who works there.
        pipelines: The ways a lead can take.
        leads: The leads.
        talks: The talks.
        messages: The messages of talks. Those of the own channel are not here.
        events: The events.
    """

    def __init__(self) -> None:
        """Start with nothing but the account."""
        self.account = usual_account()
        self.users = Users()
        self.pipelines = Pipelines()
        self.leads = Leads()
        self.talks = Talks()
        self.messages = Messages()
        self.events = Events(self.talks)
        self._numbers = itertools.count()

    def message_arrived(
        self, chat_id: str, message_id: str, *, at: int, incoming: bool
    ) -> str | None:
        """Do what Kommo does when a message of the own channel arrives.

        It raises an event and touches the talk that the chat has now.

        Args:
            chat_id: The conversation.
            message_id: The message's id.
            at: When it arrived, in Unix seconds.
            incoming: Whether it came from outside.

        Returns:
            The event's id; None if no talk is of that conversation.
        """
        talk_ids = self.talks.of_chat(chat_id)
        if not talk_ids:
            return None
        talk = self.talks.touch(talk_ids[-1], at)
        return self.events.add(
            at,
            type=INCOMING if incoming else OUTGOING,
            talk_id=talk["talk_id"],
            origin=talk["origin"],
            message_id=message_id,
        )

    def add_message(
        self,
        talk_id: int,
        at: int,
        /,
        *,
        author: Item | None = None,
        message_id: str | None = None,
        event: bool = True,
        **fields: object,
    ) -> str:
        """Let a message of a native channel arrive or go out.

        It is kept, touches its talk and raises an event.

        Args:
            talk_id: The talk it is of.
            at: When, in Unix seconds.
            author: Who wrote it, such as ``self.agent()`` or ``BOT_AUTHOR``; the talk's
                contact if None. It decides on the direction.
            message_id: The message's id; an invented one if None.
            event: Whether it raises an event.
            **fields: Fields of the message to add, or to put in the place of others.

        Returns:
            The message's id.

        Raises:
            KeyError: There is no such talk.
        """
        talk = self.talks.touch(talk_id, at)
        author = author or external_author(talk["contact_id"])
        if message_id is None:
            number = next(self._numbers)
            message_id = str(uuid.uuid5(_MESSAGES_NAMESPACE, str(number)))
        message = new_message(talk, message_id, at, author, **fields)
        self.messages.add(talk_id, message)
        if event:
            self.events.add(
                at,
                type=INCOMING if message["type"] == "incoming" else OUTGOING,
                talk_id=talk_id,
                origin=talk["origin"],
                message_id=message_id,
                # Bots, APIs and the phone's app have no user (seen).
                created_by=author.get("user_id", 0),
            )
        return message_id

    def agent(self, user_id: int = USER_ID) -> Item:
        """Return a user as the author of a message, also one who was removed."""
        return internal_author(user_id, self.users.get(user_id))

    def open_talk(
        self, talk_id: int, chat_id: str, at: int, /, **fields: object
    ) -> None:
        """Begin a talk, which raises an event.

        Args:
            talk_id: The talk's id.
            chat_id: The chat, which may have had others.
            at: When, in Unix seconds.
            **fields: See ``Talks.add``. Without ``origin`` it is of the own channel.
        """
        talk: Item = {"created_at": at, "updated_at": at, **fields}
        self.talks.add(talk_id, chat_id, **talk)
        self.events.add(at, type=TALK_CREATED, talk_id=talk_id)

    def close_talk(self, talk_id: int, at: int) -> None:
        """Close a talk, which raises the event that alone tells when.

        Raises:
            KeyError: There is no such talk.
        """
        self.talks.touch(talk_id, at)
        self.talks.update(talk_id, is_in_work=False)
        self.events.add(at, type=TALK_CLOSED, talk_id=talk_id)

    def reopen_talk(self, talk_id: int, at: int) -> None:
        """Take a closed talk into work again. No event is known to tell of it.

        Raises:
            KeyError: There is no such talk.
        """
        self.talks.touch(talk_id, at)
        self.talks.update(talk_id, is_in_work=True)

    def move_lead(  # noqa: PLR0913 - each one is a field tests need on its own
        self,
        lead_id: int,
        status_id: int,
        at: int,
        *,
        pipeline_id: int | None = None,
        loss_reason_id: int | None = None,
        user_id: int = USER_ID,
    ) -> None:
        """Move a lead, which raises an event and does not touch its talk.

        Args:
            lead_id: The lead.
            status_id: Where to. Won and lost are its end.
            at: When, in Unix seconds.
            pipeline_id: The pipeline of the status; the lead's own if None.
            loss_reason_id: Why it was lost, if it was.
            user_id: Who moved it; 0 for nobody's user.

        Raises:
            KeyError: There is no such lead.
        """
        before = self.leads.update(lead_id, updated_at=at, updated_by=user_id)
        after = self.leads.update(
            lead_id,
            status_id=status_id,
            pipeline_id=pipeline_id or before["pipeline_id"],
            closed_at=at if status_id in (WON, LOST) else None,
            loss_reason_id=loss_reason_id,
        )
        self.events.add_move(at, lead_id, _place(before), _place(after), user_id)


def _place(lead: Item) -> Item:
    return {"id": lead["status_id"], "pipeline_id": lead["pipeline_id"]}
