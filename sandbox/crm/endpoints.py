"""What the CRM API serves. A new endpoint is a function and a line of ``ENDPOINTS``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sandbox.api import Answer, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.crm.item import Item
    from sandbox.crm.request import CrmRequest
    from sandbox.crm.store import CrmStore

    Endpoint = Callable[[CrmStore, CrmRequest], Answer | Refusal]

CRM_ROOT = "/api/v4"

_HAL = "application/hal+json"


def find(path: str) -> tuple[str, int | None] | None:
    """Find the endpoint of a path.

    Returns:
        Its path in ``ENDPOINTS``, and the id that stands in the path for ``{id}``;
        None if there is nothing at the path.
    """
    for endpoint, pattern in _PATTERNS.items():
        match = pattern.fullmatch(path)
        if match is not None:
            return endpoint, int(match[1]) if match.groups() else None
    return None


def listed(
    name: str, rows_of: Callable[[CrmStore, CrmRequest], list[Item]]
) -> Endpoint:
    """Make an endpoint that serves rows in pages.

    Args:
        name: What the rows are called in the answer.
        rows_of: Takes all rows that a request asks for, on whatever page.
    """

    def answer(store: CrmStore, request: CrmRequest) -> Answer:
        rows = rows_of(store, request)
        begin = (request.page - 1) * request.limit
        page = rows[begin : begin + request.limit]
        links = {"self": {"href": request.link(request.page)}}
        if len(rows) > begin + request.limit:
            links["next"] = {"href": request.link(request.page + 1)}
        content = {"_page": request.page, "_links": links, "_embedded": {name: page}}
        return Answer(200 if page else 204, content, _HAL)

    return answer


def single(
    name: str, item_of: Callable[[CrmStore, CrmRequest], Item | None]
) -> Endpoint:
    """Make an endpoint that serves one object, or 404 where it is not there.

    Args:
        name: What the object is called where it is not there.
        item_of: Takes the object.
    """

    def answer(store: CrmStore, request: CrmRequest) -> Answer | Refusal:
        item = item_of(store, request)
        if item is None:
            return Refusal(404, f"There is no {name} of this id.")
        return Answer(200, item, _HAL)

    return answer


def _account(store: CrmStore, request: CrmRequest) -> Item:
    """Take the account; its id in the chats is there for who asks for it."""
    wanted = request.parameters.text("with").split(",")
    return {
        name: value
        for name, value in store.account.items()
        if name != "amojo_id" or name in wanted
    }


def _events(store: CrmStore, request: CrmRequest) -> list[Item]:
    events = store.events.between(request.since, request.until)
    types = set(request.parameters.filter("type"))
    return [event for event in events if event["type"] in types] if types else events


def _talks(store: CrmStore, request: CrmRequest) -> list[Item]:
    talks = store.talks.all()
    names = ("talk_id", "contact_id", "entity_id", "entity_type")
    given = {name: set(request.parameters.filter(name)) for name in names}
    in_work = "1" in request.parameters.filter("only_in_work")
    if not (in_work or any(given.values())):
        return talks[: store.talks.listed_at_most]
    return [
        talk
        for talk in talks
        if (talk["is_in_work"] or not in_work)
        # As text, because a field may hold anything that was put there.
        and all(str(talk[name]) in wanted for name, wanted in given.items() if wanted)
    ]


def _talk(store: CrmStore, request: CrmRequest) -> Item | None:
    return None if request.id is None else store.talks.get(request.id)


ENDPOINTS = {
    f"{CRM_ROOT}/account": single("account", _account),
    f"{CRM_ROOT}/events": listed("events", _events),
    f"{CRM_ROOT}/talks": listed("talks", _talks),
    f"{CRM_ROOT}/talks/{{id}}": single("talk", _talk),
}

# No more digits than 64 bits hold.
_PATTERNS = {
    path: re.compile(re.escape(path).replace(r"\{id\}", "([0-9]{1,18})"))
    for path in ENDPOINTS
}
