"""The stream of runs: how fresh a warehouse is, in one row a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tap_kommo_chats.records.runs import SCHEMA, to_record
from tap_kommo_chats.streams.plain import PlainStream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from singer_sdk.helpers.types import Context

    from tap_kommo_chats.records.messages import Record


class RunsStream(PlainStream):
    """The run itself, one record. It is written last."""

    name = "runs"
    primary_keys = ("scope_id", "run_started_at", "shard")
    replication_key = "run_started_at"
    schema: ClassVar[dict[str, Any]] = SCHEMA

    def get_records(self, context: Context | None) -> Iterable[Record]:  # noqa: ARG002 (there are no partitions)
        """Make a record of how the run went."""
        yield to_record(self.open_run().summary())
