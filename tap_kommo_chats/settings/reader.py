"""Reading one setting of a kind, and saying in one line what is wrong with it.

No line here repeats a value of a secret setting, whatever its type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from tap_kommo_chats.loopback import is_loopback

Config: TypeAlias = Mapping[str, Any]
"""A configuration. A setting that is missing or null has its default."""

_INTEGERS_AT_MOST = 1_000_000
"""What no setting is above. Larger ones would overflow where they end up."""

_KINDS = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    dict: "an object",
    list: "a list",
}


class Reader:
    """Reads settings, and collects what is wrong with any.

    Attributes:
        problems: Why the settings cannot be used, one line each.
        notes: What an operator should know though the run goes on, one line each.
    """

    def __init__(self, config: Config) -> None:
        """Start with nothing read."""
        self.config = config
        self.problems: list[str] = []
        self.notes: list[str] = []

    def text(self, name: str, what: str) -> str | None:
        """Read a text that is needed; None when there is none to use.

        Args:
            name: The setting.
            what: What to write there, for the line that says what is wrong.
        """
        given = self.config.get(name)
        if given is None:
            self.problems.append(f"{name} is missing: write {what}")
        elif not isinstance(given, str):
            self.problems.append(f"{name} is {kind_of(given)}, not text: write {what}")
        elif not given.strip():
            self.problems.append(f"{name} is empty: write {what}")
        else:
            return given
        return None

    def integer(
        self, name: str, default: int, at_least: int, at_most: int = _INTEGERS_AT_MOST
    ) -> int:
        """Read a whole number that is neither too small nor too large."""
        given = self.config.get(name)
        if given is None:
            return default
        if type(given) is not int or not at_least <= given <= at_most:
            self.problems.append(
                f"{name} is not a whole number from {at_least} to {at_most}: write "
                f"one, such as {default}"
            )
            return default
        return given

    def url(self, name: str, example: str) -> str:
        """Read scheme, host and port of a server, with no slash at the end."""
        remedy = f"write a scheme and a host, such as {example}"
        if name == "api_url" and self.config.get(name) is None:
            return ""
        text = self.text(name, f"a scheme and a host, such as {example}")
        if text is None:
            return ""
        try:
            url = urlsplit(text)
            host, _ = url.hostname, url.port
            (host or "").encode("idna")
        except ValueError:
            self.problems.append(f"{name} is not a URL: {remedy}")
            return ""
        if url.scheme not in {"http", "https"} or "://" not in text:
            self.problems.append(f"{name} has no https:// in front: {remedy}")
        elif not host or re.search(r"[\s\x00-\x1f\x7f\\]", text):
            self.problems.append(f"{name} has no usable host: {remedy}")
        elif (
            url.path not in {"", "/"} or url.query or url.fragment or "@" in url.netloc
        ):
            self.problems.append(f"{name} has more than a scheme and a host: {remedy}")
        elif url.scheme == "http" and not is_loopback(host):
            self.problems.append(
                f"{name} is plain http, which sends messages unprotected: write "
                "https:// (http is for a server on this machine)"
            )
        return f"{url.scheme}://{url.netloc}"

    def all_or_none(self, *names: str) -> bool:
        """Tell whether settings that go together are all given."""
        missing = [name for name in names if self.config.get(name) is None]
        if missing and len(missing) < len(names):
            self.problems.append(
                f"{' and '.join(missing)} is missing: {', '.join(names)} go together"
            )
        return not missing


def kind_of(value: object) -> str:
    """Name what a value is without showing it."""
    return _KINDS.get(type(value), "of another kind")
