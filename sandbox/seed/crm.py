"""What an invented account holds in its CRM."""

# ruff: noqa: S311 - repeatable data is wanted here, nothing is kept secret by it

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

from sandbox.crm.store import CrmStore
from sandbox.seed.leads import add_pipelines, lead_fields
from sandbox.seed.native import native_steps
from sandbox.seed.own_talks import own_talks
from sandbox.seed.people import PEOPLE, add_people
from sandbox.seed.steps import Step, play

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.chats.store import ConversationStore
    from sandbox.crm.item import Item


def seeded_crm(store: ConversationStore, days_later: int = 0) -> CrmStore:
    """Return a new store with the CRM of a store's conversations.

    It has talks and events of them, as the own channel's, and a few hundred messages of
    three native channels, which are the same whatever the conversations. Each talk has
    a lead, with an exception or two, and all writers are users, but for the one who was
    removed.

    Args:
        store: The conversations.
        days_later: How many days later native chats are to happen.
    """
    crm = CrmStore()
    add_pipelines(crm)
    add_people(crm, store)
    users = {user["amojo_id"]: user["id"] for user in crm.users.all()}
    talks, events = own_talks(store, users)
    own = (
        Step(talk["created_at"], partial(_add_talk, talk))
        for talk in sorted(talks, key=lambda each: each["talk_id"])
    )
    # In the order they began, as if they had come in one by one.
    play(crm, [*own, *_own_leads(talks), *native_steps(days_later)])
    for event in sorted(events, key=lambda each: (each["created_at"], each["talk_id"])):
        crm.events.add(**event)
    for person in PEOPLE:
        if person.removed:
            crm.users.remove(person.id)
    return crm


def _own_leads(talks: list[Item]) -> Iterator[Step]:
    """Yield that the leads of talks come."""
    firsts = {talk["entity_id"]: talk for talk in reversed(talks)}
    for lead_id, talk in firsts.items():
        fields = lead_fields(random.Random(lead_id), lead_id)
        times = {"created_at": talk["created_at"], "updated_at": talk["updated_at"]}
        yield Step(talk["created_at"], partial(_add_lead, lead_id, times, fields))


def _add_talk(talk: Item, crm: CrmStore) -> None:
    crm.talks.add(**talk)


def _add_lead(lead_id: int, times: Item, fields: Item, crm: CrmStore) -> None:
    crm.leads.add(lead_id, **times, **fields)
