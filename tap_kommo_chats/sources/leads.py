"""The leads that changed, and those of some numbers.

An account of amoCRM may lack filters on leads, which are refused then, or not heeded.
What comes is believed as far as it goes, and the rest is asked for without a filter.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from tap_kommo_chats.errors import BadRequestError, ForbiddenError, NotFoundError
from tap_kommo_chats.records.leads import Lead, read_lead

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tap_kommo_chats.kommo.crm import CrmApi
    from tap_kommo_chats.kommo.pages import Page


class LeadLookup:
    """Finds leads.

    Attributes:
        has_filters: Whether filters on leads were heeded, as far as is known.
    """

    def __init__(self, crm: CrmApi) -> None:
        """Ask nothing yet."""
        self.has_filters = True
        self._crm = crm

    def changed(self, since_ms: int) -> Iterator[Lead]:
        """Yield the leads that changed from some time on, in milliseconds since 1970.

        The last changed come first, so that one that changes meanwhile moves none to a
        page that was read.
        """
        for page in self._pages_since(since_ms):
            leads = _read(page.rows)
            changed = [
                lead
                for lead in leads
                if lead.updated_ms is None or lead.updated_ms >= since_ms
            ]
            yield from changed
            if len(changed) < len(leads):
                self.has_filters = False
            if leads and not changed:
                # All that follow are older.
                return

    def numbered(self, lead_ids: Sequence[int]) -> Iterator[Lead]:
        """Yield the leads of some numbers. One that is gone, or not shown, is left out.

        Args:
            lead_ids: As many as fit into one request.
        """
        wanted = set(lead_ids)
        if self.has_filters:
            for lead in self._together(lead_ids):
                if lead.lead_id in wanted:
                    wanted.remove(lead.lead_id)
                    yield lead
        if not self.has_filters:
            for lead_id in sorted(wanted):
                yield from self._alone(lead_id)

    def _pages_since(self, since_ms: int) -> Iterable[Page]:
        if self.has_filters:
            pages = self._crm.leads_changed(since_ms)
            try:
                return chain([next(pages)], pages)
            except BadRequestError:
                self.has_filters = False
        return self._crm.leads_changed(None)

    def _together(self, lead_ids: Sequence[int]) -> Iterator[Lead]:
        try:
            for page in self._crm.leads_numbered(lead_ids):
                leads = _read(page.rows)
                yield from leads
                if any(lead.lead_id not in lead_ids for lead in leads):
                    # What comes is the list of all.
                    self.has_filters = False
                    return
        except BadRequestError:
            self.has_filters = False

    def _alone(self, lead_id: int) -> Iterator[Lead]:
        try:
            lead = read_lead(self._crm.lead(lead_id))
        except (ForbiddenError, NotFoundError):
            return
        if lead is not None and lead.lead_id == lead_id:
            yield lead


def _read(rows: Iterable[object]) -> list[Lead]:
    return [lead for lead in map(read_lead, rows) if lead is not None]
