"""Who works in the invented account."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.account import USER_ID
from sandbox.seed.texts import MANAGER_NAMES

if TYPE_CHECKING:
    from sandbox.chats.store import ConversationStore
    from sandbox.crm.item import Item
    from sandbox.crm.store import CrmStore

_NAMESPACE = uuid.UUID("8f1d5c0a-6c1e-4d8b-a1b7-2f0e4c6d9b35")
_GROUP, _ROLE, _LEAD_ROLE = 412_105, 71_001, 71_002


@dataclass(frozen=True)
class Person:
    """One who works there.

    Attributes:
        id: The user's id.
        name: The name.
        rights: Fields of the user.
        in_chats: Whether the user has an id in the Chats API.
        removed: Whether the user has written and then left.
    """

    id: int
    name: str
    rights: Item
    in_chats: bool = True
    removed: bool = False


_RIGHTS: tuple[Item, ...] = (
    {"is_admin": True},
    {"role_id": _LEAD_ROLE},
    {"role_id": _ROLE, "group_id": _GROUP},
    {"role_id": _ROLE},
)

PEOPLE = (
    *(
        Person(USER_ID + place, name, rights, removed=name == MANAGER_NAMES[-1])
        for place, (name, rights) in enumerate(zip(MANAGER_NAMES, _RIGHTS, strict=True))
    ),
    Person(USER_ID + 4, "Noor Haddad", {"role_id": _ROLE}, in_chats=False),
    Person(USER_ID + 5, "Rui Barros", {"is_active": False}, in_chats=False),
)
"""The managers of the conversations, of whom the last was removed, one who writes in
native chats only, and one who does not work there any more and is listed."""


def add_people(crm: CrmStore, store: ConversationStore) -> None:
    """Add all of them to a CRM, those who were removed as well.

    Args:
        crm: The CRM.
        store: The conversations they write in, which know them by their ids.
    """
    known = _senders(store)
    for person in PEOPLE:
        usual = str(uuid.uuid5(_NAMESPACE, person.name))
        amojo_id = known.get(person.name, usual) if person.in_chats else None
        crm.users.add(person.id, person.name, amojo_id=amojo_id, **person.rights)


def _senders(store: ConversationStore) -> dict[str, str]:
    """Return the ids of those who answer in conversations, by name."""
    found: dict[str, str] = {}
    for conversation_id in store.conversation_ids():
        if store.newest_at(conversation_id) is None:
            # Nothing can be counted on in raw rows.
            continue
        for row in store.rows(conversation_id):
            if "receiver" in row and "name" in row["sender"]:
                found[row["sender"]["name"]] = row["sender"]["id"]
    return found
