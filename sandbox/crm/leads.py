"""The leads there are, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.account import ACCOUNT_ID, USER_ID
from sandbox.crm.item import Items

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.crm.item import Item

LOSS_REASONS = {5_501: "Too expensive", 5_502: "No answer", 5_503: "Bought elsewhere"}
SOURCES = {19_350_112: "Website", 19_350_113: "Ad: spring"}

# No pipeline needs to be there for a lead to be.
_PIPELINE_ID = 6_001
_STATUS_ID = 60_012
_TAGS_FROM = 880_000


class Leads(Items[int]):
    """Leads by id."""

    def add(
        self,
        lead_id: int,
        *,
        created_at: int,
        updated_at: int | None = None,
        tags: Iterable[str] = (),
        **fields: object,
    ) -> None:
        """Add a lead, or replace the one of this id.

        Args:
            lead_id: The lead's id.
            created_at: When it was created, in Unix seconds.
            updated_at: When it last changed; when it was created if None.
            tags: The names of its tags.
            **fields: Fields to add, or to put in the place of others.
        """
        lead: Item = {
            "id": lead_id,
            "name": f"Lead #{lead_id}",
            "price": 0,
            "responsible_user_id": USER_ID,
            "group_id": 0,
            "status_id": _STATUS_ID,
            "pipeline_id": _PIPELINE_ID,
            "loss_reason_id": None,
            "source_id": None,
            "created_by": 0,
            "updated_by": 0,
            "created_at": created_at,
            "updated_at": created_at if updated_at is None else updated_at,
            "closed_at": None,
            "closest_task_at": None,
            "is_deleted": False,
            "custom_fields_values": None,
            "score": None,
            "account_id": ACCOUNT_ID,
            "_embedded": {"tags": [_tag(name) for name in tags], "companies": []},
        }
        self.put({**lead, **fields})


def _tag(name: str) -> Item:
    # The same tag has the same id on every lead.
    return {"id": _TAGS_FROM + sum(name.encode()), "name": name, "color": None}
