"""The talks there are, in memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from sandbox.account import ACCOUNT_ID
from sandbox.crm.item import OWN_ORIGIN

if TYPE_CHECKING:
    from sandbox.crm.item import Item

_SOURCE_ID = 19_350_112
# Added to a talk's id, so that talks differ in contact and lead unless told.
_CONTACTS_FROM = 3_300_000
_ENTITIES_FROM = 26_000_000


class Talks:
    """Talks by id. Safe to use from several threads.

    A talk that was handed out never changes: an update puts a new one in its place.

    Attributes:
        listed_at_most: How many talks a list without a filter goes through, over all
            of its pages; None for all. Integrators disagree about Kommo.
    """

    def __init__(self) -> None:
        """Start with no talk."""
        self.listed_at_most: int | None = None
        self._lock = threading.Lock()
        self._talks: dict[int, Item] = {}
        # The talks of a chat in the order they were added.
        self._of_chat: dict[str, list[int]] = {}

    def add(
        self,
        talk_id: int,
        chat_id: str,
        *,
        created_at: int,
        updated_at: int,
        **fields: object,
    ) -> None:
        """Add a talk, or replace the one of this id and list it as the latest.

        Args:
            talk_id: The talk's id.
            chat_id: The id of its conversation.
            created_at: When it began, in Unix seconds.
            updated_at: When it last changed, in Unix seconds.
            **fields: Fields to add, or to put in the place of others. Contact and
                lead are the talk's own unless they are among them. What is embedded
                follows the contact and the entity, and ``status`` follows
                ``is_in_work``.
        """
        usual: Item = {
            "talk_id": talk_id,
            "created_at": created_at,
            "updated_at": updated_at,
            "rate": 0,
            "contact_id": _CONTACTS_FROM + talk_id,
            "chat_id": chat_id,
            "entity_id": default_entity(talk_id),
            "entity_type": "lead",
            "is_in_work": True,
            "is_read": True,
            "origin": OWN_ORIGIN,
            "missed_at": None,
            "account_id": ACCOUNT_ID,
            "source_id": _SOURCE_ID,
        }
        talk = {name: fields.get(name, value) for name, value in usual.items()}
        talk["status"] = _status(talk)
        talk["_embedded"] = _linked(talk)
        talk.update(fields)
        with self._lock:
            self._forget(talk_id)
            self._talks[talk_id] = talk
            self._of_chat.setdefault(chat_id, []).append(talk_id)

    def update(self, talk_id: int, **changes: object) -> None:
        """Change fields of a talk and leave it at its place in the list.

        What is embedded follows the contact and the entity, and ``status`` follows
        ``is_in_work``, unless they are changed by name.

        Args:
            talk_id: The talk's id.
            **changes: The new values by field.

        Raises:
            KeyError: There is no such talk.
        """
        with self._lock:
            before = self._talks[talk_id]
            talk = {**before, **changes}
            if {"contact_id", "entity_id", "entity_type"} & changes.keys():
                talk["_embedded"] = changes.get("_embedded", _linked(talk))
            if "is_in_work" in changes and "status" not in changes:
                talk["status"] = _status(talk)
            if talk["chat_id"] != before["chat_id"]:
                self._of_chat[before["chat_id"]].remove(talk_id)
                self._of_chat.setdefault(talk["chat_id"], []).append(talk_id)
            self._talks[talk_id] = talk

    def touch(self, talk_id: int, at: int) -> Item:
        """Let something happen in a talk.

        Args:
            talk_id: The talk's id.
            at: When, in Unix seconds. The talk was updated then or later.

        Returns:
            The talk.

        Raises:
            KeyError: There is no such talk.
        """
        with self._lock:
            talk = self._talks[talk_id]
            touched = {**talk, "updated_at": max(at, talk["updated_at"])}
            self._talks[talk_id] = touched
            return touched

    def of_chat(self, chat_id: str) -> list[int]:
        """Return the talks of a chat by id, the one it has now last."""
        with self._lock:
            return list(self._of_chat.get(chat_id, ()))

    def remove(self, talk_id: int) -> None:
        """Remove a talk. Its events stay.

        Raises:
            KeyError: There is no such talk.
        """
        with self._lock:
            if talk_id not in self._talks:
                raise KeyError(talk_id)
            self._forget(talk_id)

    def all(self) -> list[Item]:
        """Return all talks, the one added last first."""
        with self._lock:
            return list(reversed(self._talks.values()))

    def get(self, talk_id: int) -> Item | None:
        """Return one talk; None if there is none of this id."""
        with self._lock:
            return self._talks.get(talk_id)

    def _forget(self, talk_id: int) -> None:
        talk = self._talks.pop(talk_id, None)
        if talk is not None:
            self._of_chat[talk["chat_id"]].remove(talk_id)


def default_entity(talk_id: int) -> int:
    """Return the lead of a talk that is given none."""
    return _ENTITIES_FROM + talk_id


def _status(talk: Item) -> str:
    return "in_work" if talk["is_in_work"] else "closed"


def _linked(talk: Item) -> Item:
    entities = [{"id": talk["entity_id"]}]
    return {
        "contacts": [{"id": talk["contact_id"]}],
        "leads": entities if talk["entity_type"] == "lead" else [],
        "customers": entities if talk["entity_type"] == "customer" else [],
    }
