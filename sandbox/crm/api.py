"""The CRM API: whom it serves, how it reads a request, and how it answers.

The checks run in this order, and the first that fails decides:

1. the problem set on the API, if any;
2. the bearer token (401);
3. the path is known (404), the method GET (405);
4. ``page``, ``limit`` and the times of the filter are in order (400).

Kommo documents the code 401 and the form of errors. The order of the checks and
the other codes are inferred.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from sandbox.api import Answer, Refusal, Subject
from sandbox.crm.endpoints import CRM_ROOT, ENDPOINTS, find
from sandbox.crm.request import CrmRequest, Parameters
from sandbox.crm.verification import verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.api import RequestParts
    from sandbox.crm.store import CrmStore
    from sandbox.faults import Strike

# Public on purpose: it opens nothing but the sandbox.
CRM_TOKEN = "sandbox-crm-token-3f9a61c0"  # noqa: S105 - see above

_DEFAULT_LIMIT = 50


@dataclass(eq=False)
class CrmApi:
    """Serves what a CRM holds. Change its attributes at any time.

    Attributes:
        store: What it holds.
        token: The bearer token requests have to carry.
        max_limit: The most rows on a page: 250 on Kommo, 100 on amoCRM.
        strict_limit: Answer a larger ``limit`` with 400. If not, it gets a page of
            ``max_limit`` rows. Kommo documents neither.
        problem: The refusal to answer every request with; None for no such thing.
        before_page: Called before each answer is taken from the store, so that a
            test can change it between two pages.
    """

    store: CrmStore
    token: str = field(default=CRM_TOKEN, repr=False)
    max_limit: int = 250
    strict_limit: bool = False
    problem: Refusal | None = None
    before_page: Callable[[CrmRequest], None] | None = None

    def serves(self, path: str, /) -> bool:
        """Say whether a path is one of the CRM API, whether known or not."""
        return path == CRM_ROOT or path.startswith(CRM_ROOT + "/")

    def subject(self, target: str, /) -> Subject:
        """Read the list and the page that a target names.

        Faults go by the path, and by those above it. The times of a filter are left
        out of what they are drawn for: they are different in every run, and runs are
        to meet the same faults.
        """
        path, _, query = target.partition("?")
        parameters = Parameters.of(query)
        kept = [
            pair
            for pair in parameters.pairs
            if pair[0] != "page" and not pair[0].startswith("filter[created_at]")
        ]
        above = (path[:end] for end, letter in enumerate(path) if letter == "/")
        return Subject(
            names=frozenset(name for name in (path, *above) if self.serves(name)),
            page=(f"{path}?{urlencode(sorted(kept))}", parameters.integer("page")),
            limit=parameters.integer("limit"),
        )

    def check(self, request: RequestParts, /) -> CrmRequest | Refusal:
        """Return what a request asks for, or why it does not get it."""
        refusal = self.problem or verify(request, self.token)
        if refusal is not None:
            return refusal
        path, _, _ = request.target.partition("?")
        found = find(path)
        if found is None:
            return Refusal(404, f"There is nothing at {path}.")
        if request.method != "GET":
            return Refusal(405, "Talks and events are read with GET.")
        return self._asked(request, *found)

    def change(self, _asked: CrmRequest, _strike: Strike, /) -> None:
        """Change nothing: messages come and go with requests of the Chats API."""

    def answer(self, asked: CrmRequest, /) -> Answer:
        """Take what a request asks for."""
        if self.before_page is not None:
            self.before_page(asked)
        answer = ENDPOINTS[asked.endpoint](self.store, asked)
        return self.error(answer) if isinstance(answer, Refusal) else answer

    def error(self, refusal: Refusal, /) -> Answer:
        """Say a refusal as problem+json."""
        content = {
            "title": HTTPStatus(refusal.status).phrase,
            "status": refusal.status,
            "detail": refusal.description,
        }
        return Answer(refusal.status, content, "application/problem+json")

    def _asked(
        self, request: RequestParts, endpoint: str, item_id: int | None
    ) -> CrmRequest | Refusal:
        path, _, query = request.target.partition("?")
        parameters = Parameters.of(query)
        page = parameters.integer("page", 1)
        limit = parameters.integer("limit", min(_DEFAULT_LIMIT, self.max_limit))
        if not page:
            return Refusal(400, "page has to be one integer from 1 on.")
        if not limit:
            return Refusal(400, "limit has to be one integer from 1 on.")
        if self.strict_limit and limit > self.max_limit:
            return Refusal(400, f"limit has to be {self.max_limit} at most.")
        times = {}
        for edge in ("from", "to"):
            name = f"filter[created_at][{edge}]"
            times[edge] = parameters.integer(name)
            if times[edge] is None and parameters.has(name):
                return Refusal(400, "filter[created_at] takes Unix seconds.")
        return CrmRequest(
            target=request.target,
            endpoint=endpoint,
            url=request.url + path,
            parameters=parameters,
            id=item_id,
            page=page,
            limit=min(limit, self.max_limit),
            since=times["from"],
            until=times["to"],
        )
