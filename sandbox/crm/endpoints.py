"""What the CRM API serves. A new endpoint is a function and a line of ``ENDPOINTS``."""

from __future__ import annotations

import hashlib
import re
from operator import itemgetter
from typing import TYPE_CHECKING

from sandbox.api import Refusal
from sandbox.crm.endpoint import Need, listed, single, whole
from sandbox.crm.leads import LOSS_REASONS, SOURCES
from sandbox.crm.parameters import FIFTY_IDS, FLAG, IDS, ORDER, WORDS, parts, times
from sandbox.crm.terms import Terms
from sandbox.crm.tokens import MESSAGES

if TYPE_CHECKING:
    from collections.abc import Collection

    from sandbox.crm.item import Item
    from sandbox.crm.parameters import Parameters
    from sandbox.crm.request import CrmRequest
    from sandbox.crm.store import CrmStore

CRM_ROOT = "/api/v4"

_ACCOUNT_PARTS = ("amojo_id", "users_groups", "datetime_settings")
# By what ``with`` calls it, what it adds to what is embedded.
_OF_USERS = {"group": "groups", "role": "roles"}
_DELETED = ("id", "updated_at", "is_deleted")
_ORDERED_BY = ("id", "created_at", "updated_at")


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


def _account(store: CrmStore, request: CrmRequest) -> Item:
    account, asked = store.account, request.parameters.parts()
    return _only(account, {"amojo_id"} - asked, asked)


def _users(store: CrmStore, request: CrmRequest) -> list[Item]:
    asked = request.parameters.parts()
    embedded = {_OF_USERS[part] for part in asked & _OF_USERS.keys()}
    users = sorted(store.users.all(), key=itemgetter("id"))
    return [_only(user, {"amojo_id"} - asked, embedded) for user in users]


def _leads(store: CrmStore, request: CrmRequest) -> list[Item] | Refusal:
    asked, terms = request.parameters, request.terms
    if asked.has_filter() and terms.lead_filters == "refused":
        return Refusal(400, "This account has no filters.")
    leads = store.leads.all()
    if terms.lead_filters == "heeded":
        ids = {int(each) for each in asked.filter("id")}
        leads = _within(leads, "updated_at", asked.span("updated_at"))
        leads = [lead for lead in leads if not ids or lead["id"] in ids]
    leads = _ordered(leads, asked)
    with_parts = asked.parts()
    if "only_deleted" in with_parts:
        deleted = [lead for lead in leads if lead["is_deleted"]]
        return [{name: lead[name] for name in _DELETED} for lead in deleted]
    return [
        _lead(lead, with_parts)
        for lead in leads
        if terms.deleted_leads_listed or not lead["is_deleted"]
    ]


def _ordered(leads: list[Item], asked: Parameters) -> list[Item]:
    # Unless told, the newest first: not documented, so that nobody counts on it.
    orders = [("id", "desc")]
    for field in _ORDERED_BY:
        orders += [(field, way) for way in asked.values(f"order[{field}]")]
    # Each keeps the order before for what is the same.
    for field, way in orders:
        leads = sorted(leads, key=itemgetter(field), reverse=way == "desc")
    return leads


def _lead(lead: Item, asked: Collection[str]) -> Item:
    """Return a lead with what was asked for; the forms of that are inferred."""
    embedded = dict(lead["_embedded"])
    reason, source = lead["loss_reason_id"], lead["source_id"]
    if "loss_reason" in asked:
        known = reason in LOSS_REASONS
        embedded["loss_reason"] = (
            [{"id": reason, "name": LOSS_REASONS[reason]}] if known else []
        )
    if "source" in asked:
        known = source in SOURCES
        embedded["source"] = {"id": source, "name": SOURCES[source]} if known else None
    shown = {**lead, "_embedded": embedded}
    if not {"source", "source_id"} & set(asked):
        del shown["source_id"]
    return shown


def _one_lead(store: CrmStore, request: CrmRequest) -> Item | None:
    lead = None if request.id is None else store.leads.get(request.id)
    if lead is None or (lead["is_deleted"] and not request.terms.deleted_leads_listed):
        return None
    return _lead(lead, request.parameters.parts())


def _pipelines(store: CrmStore) -> list[Item]:
    return store.pipelines.all()


def _events(store: CrmStore, request: CrmRequest) -> list[Item]:
    events = store.events.between(*request.parameters.span("created_at"))
    types = set(request.parameters.filter("type"))
    return [event for event in events if event["type"] in types] if types else events


