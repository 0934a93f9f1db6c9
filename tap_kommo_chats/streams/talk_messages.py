"""The stream of the messages of native channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tap_kommo_chats.records.talk_messages import TALK_MESSAGES
from tap_kommo_chats.streams.plain import PlainStream, Rows

if TYPE_CHECKING:
    from tap_kommo_chats.records.shape import Shape


class TalkMessagesStream(PlainStream):
    """The messages of channels that are not one's own, one record each."""

    name = "talk_messages"
    needs_crm = True
    primary_keys = ("account_id", "conversation_id", "message_id")
    replication_key = "sent_at"
    shape: ClassVar[Shape] = TALK_MESSAGES.shape

    def rows(self) -> Rows:
        """Make a record of every message of a talk that the run reads."""
        yield from self.open_run().talk_messages(self.record_mask.apply)
