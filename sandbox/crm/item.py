"""What the CRM API's objects have in common."""

from __future__ import annotations

import threading
from typing import Any, Generic, TypeVar

Item = dict[str, Any]
"""One object exactly as the API serves it."""

IdT = TypeVar("IdT", int, str)

OWN_ORIGIN = "amo.ext.12345678"
"""The channel whose conversations the Chats API serves."""


class Items(Generic[IdT]):
    """Objects by their ``id``. Safe to use from several threads.

    An object that was handed out never changes: an update puts a new one in its place.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._lock = threading.Lock()
        self._items: dict[IdT, Item] = {}

    def put(self, item: Item) -> None:
        """Add an object, or replace the one of its id. Do not change it afterwards."""
        with self._lock:
            self._items[item["id"]] = item

    def update(self, item_id: IdT, /, **changes: object) -> Item:
        """Change fields of an object.

        Returns:
            The object as it is now.

        Raises:
            KeyError: There is no such object.
        """
        with self._lock:
            item = {**self._items[item_id], **changes}
            self._items[item_id] = item
            return item

    def remove(self, item_id: IdT) -> None:
        """Remove an object.

        Raises:
            KeyError: There is no such object.
        """
        with self._lock:
            del self._items[item_id]

    def get(self, item_id: IdT) -> Item | None:
        """Return one object; None if there is none of this id."""
        with self._lock:
            return self._items.get(item_id)

    def all(self) -> list[Item]:
        """Return all objects, in the order they were added."""
        with self._lock:
            return list(self._items.values())
