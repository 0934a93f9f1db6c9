"""A lead, and the record it becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tap_kommo_chats.integers import read_id
from tap_kommo_chats.records.columns import (
    Mirror,
    flag,
    moment,
    moment_of,
    number,
    objects,
    seconds_ms,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_kommo_chats.records.messages import Record
    from tap_kommo_chats.records.talks import Talk

LEADS = Mirror.of(
    "leads",
    ("account_id", "lead_id", "updated_at"),
    (
        number("account_id", "Kommo's number of the account.", required=True),
        number("lead_id", "Kommo's number of the lead.", required=True),
        text("name", "Its name."),
        number("price", "What it is worth, in the account's currency."),
        number("pipeline_id", "The pipeline it is in."),
        number("status_id", "Its status there. 142 is won, 143 is lost."),
        number("responsible_user_id", "The user who is responsible for it."),
        number("group_id", "That user's group."),
        number("loss_reason_id", "Why it was lost."),
        text("loss_reason", "The same in words."),
        number("source_id", "The source it came from."),
        text("source", "Its name."),
        objects("tags", "Its tags, with id and name each."),
        objects("custom_fields_values", "The values of the account's own fields."),
        number("created_by", "The user who made it; 0 for nobody's user."),
        number("updated_by", "The user who changed it last."),
        number("created_at", "When it was made, in Unix seconds."),
        number("updated_at", "When it was last changed, in Unix seconds."),
        number("closed_at", "When it was won or lost, in Unix seconds."),
        flag("is_deleted", "Whether it was deleted."),
    ),
    {
        "lead_id": ("id",),
        "loss_reason": ("_embedded", "loss_reason", 0, "name"),
        "source": ("_embedded", "source", "name"),
        "tags": ("_embedded", "tags"),
    },
    (moment("changed_at", "updated_at as a time in UTC."),),
)
"""One row per lead."""


class Lead(NamedTuple):
    """A lead that can be told from others.

    Attributes:
        lead_id: Kommo's number of it.
        updated_ms: When it was last changed, in milliseconds since 1970; None when that
            is not known.
        value: The lead as the CRM gave it.
    """

    lead_id: int
    updated_ms: int | None
    value: dict[str, Any]


def read_lead(value: object) -> Lead | None:
    """Read a lead leniently; None when what stands in its place has no id."""
    lead_id = read_id(value.get("id")) if isinstance(value, dict) else None
    if lead_id is None or not isinstance(value, dict):
        return None
    return Lead(lead_id, seconds_ms(read_id(value.get("updated_at"))), value)


def lead_record(lead: Lead, **ours: object) -> Record:
    """Make a lead's record."""
    return LEADS.record(
        lead.value,
        lead_id=lead.lead_id,
        changed_at=moment_of(lead.updated_ms),
        **ours,
    )


def leads_of(talk: Talk) -> Iterator[int]:
    """Name the leads of a talk."""
    value = talk.value
    kind, entity = value.get("entity_type"), read_id(value.get("entity_id"))
    if kind == "lead" and entity is not None:
        yield entity
    embedded = value.get("_embedded")
    leads = embedded.get("leads") if isinstance(embedded, dict) else None
    for lead in leads if isinstance(leads, list) else ():
        lead_id = read_id(lead.get("id")) if isinstance(lead, dict) else None
        if lead_id is not None and lead_id != entity:
            yield lead_id
