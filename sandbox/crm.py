"""The part of Kommo's CRM API v4 that tells which chats there are and which changed.

Talks and events are kept in a ``CrmStore``. ``check_crm`` says what a request asks
for or why it is refused, from its parts alone; ``crm_page`` takes the answer from
the store. The checks run in this order, and the first that fails decides:

1. the problem set on the store, if any;
2. the bearer token (401);
3. the path is known (404), the method GET (405);
4. ``page``, ``limit`` and the times of the filter are in order (400).

Kommo documents the code 401 and the form of errors. The order of the checks and
the other codes are inferred.
"""

from __future__ import annotations

import hmac
import re
import threading
import uuid
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from sandbox.verification import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.verification import RequestParts

    Item = dict[str, Any]
    _Parameters = list[tuple[str, str]]

# Public on purpose: it opens nothing but the sandbox.
CRM_TOKEN = "sandbox-crm-token-3f9a61c0"  # noqa: S105 - see above
CRM_ROOT = "/api/v4"
OWN_ORIGIN = "amo.ext.12345678"
INCOMING = "incoming_chat_message"
OUTGOING = "outgoing_chat_message"
TALK_CREATED = "talk_created"

_ACCOUNT_ID = 17_029_541
_USER_ID = 9_120_044
_SOURCE_ID = 19_350_112
# Added to a talk's id, so that talks differ in contact and lead unless told.
_CONTACTS_FROM = 3_300_000
_ENTITIES_FROM = 26_000_000
_DEFAULT_LIMIT = 50
_MESSAGES_NAMESPACE = uuid.UUID("5a0c6a0e-2f36-4d1c-9d5f-0b8f7b6a1c11")
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_TALK_PATH = re.compile(r"/api/v4/talks/([0-9]{1,18})")
# What PHP reads as a number; no more digits than 64 bits hold.
_INTEGER = re.compile(r"[0-9]{1,18}")
_TALK_FILTERS = ("talk_id", "contact_id", "entity_id")


