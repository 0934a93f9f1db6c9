"""What a request to the CRM API asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from sandbox.crm.parameters import Parameters
    from sandbox.crm.terms import Terms


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
        terms: On what terms it is answered.
    """

    target: str
    endpoint: str
    url: str
    parameters: Parameters
    id: int | None
    page: int
    limit: int
    terms: Terms

    def link(self, page: int) -> str:
        """Return the address of another page of the same list."""
        others = [pair for pair in self.parameters.pairs if pair[0] != "page"]
        return f"{self.url}?{urlencode([*others, ('page', str(page))])}"
