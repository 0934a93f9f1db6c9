"""The leads that talks name, and those that changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_kommo_chats.records.leads import lead_record, leads_of
from tap_kommo_chats.run.directory import Found
from tap_kommo_chats.sources.leads import LeadLookup
from tap_kommo_chats.state.seen_leads import AT_ONCE, SeenLeads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_kommo_chats.kommo.crm import CrmApi
    from tap_kommo_chats.records.leads import Lead
    from tap_kommo_chats.records.talks import Talk


class LeadReader:
    """Reads leads, none twice."""

    def __init__(
        self, crm: CrmApi, number_for: Callable[[object], int], started_ms: int
    ) -> None:
        """Ask nothing yet.

        Args:
            crm: The account's CRM.
            number_for: Returns the account's number, given that of a row.
            started_ms: When the run began, in milliseconds since 1970.
        """
        self._lookup = LeadLookup(crm)
        self._number_for = number_for
        self._started_ms = started_ms
        self._seen = SeenLeads()

    def leads(self, talks: Iterable[Talk], since_ms: int | None) -> Iterator[Found]:
        """Read leads.

        Args:
            talks: Those whose leads are wanted.
            since_ms: The other leads that changed from then on are wanted too, in
                milliseconds since 1970; None for no others.

        Raises:
            CrmRefusedError: If the CRM does not give them.
            RunError: If no usable answer can be had.
        """
        self._seen.want(
            (lead_id, talk.updated_ms or 0)
            for talk in talks
            for lead_id in leads_of(talk)
        )
        if since_ms is not None:
            yield from map(self._found, self._lookup.changed(since_ms))
        for some in self._seen.unread():
            if not self._lookup.has_filters and len(some) == AT_ONCE:
                break
            yield from map(self._found, self._lookup.numbered(some))
        else:
            return
        # So many are sooner found by going through all.
        for lead in self._lookup.changed(0):
            if self._seen.is_unread(lead.lead_id):
                yield self._found(lead)
        for some in self._seen.unread():
            yield from map(self._found, self._lookup.numbered(some))

    def _found(self, lead: Lead) -> Found:
        active_ms = max(self._seen.note_read(lead.lead_id) or 0, lead.updated_ms or 0)
        account_id = self._number_for(lead.value.get("account_id"))
        return Found(
            str(lead.lead_id),
            lead_record(lead, account_id=account_id),
            min(active_ms, self._started_ms),
        )