class CrmStore:
    """Talks and events, in memory. Safe to use from several threads.

    An object that was handed out never changes: an update puts a new one in its
    place.

    Attributes:
        max_limit: The most rows on a page: 250 on Kommo, 100 on amoCRM.
        strict_limit: Answer a larger ``limit`` with 400. If not, it gets a page of
            ``max_limit`` rows. Kommo documents neither.
        problem: Status, title and detail to answer every CRM request with, as
            problem+json; None for no such thing.
        talks_listed_at_most: How many talks a list without a filter goes through,
            over all of its pages; None for all. Integrators disagree about Kommo.
    """

    def __init__(
        self,
        *,
        max_limit: int = 250,
        strict_limit: bool = False,
        problem: tuple[int, str, str] | None = None,
        talks_listed_at_most: int | None = None,
    ) -> None:
        """Start with no talk and no event."""
        self.max_limit = max_limit
        self.strict_limit = strict_limit
        self.problem = problem
        self.talks_listed_at_most = talks_listed_at_most
        self._lock = threading.Lock()
        self._talks: dict[int, Item] = {}
        # The talks of a chat in the order they were added.
        self._talks_of: dict[str, list[int]] = {}
        # Oldest first, so that adding the next event is an append.
        self._events: list[Item] = []
        self._events_by_id: dict[str, Item] = {}
        self._events_ever = 0

    def add_talk(  # noqa: PLR0913 - each one is a field tests need on its own
        self,
        talk_id: int,
        chat_id: str,
        *,
        origin: str = OWN_ORIGIN,
        contact_id: int | None = None,
        entity_id: int | None = None,
        entity_type: str = "lead",
        created_at: int,
        updated_at: int,
        **more: object,
    ) -> None:
        """Add a talk, or replace the one of this id and list it as the latest.

        Args:
            talk_id: The talk's id.
            chat_id: The id of its conversation.
            origin: The channel.
            contact_id: The contact; one of the talk's own if None.
            entity_id: The lead or customer; one of the talk's own if None.
            entity_type: ``lead`` or ``customer``.
            created_at: When it began, in Unix seconds.
            updated_at: When it last changed, in Unix seconds.
            **more: Fields to add, or to put in the place of others.
        """
        if contact_id is None:
            contact_id = _CONTACTS_FROM + talk_id
        if entity_id is None:
            entity_id = _ENTITIES_FROM + talk_id
        in_work = bool(more.get("is_in_work", True))
        talk: Item = {
            "talk_id": talk_id,
            "created_at": created_at,
            "updated_at": updated_at,
            "rate": 0,
            "contact_id": contact_id,
            "chat_id": chat_id,
            "entity_id": entity_id,
            "entity_type": entity_type,
            "is_in_work": in_work,
            "is_read": True,
            "origin": origin,
            "missed_at": None,
            "account_id": _ACCOUNT_ID,
            "source_id": _SOURCE_ID,
            "status": _status(in_work=in_work),
        }
        talk["_embedded"] = _linked(talk)
        talk.update(more)
        with self._lock:
            self._forget(talk_id)
            self._talks[talk_id] = talk
            self._talks_of.setdefault(talk["chat_id"], []).append(talk_id)

    def update_talk(self, talk_id: int, **changes: object) -> None:
        """Change fields of a talk and leave it at its place in the list.

        What is embedded follows the contact and the entity, and ``status`` follows
        ``is_in_work``, unless they are changed by name.

        Args:
            talk_id: The talk's id.
            **changes: The new values by field.

        Raises:
            KeyError: There is no such talk.
        """
        with self._lock:
            before = self._talks[talk_id]
            talk = {**before, **changes}
            if {"contact_id", "entity_id", "entity_type"} & changes.keys():
                talk["_embedded"] = changes.get("_embedded", _linked(talk))
            if "is_in_work" in changes and "status" not in changes:
                talk["status"] = _status(in_work=bool(talk["is_in_work"]))
            if talk["chat_id"] != before["chat_id"]:
                self._talks_of[before["chat_id"]].remove(talk_id)
                self._talks_of.setdefault(talk["chat_id"], []).append(talk_id)
            self._talks[talk_id] = talk

    def remove_talk(self, talk_id: int) -> None:
        """Remove a talk. Its events stay.

        Raises:
            KeyError: There is no such talk.
        """
        with self._lock:
            if talk_id not in self._talks:
                raise KeyError(talk_id)
            self._forget(talk_id)

    def add_event(  # noqa: PLR0913 - each one is a field tests need on its own
        self,
        created_at: int,
        *,
        type: str = INCOMING,  # noqa: A002 - the field's name in Kommo
        talk_id: int | None = None,
        origin: str | None = OWN_ORIGIN,
        contact_id: int | None = None,
        entity_id: int | None = None,
        entity_type: str = "lead",
        event_id: str | None = None,
        talk_id_as_text: bool = False,
        message_id: str | None = None,
    ) -> str:
        """Add an event, or replace the one of this id.

        A ``talk_created`` is about the talk itself and has nothing in
        ``value_after``. All others are about a message.

        Args:
            created_at: When it happened, in Unix seconds.
            type: The type of the event.
            talk_id: The talk; None leaves it out.
            origin: The channel; None leaves it out.
            contact_id: The contact; the talk's if None and the talk is known.
            entity_id: The lead or customer; the talk's if None and the talk is known.
            entity_type: The type of the entity, unless the entity is the talk's.
            event_id: The event's id; a new one that sorts by time if None.
            talk_id_as_text: Write the talk's id as text.
            message_id: The message's id; an invented one if None.

        Returns:
            The event's id.
        """
        with self._lock:
            talk = self._talks.get(talk_id) if talk_id is not None else None
            if contact_id is None and talk is not None:
                contact_id = talk["contact_id"]
            if type == TALK_CREATED:
                entity_type = "talk"
                entity_id = entity_id if talk_id is None else talk_id
            elif entity_id is None and talk is not None:
                entity_id, entity_type = talk["entity_id"], talk["entity_type"]
            if entity_id is None:
                entity_id = _ENTITIES_FROM + (talk_id or 0)
            self._events_ever += 1
            event_id = event_id or _sortable_id(created_at, self._events_ever)
            message: Item = {
                "id": message_id or str(uuid.uuid5(_MESSAGES_NAMESPACE, event_id))
            }
            if talk_id is not None:
                message["talk_id"] = str(talk_id) if talk_id_as_text else talk_id
            if origin is not None:
                message["origin"] = origin
            entity: Item = {"id": entity_id}
            if contact_id is not None:
                entity["linked_talk_contact_id"] = contact_id
            event: Item = {
                "id": event_id,
                "type": type,
                "entity_id": entity_id,
                "entity_type": entity_type,
                "created_by": _USER_ID if type == OUTGOING else 0,
                "created_at": created_at,
                "value_after": [] if type == TALK_CREATED else [{"message": message}],
                "value_before": [],
                "account_id": _ACCOUNT_ID,
                "_embedded": {"entity": entity},
            }
            if event_id in self._events_by_id:
                self._drop_event(event_id)
            insort(self._events, event, key=_time_and_id)
            self._events_by_id[event_id] = event
        return event_id

    def remove_event(self, event_id: str) -> None:
        """Remove an event.

        Raises:
            KeyError: There is no such event.
        """
        with self._lock:
            self._drop_event(event_id)

    def talks(self) -> list[Item]:
        """Return all talks, the one added last first."""
        with self._lock:
            return list(reversed(self._talks.values()))

    def talk(self, talk_id: int) -> Item | None:
        """Return one talk; None if there is none of this id."""
        with self._lock:
            return self._talks.get(talk_id)

    def events(self) -> list[Item]:
        """Return all events, newest first; of one time, the largest id first."""
        with self._lock:
            return self._events[::-1]

    def events_between(self, since: int | None, until: int | None) -> list[Item]:
        """Return the events of a span of time, newest first.

        Args:
            since: The first second; None for no such bound.
            until: The last second; None for no such bound.
        """
        with self._lock:
            begin = 0 if since is None else bisect_left(self._events, since, key=_time)
            end = (
                None if until is None else bisect_right(self._events, until, key=_time)
            )
            return self._events[begin:end][::-1]

    def message_arrived(
        self, chat_id: str, message_id: str, *, at: int, incoming: bool
    ) -> str | None:
        """Do what Kommo does when a message arrives: raise an event, touch the talk.

        Args:
            chat_id: The conversation.
            message_id: The message's id.
            at: When it arrived, in Unix seconds.
            incoming: Whether it came from outside.

        Returns:
            The event's id; None if no talk is of that conversation.
        """
        with self._lock:
            ids = self._talks_of.get(chat_id)
            talk_id = ids[-1] if ids else None
            if talk_id is None:
                return None
            talk = self._talks[talk_id]
            latest = max(at, talk["updated_at"])
            self._talks[talk_id] = {**talk, "updated_at": latest}
        return self.add_event(
            at,
            type=INCOMING if incoming else OUTGOING,
            talk_id=talk_id,
            origin=talk["origin"],
            message_id=message_id,
        )

    def _forget(self, talk_id: int) -> None:
        talk = self._talks.pop(talk_id, None)
        if talk is not None:
            self._talks_of[talk["chat_id"]].remove(talk_id)

    def _drop_event(self, event_id: str) -> None:
        event = self._events_by_id.pop(event_id)
        del self._events[
            bisect_left(self._events, _time_and_id(event), key=_time_and_id)
        ]


