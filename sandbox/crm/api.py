"""The CRM API: whom it serves, how it reads a request, and how it answers.

The checks run in this order, and the first that fails decides:

1. the problem set on the API, if any, and what the terms refuse by its path;
2. the bearer token is the right one and not expired (401);
3. the path is known (404), the method GET (405);
4. the token has the scope (403), the plan the add-on (402), the user the rights (403);
5. the parameters are known and in order (400);
6. what is asked for is there (404), and the user has a right to it (403).

Kommo documents the codes 401, 402 and 403, and the form of errors. The order of the
checks and the other codes are inferred.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from sandbox.api import Answer, Refusal, Subject
from sandbox.crm.endpoints import CRM_ROOT, ENDPOINTS, find
from sandbox.crm.parameters import Parameters
from sandbox.crm.request import CrmRequest
from sandbox.crm.terms import USUAL_TERMS, Terms
from sandbox.crm.tokens import long_lived_token
from sandbox.crm.verification import verify, verify_scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.api import RequestParts
    from sandbox.crm.store import CrmStore
    from sandbox.faults import Strike

# Public on purpose: it opens nothing but the sandbox.
CRM_TOKEN = long_lived_token()

_DEFAULT_LIMIT = 50
_TIMES = ("filter[created_at]", "filter[updated_at]")


@dataclass(eq=False)
class CrmApi:
    """Serves what a CRM holds. Change its attributes at any time.

    Attributes:
        store: What it holds.
        token: The bearer token requests have to carry. What it says of its scopes and
            its end is heeded: see ``long_lived_token``.
        max_limit: The most rows on a page: 250 on Kommo, 100 on amoCRM.
        strict_limit: Answer a larger ``limit`` with 400. If not, it gets a page of
            ``max_limit`` rows. Kommo documents neither.
        problem: The refusal to answer every request with; None for no such thing.
        terms: What else is refused, and which way of several it is answered.
        before_page: Called before each answer is taken from the store, so that a
            test can change it between two pages.
    """

    store: CrmStore
    token: str = field(default=CRM_TOKEN, repr=False)
    max_limit: int = 250
    strict_limit: bool = False
    problem: Refusal | None = None
    terms: Terms = USUAL_TERMS
    before_page: Callable[[CrmRequest], None] | None = None

    def serves(self, path: str, /) -> bool:
        """Say whether a path is one of the CRM API, whether known or not."""
        return path == CRM_ROOT or path.startswith(CRM_ROOT + "/")

    def subject(self, target: str, /) -> Subject:
        """Read the list and the page that a target names.

        Faults go by the path, by those above it, and by the endpoint's. The times of a
        filter are left out of what they are drawn for: they are different in every
        run, and runs are to meet the same faults.
        """
        path, _, query = target.partition("?")
        parameters = Parameters.of(query)
        kept = [
            pair
            for pair in parameters.pairs
            if pair[0] != "page" and not pair[0].startswith(_TIMES)
        ]
        return Subject(
            names=self._names(path),
            page=(f"{path}?{urlencode(sorted(kept))}", parameters.integer("page")),
            limit=parameters.integer("limit"),
        )

    def check(self, request: RequestParts, /) -> CrmRequest | Refusal:
        """Return what a request asks for, or why it does not get it."""
        path, _, query = request.target.partition("?")
        refusal = self.problem or self.terms.refusal_of(self._names(path))
        refusal = refusal or verify(request, self.token)
        if refusal is not None:
            return refusal
        found = find(path)
        if found is None:
            return Refusal(404, f"There is nothing at {path}.")
        if request.method != "GET":
            return Refusal(405, "The CRM is read with GET.")
        endpoint = ENDPOINTS[found[0]]
        parameters = Parameters.of(query)
        refusal = (
            verify_scope(self.token, endpoint.need.scope)
            or endpoint.need.missing(self.terms)
            or parameters.problem(endpoint.takes)
        )
        return refusal or self._asked(request, parameters, *found)

    def change(self, _asked: CrmRequest, _strike: Strike, /) -> None:
        """Change nothing: messages come and go with requests of the Chats API."""

    def answer(self, asked: CrmRequest, /) -> Answer:
        """Take what a request asks for."""
        if self.before_page is not None:
            self.before_page(asked)
        answer = ENDPOINTS[asked.endpoint].answer(self.store, asked)
        return self.error(answer) if isinstance(answer, Refusal) else answer

    def error(self, refusal: Refusal, /) -> Answer:
        """Say a refusal as problem+json."""
        content = {
            "title": HTTPStatus(refusal.status).phrase,
            "status": refusal.status,
            "detail": refusal.description,
        }
        return Answer(refusal.status, content, "application/problem+json")

    def _names(self, path: str) -> frozenset[str]:
        """Return what a path may be called by: itself, those above, its endpoint."""
        above = [path[:end] for end, letter in enumerate(path) if letter == "/"]
        found = find(path)
        names = {path, *above, *(() if found is None else found[:1])}
        return frozenset(name for name in names if self.serves(name))

    def _asked(
        self,
        request: RequestParts,
        parameters: Parameters,
        endpoint: str,
        item_id: int | None,
    ) -> CrmRequest | Refusal:
        usual = min(_DEFAULT_LIMIT, self.max_limit)
        limit = parameters.integer("limit") or usual
        if self.strict_limit and limit > self.max_limit:
            return Refusal(400, f"limit has to be {self.max_limit} at most.")
        path, _, _ = request.target.partition("?")
        return CrmRequest(
            target=request.target,
            endpoint=endpoint,
            url=request.url + path,
            parameters=parameters,
            id=item_id,
            page=parameters.integer("page") or 1,
            limit=min(limit, self.max_limit),
            terms=self.terms,
        )
