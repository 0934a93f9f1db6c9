"""Secrets, and parts of them, taken out of a text."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote

from tap_kommo_chats.printable import escaped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HIDDEN = "..."

_SECRET_AT_LEAST = 4
"""Characters. A shorter text would be taken out of ordinary words and times."""

_VALUE_AT_LEAST = 8
"""Characters of a query's value whose name does not tell that it is a secret."""

_TOKEN_AT_LEAST = 16
"""Characters of a user without a password. It is no name then."""

_SECRET_NAME = re.compile(
    "pass|pwd|secret|token|key|credential|auth|sig(nature)?$", re.IGNORECASE
)


class Redaction:
    """Takes some secrets out of texts, however they are written there."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """Get ready.

        Args:
            secrets: What may not be shown. Those of less than four characters are
                left in.
        """
        forms = {
            form
            for secret in secrets
            for form in _forms(secret.strip())
            if len(form) >= _SECRET_AT_LEAST
        }
        # The longest first: one may be a part of another.
        longest_first = sorted(forms, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, longest_first)))
        self._is_needed = bool(forms)

    def __call__(self, text: str) -> str:
        """Return a text with three points in place of each secret."""
        return self._secrets.sub(_HIDDEN, text) if self._is_needed else text


def url_secrets(url: str) -> set[str]:
    """Tell what of a URL, however badly it is written, may let somebody in.

    Args:
        url: A URL, or several joined by `::`, as fsspec writes them.

    Returns:
        Its password, in the pieces too into which readers of URLs may cut it; its
        query, and the values there that may be secrets.
    """
    found: set[str] = set()
    for one in {url, *url.split("::")}:
        address, _, query = one.partition("?")
        found |= {query, *_values(query)}
        userinfo = address.rpartition("://")[2].rpartition("@")[0]
        user, has_password, password = userinfo.partition(":")
        found |= {password, *re.split("[@:/#]", password)}
        if not has_password and len(user) >= _TOKEN_AT_LEAST:
            found.add(user)
        # SQLAlchemy takes a question mark into the password.
        found.update(re.findall("://[^:/]*:([^@]*)@", one))
    return found


def _values(query: str) -> Iterator[str]:
    for name, value in parse_qsl(query):
        if len(value) >= _VALUE_AT_LEAST or _SECRET_NAME.search(name):
            yield value


def _forms(secret: str) -> Iterator[str]:
    """Yield a text as it may stand in URLs, in JSON and in lines of the log."""
    plain = unquote(secret)
    encoded = quote(plain, safe="", errors="replace")
    for text in (secret, plain, encoded, encoded.replace("%20", "+")):
        yield from (text, json.dumps(text)[1:-1], repr(text)[1:-1], escaped(text))
