"""The account itself, as the CRM API serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.account import ACCOUNT_ID, AMOJO_ID, USER_ID

if TYPE_CHECKING:
    from sandbox.crm.item import Item

GROUPS = {0: "Sales", 412_105: "Support"}
"""The groups of users. The first one of an account has no number."""


def usual_account() -> Item:
    """Return an account, with all that may be asked for."""
    groups = [
        {"id": group_id, "name": name, "uuid": None}
        for group_id, name in GROUPS.items()
    ]
    return {
        "id": ACCOUNT_ID,
        "name": "Sandbox & Söhne",
        "subdomain": "sandbox",
        "created_at": 1_672_531_200,
        "created_by": 0,
        "updated_at": 1_767_225_600,
        "updated_by": USER_ID,
        "current_user_id": USER_ID,
        "country": "BR",
        "currency": "BRL",
        "customers_mode": "segments",
        "is_unsorted_on": True,
        "is_loss_reason_enabled": True,
        "amojo_id": AMOJO_ID,
        "_embedded": {
            "users_groups": groups,
            "datetime_settings": {
                "date_pattern": "d.m.Y H:i",
                "short_date_pattern": "d.m.Y",
                "timezone": "America/Sao_Paulo",
                "timezone_offset": "-03:00",
            },
        },
    }
