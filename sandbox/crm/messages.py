"""The messages of talks, in memory."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from sandbox.crm.item import Items

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.crm.item import Item

_PEOPLE_NAMESPACE = uuid.UUID("c0ffb3c7-1f0b-45a8-8a02-5d1f6f7b9e34")


class Messages(Items[str]):
    """Messages by id, and by the talks they are of."""

    def __init__(self) -> None:
        """Start with none."""
        super().__init__()
        self._of_talk: dict[int, dict[str, None]] = {}

    def add(self, talk_id: int, message: Item) -> None:
        """Add a message to a talk, or replace the one of its id.

        A message that is added to two talks is given by both.
        """
        self.put(message)
        with self._lock:
            self._of_talk.setdefault(talk_id, {})[message["id"]] = None

    def of(self, talk_ids: Iterable[int]) -> list[Item]:
        """Return the messages of talks, each once, in the order they were added."""
        with self._lock:
            ids = [each for one in talk_ids for each in self._of_talk.get(one, ())]
            kept = dict.fromkeys(each for each in ids if each in self._items)
            return [self._items[each] for each in kept]


def new_message(
    talk: Item, message_id: str, at: int, author: Item, **fields: object
) -> Item:
    """Return a message of a talk. What a contact wrote is incoming, else outgoing.

    Kommo shows no recipient of an incoming message, and no delivery of one.

    Args:
        talk: The talk.
        message_id: The message's id.
        at: When it was sent, in Unix seconds.
        author: Who wrote it.
        **fields: Fields to add, or to put in the place of others.
    """
    incoming = author["type"] == "external"
    message: Item = {
        "id": message_id,
        "chat_id": talk["chat_id"],
        "type": "incoming" if incoming else "outgoing",
        "message_type": "text",
        "author": author,
        "text": "",
        "created_at": at,
        "sec_created_at": at * 1000,
        "origin": talk["origin"],
        "attachment": None,
    }
    if not incoming:
        message["recipient"] = external_author(talk["contact_id"])
        message["delivery_status"] = "delivered"
    return {**message, **fields}


def external_author(contact_id: int, name: str | None = None) -> Item:
    """Return a contact as the author or the recipient of a message."""
    return _person("external", f"contact {contact_id}", name or f"Contact {contact_id}")


def internal_author(user_id: int, user: Item | None) -> Item:
    """Return a user as the author of a message.

    Args:
        user_id: The user's id.
        user: The user; None for one who is not there.
    """
    name = user["name"] if user else f"User {user_id}"
    author = _person("internal", f"user {user_id}", name)
    if user and user["amojo_id"]:
        author["id"] = user["amojo_id"]
    return {**author, "user_id": user_id}


def _person(kind: str, key: str, name: str) -> Item:
    person_id = str(uuid.uuid5(_PEOPLE_NAMESPACE, key))
    return {"id": person_id, "type": kind, "name": name, "avatar_url": ""}


BOT_AUTHOR = _person("bot", "bot", "Night desk 🤖")
"""Who writes what a bot or an API sends (seen)."""

PHONE_AUTHOR = _person("internal", "phone", "WhatsApp Business")
"""Who writes what is typed in the phone's app: nobody's user. Its form is inferred."""
