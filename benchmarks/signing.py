"""The signature, for the programs that the tap is measured against."""

from __future__ import annotations

import hashlib
import hmac
from email.utils import formatdate
from typing import TYPE_CHECKING

from requests.auth import AuthBase

if TYPE_CHECKING:
    from requests import PreparedRequest

_CONTENT_TYPE = "application/json"
_NO_BODY = hashlib.md5(b"", usedforsecurity=False).hexdigest()


def signed_headers(path: str, secret: bytes) -> dict[str, str]:
    """Make the headers of a GET.

    Args:
        path: The URL's path, without the query.
        secret: The channel's secret.
    """
    date = formatdate()
    text = f"GET\n{_NO_BODY}\n{_CONTENT_TYPE}\n{date}\n{path}"
    return {
        "Date": date,
        "Content-Type": _CONTENT_TYPE,
        "Content-MD5": _NO_BODY,
        "X-Signature": hmac.new(secret, text.encode(), hashlib.sha1).hexdigest(),
    }


class SignatureAuth(AuthBase):
    """Signs a request the way the requests library wants it done."""

    def __init__(self, secret: str) -> None:
        """Keep the secret.

        Args:
            secret: The channel's secret.
        """
        self._secret = secret.encode()

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Sign a request in place.

        Args:
            r: A request whose URL is final.
        """
        path = r.path_url.partition("?")[0]
        r.headers.update(signed_headers(path, self._secret))
        return r
