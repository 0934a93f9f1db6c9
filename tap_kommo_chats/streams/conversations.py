"""The stream of conversations: what a run knows of each."""

from __future__ import annotations

from typing import ClassVar

from tap_kommo_chats.records.conversations import SCHEMA, to_record
from tap_kommo_chats.records.shape import Shape
from tap_kommo_chats.streams.plain import PlainStream, Rows


class ConversationsStream(PlainStream):
    """What the run knows of each conversation, one record each."""

    name = "conversations"
    primary_keys = ("conversation_id",)
    shape: ClassVar[Shape] = Shape(
        name, SCHEMA, kept=frozenset(("scope_id", "account_id", *primary_keys))
    )

    def rows(self) -> Rows:
        """Make a record of each conversation that the run tells of."""
        run = self.open_run()
        masked = self.record_mask.apply
        for entry, scope_id in run.conversations():
            yield masked(to_record(entry, scope_id, run.account_id, run.started_ms))
