"""Which account the CRM is of, and whether the Chats API is asked for the same one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tap_kommo_chats.errors import RunError
from tap_kommo_chats.identifiers import UUID
from tap_kommo_chats.records.accounts import Account, read_account

if TYPE_CHECKING:
    from tap_kommo_chats.kommo.crm import CrmApi
    from tap_kommo_chats.settings.values import Settings


def ask_account(crm: CrmApi) -> Account:
    """Ask which account a token is of, at one request.

    Raises:
        RunError: If the CRM cannot be asked.
    """
    return read_account(dict(crm.account() or {}))


def check_account(account: Account, settings: Settings) -> None:
    """Compare the token's account with the one of the scope.

    Another account's chats are no chats of the channel, and look empty there. Where
    either does not say which account it is, nothing is compared.

    Args:
        account: The token's.
        settings: Say the scope, or the channel.

    Raises:
        RunError: If they are two accounts, or only the scope could tell which.
    """
    theirs = re.fullmatch(UUID, account.amojo_id or "", re.IGNORECASE)
    if settings.channel_id is not None and theirs is None:
        msg = (
            "the CRM does not tell the account's amojo_id, which scope_id ends in: set "
            "scope_id in place of channel_id"
        )
        raise RunError(msg)
    ours = re.fullmatch(f".*_({UUID})", settings.scope_id or "", re.IGNORECASE)
    if ours is not None and theirs is not None and theirs[0].lower() != ours[1].lower():
        msg = (
            f"crm_access_token is of the account with amojo_id {theirs[0]}, and "
            f"scope_id is of {ours[1]}: take both from one account"
        )
        raise RunError(msg)
