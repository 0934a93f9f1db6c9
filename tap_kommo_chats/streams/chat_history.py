"""The stream of messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from singer_sdk import metrics
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE

from tap_kommo_chats.kommo.chats import HISTORY_PATH
from tap_kommo_chats.records.messages import SCHEMA, Record, to_record
from tap_kommo_chats.records.shape import Shape
from tap_kommo_chats.streams.plain import PlainStream, Rows

if TYPE_CHECKING:
    from tap_kommo_chats.records.messages import Row


class ChatHistoryStream(PlainStream):
    """The messages of every conversation, one record each."""

    name = "chat_history"
    path = HISTORY_PATH
    primary_keys = ("conversation_id", "message_id")
    replication_key = "sent_at"
    # message.id is what message_id is made of, and would leave as that.
    shape: ClassVar[Shape] = Shape(
        name,
        SCHEMA,
        kept=frozenset(("scope_id", *primary_keys, replication_key, "message.id")),
    )

    def rows(self) -> Rows:
        """Make a record of every message that the run reads."""
        run = self.open_run()
        masked = self.record_mask.apply

        def make_record(conversation_id: str, row: Row) -> Record:
            return masked(to_record(row, run.whose.name, conversation_id))

        from_beginning = self.replication_method == REPLICATION_FULL_TABLE
        with metrics.http_request_counter(self.name, self.path) as requests:
            try:
                yield from run.messages(make_record, from_beginning=from_beginning)
            finally:
                requests.increment(run.requests_made)

    def log_sync_costs(self) -> None:
        """Close the run: the last that the SDK asks of a stream, after the last STATE.

        Raises:
            IncompleteRunError: If something could not be delivered, so that the run
                ends non-zero after everything else was.
        """
        super().log_sync_costs()
        self.open_run().close()
