"""A user of the account, and the record it becomes."""

from __future__ import annotations

from tap_kommo_chats.records.columns import Mirror, flag, number, text

USERS = Mirror.of(
    "users",
    ("account_id", "user_id"),
    (
        number("user_id", "Kommo's number of the user.", required=True),
        text("name", "The name."),
        text("email", "The address."),
        text("lang", "The language."),
        text(
            "amojo_id",
            "sender.id of the user's messages in chat_history. Null when there are "
            "none.",
        ),
        flag("is_admin", "Whether the user is an administrator."),
        flag("is_active", "Whether the user can log in."),
        number("group_id", "The user's group."),
        text("group_name", "Its name."),
        number("role_id", "The user's role."),
        text("role_name", "Its name."),
    ),
    {
        "user_id": ("id",),
        "is_admin": ("rights", "is_admin"),
        "is_active": ("rights", "is_active"),
        "group_id": ("rights", "group_id"),
        "role_id": ("rights", "role_id"),
        "group_name": ("_embedded", "groups", 0, "name"),
        "role_name": ("_embedded", "roles", 0, "name"),
    },
    (number("account_id", "Kommo's number of the account.", required=True),),
)
"""One row per user."""