def _talks(store: CrmStore, request: CrmRequest) -> list[Item]:
    talks = store.talks.all()
    if request.terms.forbidden_contacts:
        talks = [talk for talk in talks if not request.terms.hides(talk)]
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


def _talk(store: CrmStore, request: CrmRequest) -> Item | Refusal | None:
    talk = _talk_of(store, request)
    return talk and (request.terms.hides(talk) or talk)


def _messages(store: CrmStore, request: CrmRequest) -> list[Item] | Refusal:
    talk, terms = _talk_of(store, request), request.terms
    if talk is None:
        return Refusal(404, "There is no talk of this id.")
    refusal = terms.hides_messages(talk)
    if refusal is not None:
        return refusal
    chat = (
        store.talks.of_chat(talk["chat_id"]) if terms.whole_chat else [talk["talk_id"]]
    )
    messages = store.messages.of(chat)
    if terms.message_filter:
        span = request.parameters.span("created_at")
        messages = _within(messages, "created_at", span)
    return _as_told(messages, terms)


def _as_told(messages: list[Item], terms: Terms) -> list[Item]:
    if terms.message_order == "mixed":
        ordered = sorted(messages, key=lambda each: _mixed(each["id"], terms))
    else:
        ordered = sorted(
            messages,
            key=lambda each: (each["created_at"], each["id"]),
            reverse=terms.message_order == "desc",
        )
    if terms.message_milliseconds:
        return ordered
    return [{**each, "sec_created_at": each["created_at"]} for each in ordered]


def _mixed(message_id: str, terms: Terms) -> bytes:
    # By the id alone, so that a message that comes keeps the others' order.
    seeded = f"{terms.message_seed}/{message_id}".encode()
    return hashlib.blake2b(seeded, digest_size=8).digest()


def _talk_of(store: CrmStore, request: CrmRequest) -> Item | None:
    return None if request.id is None else store.talks.get(request.id)


def _within(
    items: list[Item], field: str, span: tuple[int | None, int | None]
) -> list[Item]:
    """Return what is of a span of time; both of its ends belong to it (inferred)."""
    since, until = span
    return [
        item
        for item in items
        if (since is None or item[field] >= since)
        and (until is None or item[field] <= until)
    ]


def _only(item: Item, without: Collection[str], embedded: Collection[str]) -> Item:
    """Leave out fields, and what is embedded and was not asked for."""
    shown = {name: value for name, value in item.items() if name not in without}
    inner = {name: v for name, v in item["_embedded"].items() if name in embedded}
    return {**shown, "_embedded": inner}


_ORDERS = {f"order[{field}]": ORDER for field in _ORDERED_BY}
_LEAD_PARTS = parts("loss_reason", "source", "source_id", "only_deleted")

ENDPOINTS = {
    f"{CRM_ROOT}/account": single(
        "account", _account, {"with": parts(*_ACCOUNT_PARTS)}
    ),
    f"{CRM_ROOT}/users": listed(
        "users",
        _users,
        {"with": parts("amojo_id", *_OF_USERS)},
        Need(missing=Terms.without_administrator),
    ),
    f"{CRM_ROOT}/leads": listed(
        "leads",
        _leads,
        {
            "filter[id]": FIFTY_IDS,
            **times("updated_at"),
            **_ORDERS,
            "with": _LEAD_PARTS,
        },
    ),
    f"{CRM_ROOT}/leads/pipelines": whole("pipelines", _pipelines),
    f"{CRM_ROOT}/leads/{{id}}": single("lead", _one_lead, {"with": _LEAD_PARTS}),
    f"{CRM_ROOT}/events": listed(
        "events", _events, {"filter[type]": WORDS, **times("created_at")}
    ),
    f"{CRM_ROOT}/talks": listed(
        "talks",
        _talks,
        {
            "filter[talk_id]": FIFTY_IDS,
            "filter[contact_id]": IDS,
            "filter[entity_id]": IDS,
            "filter[entity_type]": WORDS,
            "filter[only_in_work]": FLAG,
        },
    ),
    f"{CRM_ROOT}/talks/{{id}}": single("talk", _talk),
    f"{CRM_ROOT}/talks/{{id}}/messages": listed(
        "messages",
        _messages,
        times("created_at"),
        Need(MESSAGES, Terms.without_addon),
        lambda terms: terms.message_links,
    ),
}

# No more digits than 64 bits hold.
_PATTERNS = {
    path: re.compile(re.escape(path).replace(r"\{id\}", "([0-9]{1,18})"))
    for path in ENDPOINTS
}
