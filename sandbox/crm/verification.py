"""Whether a request carries a bearer token that is good."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from sandbox.api import Refusal
from sandbox.crm.tokens import claims_of

if TYPE_CHECKING:
    from sandbox.api import RequestParts


def verify(request: RequestParts, token: str) -> Refusal | None:
    """Check who asks.

    Args:
        request: The request's parts.
        token: The token to ask for.

    Returns:
        The refusal to answer with; None if the token is the right one and not expired.
    """
    scheme, _, given = (request.header("Authorization") or "").partition(" ")
    # Bytes, because comparing text raises for letters beyond ASCII.
    fits = hmac.compare_digest(
        given.strip().encode("utf-8", "surrogateescape"), token.encode()
    )
    if scheme.lower() != "bearer" or not fits:
        return Refusal(401, "The bearer token is missing or not the right one.")
    claims = claims_of(token)
    if claims is not None and claims.expires_at <= request.at:
        return Refusal(401, "The bearer token has expired.")
    return None


def verify_scope(token: str, scope: str) -> Refusal | None:
    """Check what a token is good for.

    Args:
        token: The token. One that is no JWT is good for all.
        scope: What it has to be good for.

    Returns:
        The refusal to answer with; None if the token has the scope.
    """
    claims = claims_of(token)
    if claims is not None and scope not in claims.scopes:
        return Refusal(403, "Invalid scope")
    return None
