"""What a long-lived token says of itself, which takes no request and no key.

It is a JWT, whose middle part holds its scopes and its end (seen). Nothing of it is
verified: Kommo does that.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

from tap_kommo_chats.times import CALENDAR_MS, DAY_MS, SECOND_MS, format_instant

MESSAGES_SCOPE = "list_external_messages"
"""Of the messages of talks: "External chat history" (documented by Kommo)."""

WARNED_MS = 14 * DAY_MS
"""So long before a token ends every run says so."""

RENEW = "make a new long-lived token in the integration's settings"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says it is good for.

    Attributes:
        scopes: What it opens; None when it does not tell.
        ends_ms: When it ends, in milliseconds since 1970; None when it does not tell.
    """

    scopes: frozenset[str] | None
    ends_ms: int | None


def read_claims(token: str) -> Claims | None:
    """Read a token leniently; None when it is no JWT."""
    parts = token.split(".")
    if len(parts) != len(("header", "claims", "signature")):
        return None
    padding = "=" * (-len(parts[1]) % 4)
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + padding))
    except (ValueError, RecursionError):
        return None
    if not isinstance(claims, dict):
        return None
    scopes = claims.get("scopes")
    return Claims(
        frozenset(scope for scope in scopes if isinstance(scope, str))
        if isinstance(scopes, list)
        else None,
        _instant_ms(claims.get("exp")),
    )


def note_of_end(token: str, now_ms: int) -> str | None:
    """Say that a token ends soon, or has ended; None when it does neither.

    Args:
        token: The token.
        now_ms: The current time, in milliseconds since 1970.
    """
    claims = read_claims(token)
    if claims is None or claims.ends_ms is None:
        return None
    left_ms = claims.ends_ms - now_ms
    if left_ms > WARNED_MS:
        return None
    day = format_instant(claims.ends_ms)[: len("2026-01-31")]
    if left_ms <= 0:
        return f"crm_access_token ended on {day}: {RENEW}"
    days = left_ms // DAY_MS
    when = f"in {days} day(s)" if days else "in less than a day"
    return f"crm_access_token ends on {day}, {when}: {RENEW}"


def _instant_ms(seconds: object) -> int | None:
    # Some issuers write a fraction of a second.
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    try:
        instant_ms = int(seconds * SECOND_MS)
    except (ValueError, OverflowError):  # NaN and Infinity
        return None
    return instant_ms if instant_ms in CALENDAR_MS else None
