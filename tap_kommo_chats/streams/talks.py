"""The stream of talks, as the CRM gives them."""

from __future__ import annotations

from typing import ClassVar

from tap_kommo_chats.records.shape import Shape
from tap_kommo_chats.records.talks import SCHEMA, to_record
from tap_kommo_chats.streams.plain import PlainStream, Rows


class TalksStream(PlainStream):
    """The talks that the run saw in the CRM, one record each."""

    name = "talks"
    needs_crm = True
    needs_search = True
    primary_keys = ("account_id", "talk_id")
    replication_key = "updated_at"
    shape: ClassVar[Shape] = Shape(
        name,
        SCHEMA,
        kept=frozenset((*primary_keys, replication_key)),
        # What is embedded (documented) travels in extra.
        copies={
            "contact_id": ("_embedded.contacts",),
            "entity_id": ("_embedded.leads", "_embedded.customers"),
        },
    )

    def rows(self) -> Rows:
        """Make a record of each talk that the run saw."""
        masked = self.record_mask.apply
        for talk, account_id in self.open_run().talks():
            yield masked(to_record(talk, account_id))
