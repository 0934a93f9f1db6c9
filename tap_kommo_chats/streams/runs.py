"""The stream of runs: how fresh a warehouse is, in one row a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tap_kommo_chats.records.runs import SCHEMA, to_record
from tap_kommo_chats.records.shape import Shape
from tap_kommo_chats.streams.plain import PlainStream, Rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from singer_sdk.helpers.types import Context

    from tap_kommo_chats.records.messages import Record


class RunsStream(PlainStream):
    """The run itself, one record. It is written last."""

    name = "runs"
    primary_keys = ("scope_id", "run_started_at", "shard")
    replication_key = "run_started_at"
    shape: ClassVar[Shape] = Shape(name, SCHEMA, kept=frozenset(SCHEMA["properties"]))

    def rows(self) -> Rows:
        """Make a record of how the run went."""
        yield to_record(self.open_run().summary())

    def get_records(self, context: Context | None) -> Iterable[Record]:
        """Make that record, the last that is asked for in a test of the settings.

        Raises:
            IncompleteRunError: If such a test met something that cannot be delivered.
        """
        yield from super().get_records(context)
        if self.is_glance:
            self.open_run().check_delivery()