@dataclass(frozen=True)
class CrmRequest:
    """A CRM request in order: what it asks for.

    Attributes:
        target: Path and query as they came on the wire.
        path: The path.
        parameters: The query's names and values, decoded, in their order.
        talk_id: The one talk asked for; None for a list.
        page: Which page of a list, from 1.
        limit: The most rows of a page, not more than a page may have.
        since: The first second of the events asked for, if bounded.
        until: The last second of the events asked for, if bounded.
    """

    target: str
    path: str
    parameters: _Parameters
    talk_id: int | None
    page: int
    limit: int
    since: int | None
    until: int | None


@dataclass(frozen=True)
class CrmAnswer:
    """What a request in order gets.

    Attributes:
        status: 200, 204 for an empty page, or 404.
        content: The body. An empty page has one too, for faults that need
            something to spoil.
    """

    status: int
    content: Item


def is_crm(path: str) -> bool:
    """Say whether a path is one of the CRM API, whether known or not."""
    return path == CRM_ROOT or path.startswith(CRM_ROOT + "/")


def fault_key(target: str) -> tuple[str, int | None]:
    """Return what faults of a CRM request are drawn for: a list, and its page.

    The times of a filter are left out. They are different in every run, and runs
    are to meet the same faults.

    Args:
        target: Path and query as they came on the wire.
    """
    path, parameters = _split(target)
    kept = [
        pair
        for pair in parameters
        if pair[0] != "page" and not pair[0].startswith("filter[created_at]")
    ]
    return f"{path}?{urlencode(sorted(kept))}", _integer(parameters, "page")


