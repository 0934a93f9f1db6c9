"""The ways a lead can take, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.account import ACCOUNT_ID
from sandbox.crm.item import Items

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.crm.item import Item

WON, LOST = 142, 143
"""The statuses at the end of each pipeline, everywhere of these numbers."""

_INCOMING = 1
_SORT_STEP = 10


class Pipelines(Items[int]):
    """Pipelines by id, with their statuses."""

    def add(
        self,
        pipeline_id: int,
        name: str,
        statuses: Mapping[int, str],
        **fields: object,
    ) -> None:
        """Add a pipeline, or replace the one of this id. The first one is the main one.

        Args:
            pipeline_id: The pipeline's id.
            name: Its name.
            statuses: Names by id, in their order; the first takes incoming leads. Won
                and lost come after them.
            **fields: Fields to add, or to put in the place of others.
        """
        ends = {WON: "Closed - won", LOST: "Closed - lost"}
        place = len(self.all())
        rows = [
            _status(pipeline_id, status_id, status_name, number)
            for number, (status_id, status_name) in enumerate(
                {**statuses, **ends}.items()
            )
        ]
        pipeline: Item = {
            "id": pipeline_id,
            "name": name,
            "sort": place + 1,
            "is_main": place == 0,
            "is_unsorted_on": True,
            "is_archive": False,
            "account_id": ACCOUNT_ID,
            "_embedded": {"statuses": rows},
        }
        self.put({**pipeline, **fields})


def _status(pipeline_id: int, status_id: int, name: str, place: int) -> Item:
    is_end = status_id in (WON, LOST)
    return {
        "id": status_id,
        "name": name,
        # The two ends come last, however many stand before them.
        "sort": (10_000 if status_id == WON else 11_000)
        if is_end
        else (place + 1) * _SORT_STEP,
        "is_editable": not is_end and place > 0,
        "pipeline_id": pipeline_id,
        "color": "#c1c1c1",
        "type": _INCOMING if place == 0 else 0,
        "account_id": ACCOUNT_ID,
    }
