"""Long-lived tokens: a JWT, whose middle part says what it is good for.

That it is one, with scopes, expiry and account, was seen; the names of the other claims
are those of real ones. Nobody checks the signature: the sandbox compares whole tokens.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from sandbox.account import ACCOUNT_ID, USER_ID

if TYPE_CHECKING:
    from collections.abc import Iterable

CRM = "crm"
"""The scope of what there is in the CRM. Its name is that of real tokens."""

MESSAGES = "list_external_messages"
"""The scope of the messages of talks, "External chat history" (documented)."""

_MADE_AT = 1_735_689_600
# Kommo's live five years at most. This one outlives the project, so that no test ends
# with a date.
_ENDS_AT = 4_102_444_800


@dataclass(frozen=True)
class Claims:
    """What a token says it is good for.

    Attributes:
        scopes: What it opens.
        expires_at: From when on it opens nothing, in Unix seconds.
    """

    scopes: frozenset[str]
    expires_at: int


def long_lived_token(
    scopes: Iterable[str] = (CRM, MESSAGES),
    expires_at: int = _ENDS_AT,
    account_id: int = ACCOUNT_ID,
) -> str:
    """Make a token; the same arguments give the same.

    Args:
        scopes: What it opens.
        expires_at: From when on it opens nothing, in Unix seconds.
        account_id: The account it is made for.
    """
    header = {"typ": "JWT", "alg": "RS256"}
    claims = {
        "aud": "c7a1f3de-52b8-4a0c-9a67-1d0e8b94f2a5",
        "jti": hashlib.sha256(b"sandbox").hexdigest(),
        "iat": _MADE_AT,
        "nbf": _MADE_AT,
        "exp": expires_at,
        "sub": str(USER_ID),
        "grant_type": "",
        "account_id": account_id,
        "base_domain": "kommo.com",
        "version": 2,
        "scopes": list(scopes),
    }
    signed = f"{_encoded(_json(header))}.{_encoded(_json(claims))}"
    return f"{signed}.{_encoded(hashlib.sha256(signed.encode()).digest())}"


@lru_cache
def claims_of(token: str) -> Claims | None:
    """Read a token made by ``long_lived_token``; None of any other text."""
    _, _, rest = token.partition(".")
    part, _, _ = rest.partition(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return Claims(frozenset(claims["scopes"]), claims["exp"])
    except (ValueError, TypeError, KeyError):
        return None


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
