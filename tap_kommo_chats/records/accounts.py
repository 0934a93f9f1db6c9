"""The account itself, and the record it becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tap_kommo_chats.integers import read_id
from tap_kommo_chats.records.columns import Mirror, number, text

ACCOUNTS = Mirror.of(
    "accounts",
    ("account_id",),
    (
        number("account_id", "Kommo's number of the account.", required=True),
        text("name", "Its name."),
        text("subdomain", "What its address begins with."),
        text("amojo_id", "What it is called in the chats: the end of a scope_id."),
        text("timezone", "Its time zone, such as America/Sao_Paulo."),
        text("country", "Its country."),
        text("currency", "Its currency."),
        number("created_at", "When it was made, in Unix seconds."),
        number("updated_at", "When it was last changed, in Unix seconds."),
    ),
    {
        "account_id": ("id",),
        "timezone": ("_embedded", "datetime_settings", "timezone"),
    },
)
"""One row per account."""


@dataclass(frozen=True, slots=True)
class Account:
    """The account of a token, as far as the CRM tells.

    Attributes:
        number: Kommo's number of it; None when that is not told.
        amojo_id: What it is called in the chats; None when that is not told.
        value: The account as the CRM gave it; empty when it gave none.
    """

    number: int | None
    amojo_id: str | None
    value: dict[str, Any]


def read_account(value: dict[str, Any]) -> Account:
    """Read an account leniently."""
    amojo_id = value.get("amojo_id")
    return Account(
        read_id(value.get("id")),
        amojo_id if isinstance(amojo_id, str) else None,
        value,
    )
