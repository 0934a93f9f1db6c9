"""Whether a request carries the bearer token."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from sandbox.api import Refusal

if TYPE_CHECKING:
    from sandbox.api import RequestParts


def verify(request: RequestParts, token: str) -> Refusal | None:
    """Check who asks.

    Args:
        request: The request's parts.
        token: The token to ask for.

    Returns:
        The refusal to answer with; None if the token is the right one.
    """
    scheme, _, given = (request.header("Authorization") or "").partition(" ")
    # Bytes, because comparing text raises for letters beyond ASCII.
    fits = hmac.compare_digest(
        given.strip().encode("utf-8", "surrogateescape"), token.encode()
    )
    if scheme.lower() != "bearer" or not fits:
        return Refusal(401, "The bearer token is missing or not the right one.")
    return None
