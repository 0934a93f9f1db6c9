"""What the CRM API's objects have in common."""

from __future__ import annotations

from typing import Any

Item = dict[str, Any]
"""One object exactly as the API serves it."""

ACCOUNT_ID = 17_029_541
AMOJO_ID = "d3a8417e-0f6b-4c29-b5d1-7c20e9a6f835"
"""What the account is called in its scopes."""
OWN_ORIGIN = "amo.ext.12345678"
"""The channel whose conversations the Chats API serves."""
