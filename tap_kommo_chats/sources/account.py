"""Whether the CRM and the Chats API are asked for one and the same account."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tap_kommo_chats.errors import RunError

if TYPE_CHECKING:
    from tap_kommo_chats.kommo.crm import CrmApi

_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def check_account(crm: CrmApi, scope_id: str) -> None:
    """Compare the token's account with the one of the scope, at one request.

    Another account's chats are no chats of the channel, and look empty there. Where
    either does not say which account it is, nothing is compared.

    Args:
        crm: The CRM.
        scope_id: The channel's id and the account's, joined by an underscore.

    Raises:
        RunError: If they are two accounts, or the CRM cannot be asked.
    """
    ours = re.fullmatch(f".*_({_UUID})", scope_id, re.IGNORECASE)
    if ours is None:
        return
    theirs = re.fullmatch(_UUID, crm.amojo_id() or "", re.IGNORECASE)
    if theirs is not None and theirs[0].lower() != ours[1].lower():
        msg = (
            f"crm_access_token is of the account with amojo_id {theirs[0]}, and "
            f"scope_id is of {ours[1]}: take both from one account"
        )
        raise RunError(msg)
