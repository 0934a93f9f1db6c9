"""What a request to the CRM API asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

# What PHP reads as a number; no more digits than 64 bits hold.
_INTEGER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class Parameters:
    """The query of a request.

    Attributes:
        pairs: Names and values, decoded, in their order.
    """

    pairs: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, query: str) -> Parameters:
        """Read a query as it came on the wire."""
        return cls(tuple(parse_qsl(query, keep_blank_values=True)))

    def has(self, name: str) -> bool:
        """Say whether a parameter was given."""
        return any(key == name for key, _ in self.pairs)

    def text(self, name: str) -> str:
        """Return a parameter, the last if there are several; empty if none."""
        return dict(self.pairs).get(name, "")

    def integer(self, name: str, default: int | None = None) -> int | None:
        """Read a parameter given once as plain digits.

        Returns:
            The number; the default if it was not given, None if it is no such number.
        """
        values = [value for key, value in self.pairs if key == name]
        if not values:
            return default
        if len(values) != 1 or not _INTEGER.fullmatch(values[0]):
            return None
        return int(values[0])

    def filter(self, name: str) -> list[str]:
        """Read a filter: one value, or a list with or without numbered places."""
        pattern = re.compile(rf"filter\[{name}\](\[[0-9]*\])?")
        return [value for key, value in self.pairs if pattern.fullmatch(key)]


@dataclass(frozen=True)
class CrmRequest:
    """A request in order: what it asks for.

    Attributes:
        target: Path and query as they came on the wire.
        endpoint: Which endpoint it is for: a path of ``ENDPOINTS``.
        url: The address of path and host, for links.
        parameters: The query.
        id: The id in the path; None if the path has none.
        page: Which page of a list, from 1.
        limit: The most rows of a page, not more than a page may have.
        since: The first second asked for, if bounded, in Unix seconds.
        until: The last second asked for, if bounded, in Unix seconds.
    """

    target: str
    endpoint: str
    url: str
    parameters: Parameters
    id: int | None
    page: int
    limit: int
    since: int | None
    until: int | None

    def link(self, page: int) -> str:
        """Return the address of another page of the same list."""
        others = [pair for pair in self.parameters.pairs if pair[0] != "page"]
        return f"{self.url}?{urlencode([*others, ('page', str(page))])}"