def is_meant(only: frozenset[str] | None, path: str) -> bool:
    """Say whether faults for these conversations alone are for a CRM path as well.

    They are if the path, or one above it, is named among the conversations.

    Args:
        only: The conversations; None for every request.
        path: The path of a CRM request.
    """
    return only is None or any(
        path == name or path.startswith(name + "/") for name in only if is_crm(name)
    )


def asked_limit(target: str) -> int | None:
    """Return the ``limit`` of a target, where it is an integer."""
    return _integer(_split(target)[1], "limit")


def check_crm(
    request: RequestParts, *, token: str, store: CrmStore
) -> CrmRequest | Refusal:
    """Check one CRM request.

    Args:
        request: The request's parts.
        token: The bearer token to ask for.
        store: The store, for its limits and its problem.

    Returns:
        The request to answer, or the refusal to answer with.
    """
    path, parameters = _split(request.target)
    talk = _TALK_PATH.fullmatch(path)
    page = _integer(parameters, "page", 1)
    limit = _integer(parameters, "limit", min(_DEFAULT_LIMIT, store.max_limit))
    times = [
        _integer(parameters, f"filter[created_at][{edge}]", None)
        for edge in ("from", "to")
        if _values(parameters, f"filter[created_at][{edge}]")
    ]
    problem = (
        store.problem
        or _token_problem(request, token)
        or _path_problem(path, known=talk is not None or path in _LISTS)
        or _method_problem(request.method)
        or _at_least_one("page", page)
        or _at_least_one("limit", limit)
        or _limit_problem(limit or 0, store)
        or (_bad("filter[created_at] takes Unix seconds.") if None in times else None)
    )
    if problem is not None or page is None or limit is None:
        # A request without a problem has both numbers, so there is one here.
        assert problem is not None  # noqa: S101 - states an invariant for the reader
        return Refusal(*problem, conversation_id=None, offset=None, limit=limit)
    return CrmRequest(
        target=request.target,
        path=path,
        parameters=parameters,
        talk_id=None if talk is None else int(talk[1]),
        page=page,
        limit=min(limit, store.max_limit),
        since=_integer(parameters, "filter[created_at][from]"),
        until=_integer(parameters, "filter[created_at][to]"),
    )


def crm_page(store: CrmStore, request: CrmRequest, url: str) -> CrmAnswer:
    """Take what a request asks for.

    Args:
        store: The store.
        request: The request.
        url: The address of the host, for links.
    """
    if request.talk_id is not None:
        talk = store.talk(request.talk_id)
        if talk is not None:
            return CrmAnswer(200, talk)
        detail = "There is no talk of this id."
        return CrmAnswer(404, problem_json(404, "Not Found", detail))
    name, rows_of = _LISTS[request.path]
    rows = rows_of(store, request)
    begin = (request.page - 1) * request.limit
    page = rows[begin : begin + request.limit]
    links = {"self": {"href": _link(request, url, request.page)}}
    if len(rows) > begin + request.limit:
        links["next"] = {"href": _link(request, url, request.page + 1)}
    content = {"_page": request.page, "_links": links, "_embedded": {name: page}}
    return CrmAnswer(200 if page else 204, content)


def problem_json(status: int, title: str, detail: str) -> Item:
    """Return the body of an error."""
    return {"title": title, "status": status, "detail": detail}


def _events(store: CrmStore, request: CrmRequest) -> list[Item]:
    events = store.events_between(request.since, request.until)
    types = set(_filter(request, "type"))
    return [event for event in events if event["type"] in types] if types else events


