"""What an endpoint of the CRM API is, and the kinds there are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.api import Answer, Refusal
from sandbox.crm.parameters import PAGES, Rule
from sandbox.crm.tokens import CRM

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.crm.item import Item
    from sandbox.crm.request import CrmRequest
    from sandbox.crm.store import CrmStore
    from sandbox.crm.terms import Terms

    Rows = Callable[[CrmStore, CrmRequest], list[Item] | Refusal]

_HAL = "application/hal+json"


@dataclass(frozen=True)
class Need:
    """What it takes to be answered, beside the right token.

    Attributes:
        scope: What the token has to be good for.
        missing: Refuses what an account does not have, or a user may not see.
    """

    scope: str = CRM
    missing: Callable[[Terms], Refusal | None] = lambda _: None


NOTHING_MORE = Need()


@dataclass(frozen=True)
class Endpoint:
    """What is served at a path, and to whom.

    Attributes:
        answer: Takes what a request asks for.
        takes: The parameters there are.
        need: What it takes to be answered.
    """

    answer: Callable[[CrmStore, CrmRequest], Answer | Refusal]
    takes: Mapping[str, Rule] = field(default_factory=dict)
    need: Need = NOTHING_MORE


def listed(
    name: str,
    rows_of: Rows,
    takes: Mapping[str, Rule],
    need: Need = NOTHING_MORE,
    linked: Callable[[Terms], bool] = lambda _: True,
) -> Endpoint:
    """Make an endpoint that serves rows in pages.

    Args:
        name: What the rows are called in the answer.
        rows_of: Takes all rows that a request asks for, on whatever page.
        takes: The parameters there are beside ``page`` and ``limit``.
        need: What it takes to be answered.
        linked: Says whether a page names the next.
    """

    def answer(store: CrmStore, request: CrmRequest) -> Answer | Refusal:
        rows = rows_of(store, request)
        if isinstance(rows, Refusal):
            return rows
        begin = (request.page - 1) * request.limit
        page = rows[begin : begin + request.limit]
        links = {"self": {"href": request.link(request.page)}}
        if len(rows) > begin + request.limit and linked(request.terms):
            links["next"] = {"href": request.link(request.page + 1)}
        content = {"_page": request.page, "_links": links, "_embedded": {name: page}}
        return Answer(200 if page else 204, content, _HAL)

    return Endpoint(answer, {**PAGES, **takes}, need)


def whole(name: str, rows_of: Callable[[CrmStore], list[Item]]) -> Endpoint:
    """Make an endpoint that serves all rows in one answer.

    Args:
        name: What the rows are called in the answer.
        rows_of: Takes them.
    """

    def answer(store: CrmStore, request: CrmRequest) -> Answer:
        rows = rows_of(store)
        content = {
            "_total_items": len(rows),
            "_links": {"self": {"href": request.url}},
            "_embedded": {name: rows},
        }
        return Answer(200 if rows else 204, content, _HAL)

    return Endpoint(answer)


def single(
    name: str,
    item_of: Callable[[CrmStore, CrmRequest], Item | Refusal | None],
    takes: Mapping[str, Rule] | None = None,
) -> Endpoint:
    """Make an endpoint that serves one object, or 404 where it is not there.

    Args:
        name: What the object is called where it is not there.
        item_of: Takes the object.
        takes: The parameters there are.
    """

    def answer(store: CrmStore, request: CrmRequest) -> Answer | Refusal:
        item = item_of(store, request)
        if item is None:
            return Refusal(404, f"There is no {name} of this id.")
        return item if isinstance(item, Refusal) else Answer(200, item, _HAL)

    return Endpoint(answer, takes or {})
