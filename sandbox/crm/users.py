"""The people who work in the account, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.crm.account import GROUPS
from sandbox.crm.item import Items

if TYPE_CHECKING:
    from sandbox.crm.item import Item

ROLES = {71_001: "Agent", 71_002: "Shift lead"}
_ON_ALL = {"view": "A", "edit": "A", "add": "A", "delete": "A", "export": "A"}


class Users(Items[int]):
    """Users by id. A person who was removed is in the list no more."""

    def add(  # noqa: PLR0913 - each one is a field tests need on its own
        self,
        user_id: int,
        name: str,
        *,
        amojo_id: str | None = None,
        is_admin: bool = False,
        is_active: bool = True,
        group_id: int = 0,
        role_id: int | None = None,
        **fields: object,
    ) -> None:
        """Add a user, or replace the one of this id.

        Args:
            user_id: The user's id.
            name: The name.
            amojo_id: The ``sender.id`` of the user's messages in the Chats API.
            is_admin: Whether the user is an administrator, who has no role.
            is_active: Whether the user can log in.
            group_id: One of ``GROUPS``, or a number of no known group.
            role_id: One of ``ROLES``, or a number of no known role; None for none.
            **fields: Fields to add, or to put in the place of others.
        """
        rights = {
            "leads": _ON_ALL,
            "contacts": _ON_ALL,
            "mail_access": is_admin,
            "catalog_access": True,
            "is_admin": is_admin,
            "is_free": False,
            "is_active": is_active,
            "group_id": group_id or None,
            "role_id": role_id,
        }
        user: Item = {
            "id": user_id,
            "name": name,
            "email": f"user{user_id}@example.com",
            "lang": "en",
            "rights": rights,
            "amojo_id": amojo_id,
            "_embedded": {
                "groups": _named(group_id, GROUPS),
                "roles": _named(role_id, ROLES),
            },
        }
        self.put({**user, **fields})


def _named(item_id: int | None, names: dict[int, str]) -> list[Item]:
    if item_id is None or item_id not in names:
        return []
    return [{"id": item_id, "name": names[item_id]}]