def _talks(store: CrmStore, request: CrmRequest) -> list[Item]:
    talks = store.talks()
    given = {name: set(_filter(request, name)) for name in _TALK_FILTERS}
    given["entity_type"] = set(_filter(request, "entity_type"))
    in_work = "1" in _filter(request, "only_in_work")
    if not (in_work or any(given.values())):
        return talks[: store.talks_listed_at_most]
    return [
        talk
        for talk in talks
        if (talk["is_in_work"] or not in_work)
        # As text, because a field may hold anything that was put there.
        and all(str(talk[name]) in wanted for name, wanted in given.items() if wanted)
    ]


_LISTS: dict[str, tuple[str, Callable[[CrmStore, CrmRequest], list[Item]]]] = {
    "/api/v4/events": ("events", _events),
    "/api/v4/talks": ("talks", _talks),
}


def _split(target: str) -> tuple[str, _Parameters]:
    path, _, query = target.partition("?")
    return path, parse_qsl(query, keep_blank_values=True)


def _values(parameters: _Parameters, name: str) -> list[str]:
    return [value for key, value in parameters if key == name]


def _integer(
    parameters: _Parameters, name: str, default: int | None = None
) -> int | None:
    """Read a parameter given once as plain digits; the default if it is not given."""
    values = _values(parameters, name)
    if not values:
        return default
    if len(values) != 1 or not _INTEGER.fullmatch(values[0]):
        return None
    return int(values[0])


def _filter(request: CrmRequest, name: str) -> list[str]:
    """Read a filter: one value, or a list with or without numbered places."""
    pattern = re.compile(rf"filter\[{name}\](\[[0-9]*\])?")
    return [value for key, value in request.parameters if pattern.fullmatch(key)]


def _link(request: CrmRequest, url: str, page: int) -> str:
    others = [pair for pair in request.parameters if pair[0] != "page"]
    return f"{url}{request.path}?{urlencode([*others, ('page', str(page))])}"


def _token_problem(request: RequestParts, token: str) -> tuple[int, str, str] | None:
    headers = {name.lower(): value for name, value in request.headers.items()}
    scheme, _, given = headers.get("authorization", "").partition(" ")
    # Bytes, because comparing text raises for letters beyond ASCII.
    fits = hmac.compare_digest(
        given.strip().encode("utf-8", "surrogateescape"), token.encode()
    )
    if scheme.lower() != "bearer" or not fits:
        return 401, "Unauthorized", "The bearer token is missing or not the right one."
    return None


def _path_problem(path: str, *, known: bool) -> tuple[int, str, str] | None:
    return None if known else (404, "Not Found", f"There is nothing at {path}.")


def _method_problem(method: str) -> tuple[int, str, str] | None:
    if method != "GET":
        return 405, "Method Not Allowed", "Talks and events are read with GET."
    return None


def _at_least_one(name: str, value: int | None) -> tuple[int, str, str] | None:
    return None if value else _bad(f"{name} has to be one integer from 1 on.")


def _limit_problem(limit: int, store: CrmStore) -> tuple[int, str, str] | None:
    if store.strict_limit and limit > store.max_limit:
        return _bad(f"limit has to be {store.max_limit} at most.")
    return None


def _bad(detail: str) -> tuple[int, str, str]:
    return 400, "Bad Request", detail


def _status(*, in_work: bool) -> str:
    return "in_work" if in_work else "closed"


def _linked(talk: Item) -> Item:
    entities = [{"id": talk["entity_id"]}]
    return {
        "contacts": [{"id": talk["contact_id"]}],
        "leads": entities if talk["entity_type"] == "lead" else [],
        "customers": entities if talk["entity_type"] == "customer" else [],
    }


def _time(event: Item) -> int:
    at: int = event["created_at"]
    return at


def _time_and_id(event: Item) -> tuple[int, str]:
    return event["created_at"], event["id"]


def _sortable_id(at: int, number: int) -> str:
    """Return an id of the form of Kommo's: it begins with the time."""
    return _base_32(at * 1000, 10) + _base_32(number, 16)


def _base_32(number: int, length: int) -> str:
    return "".join(
        _DIGITS[number >> 5 * place & 31] for place in reversed(range(length))
    )
