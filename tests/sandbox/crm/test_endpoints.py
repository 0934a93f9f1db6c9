"""What the CRM's endpoints serve: pages, filters and single objects."""

from __future__ import annotations

import http.client
import json
import re

import pytest

from sandbox import CRM_TOKEN, CrmStore, Sandbox
from tests.sandbox.crm.asking import (
    AT,
    ask,
    event_ids,
    problem_of,
    talk_ids,
    with_events,
    with_talks,
)
from tests.sandbox.requesting import TIMEOUT


@pytest.mark.parametrize("target", ["events", "talks", "talks?filter[talk_id][]=1"])
def test_where_there_is_nothing_it_is_204_without_a_body(
    sandbox: Sandbox, target: str
) -> None:
    response = ask(sandbox, target)
    assert (response.status_code, response.content) == (204, b"")


def test_a_page_has_number_rows_and_links(sandbox: Sandbox, crm: CrmStore) -> None:
    with_talks(crm, 1, 2, 3)
    response = ask(sandbox, "talks?limit=2")
    assert response.headers["Content-Type"].startswith("application/hal+json")
    assert response.json() == {
        "_page": 1,
        "_links": {
            "self": {"href": f"{sandbox.url}/api/v4/talks?limit=2&page=1"},
            "next": {"href": f"{sandbox.url}/api/v4/talks?limit=2&page=2"},
        },
        "_embedded": {"talks": crm.talks.all()[:2]},
    }


def test_following_next_goes_through_all_rows_once(
    sandbox: Sandbox, crm: CrmStore
) -> None:
    newest_first = with_events(crm, 7)
    target, seen, pages = "events?limit=3", [], []
    while target:
        response = ask(sandbox, target)
        seen += event_ids(response)
        pages.append(response.json()["_page"])
        target = response.json()["_links"].get("next", {}).get("href")
    assert (seen, pages) == (newest_first, [1, 2, 3])


def test_a_full_last_page_has_no_next(sandbox: Sandbox, crm: CrmStore) -> None:
    with_events(crm, 4)
    last = ask(sandbox, "events?limit=2&page=2")
    assert len(event_ids(last)) == 2
    assert set(last.json()["_links"]) == {"self"}


def test_a_page_past_the_last_is_204(sandbox: Sandbox, crm: CrmStore) -> None:
    with_events(crm, 4)
    assert ask(sandbox, "events?limit=2&page=3").status_code == 204


def test_next_keeps_the_filter(sandbox: Sandbox, crm: CrmStore) -> None:
    with_events(crm, 3)
    crm.events.add(AT, type="talk_created", talk_id=1)
    query = "filter[type][]=incoming_chat_message&filter[created_at][to]=%d&limit=2"
    first = ask(sandbox, f"events?{query % (AT + 2)}").json()
    second = ask(sandbox, first["_links"]["next"]["href"])
    assert len(event_ids(second)) == 1
    assert "next" not in second.json()["_links"]


def test_an_event_has_the_documented_form(sandbox: Sandbox, crm: CrmStore) -> None:
    event_id = crm.events.add(
        AT, talk_id=38016, origin="waba", contact_id=3372695, entity_id=26060763
    )
    (event,) = ask(sandbox, "events").json()["_embedded"]["events"]
    message_id = event["value_after"][0]["message"].pop("id")
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", message_id)
    assert re.fullmatch(r"[0-9a-z]{26}", event_id)
    assert isinstance(event.pop("account_id"), int)
    assert event == {
        "id": event_id,
        "type": "incoming_chat_message",
        "entity_id": 26060763,
        "entity_type": "lead",
        "created_by": 0,
        "created_at": AT,
        "value_after": [{"message": {"talk_id": 38016, "origin": "waba"}}],
        "value_before": [],
        "_embedded": {"entity": {"id": 26060763, "linked_talk_contact_id": 3372695}},
    }


def test_events_come_newest_first_and_of_one_time_by_id(
    sandbox: Sandbox, crm: CrmStore
) -> None:
    for event_id, at in (("b", AT), ("c", AT), ("z", AT - 1), ("a", AT), ("0", AT + 1)):
        crm.events.add(at, event_id=event_id)
    assert event_ids(ask(sandbox, "events")) == ["0", "c", "b", "a", "z"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("filter[type][]=in", ["1"]),
        ("filter[type][]=in&filter[type][]=out", ["2", "1"]),
        ("filter[type][0]=in&filter[type][1]=new", ["3", "1"]),
        ("filter[type]=out", ["2"]),
        ("", ["3", "2", "1"]),
    ],
)
def test_events_are_filtered_by_any_number_of_types(
    sandbox: Sandbox, crm: CrmStore, query: str, expected: list[str]
) -> None:
    for number, kind in enumerate(("in", "out", "new"), 1):
        crm.events.add(AT + number, type=kind, event_id=str(number))
    assert event_ids(ask(sandbox, f"events?{query}")) == expected


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (AT + 1, AT + 3, ["3", "2", "1"]),
        (AT + 3, None, ["4", "3"]),
        (None, AT + 1, ["1", "0"]),
        (AT + 2, AT + 2, ["2"]),
    ],
)
def test_both_ends_of_a_span_of_time_belong_to_it(
    sandbox: Sandbox,
    crm: CrmStore,
    since: int | None,
    until: int | None,
    expected: list[str],
) -> None:
    for number in range(5):
        crm.events.add(AT + number, event_id=str(number))
    query = "&".join(
        f"filter[created_at][{edge}]={at}"
        for edge, at in (("from", since), ("to", until))
        if at is not None
    )
    assert event_ids(ask(sandbox, f"events?{query}")) == expected


@pytest.mark.parametrize("brackets", ["[]", "%5B%5D", "%5b%5d"])
def test_brackets_may_be_encoded_or_not(
    sandbox: Sandbox, crm: CrmStore, brackets: str
) -> None:
    with_talks(crm, 1, 2)
    query = "filter[talk_id][]=1".replace("[]", brackets)
    connection = http.client.HTTPConnection(sandbox.url[7:], timeout=TIMEOUT)
    headers = {"Authorization": f"Bearer {CRM_TOKEN}"}
    connection.request("GET", f"/api/v4/talks?{query}", headers=headers)
    content = json.loads(connection.getresponse().read())
    connection.close()
    assert [talk["talk_id"] for talk in content["_embedded"]["talks"]] == [1]
    assert sandbox.requests[0].target == f"/api/v4/talks?{query}"


def test_a_span_of_time_without_events_is_204(sandbox: Sandbox, crm: CrmStore) -> None:
    with_events(crm, 3)
    target = f"events?filter[created_at][from]={AT + 3}"
    assert ask(sandbox, target).status_code == 204


def test_a_talk_has_the_documented_form(sandbox: Sandbox, crm: CrmStore) -> None:
    crm.talks.add(
        117,
        "88278e98",
        origin="telegram",
        contact_id=3372695,
        entity_id=667999637,
        created_at=1631018291,
        updated_at=1631035929,
    )
    response = ask(sandbox, "talks/117")
    assert response.headers["Content-Type"].startswith("application/hal+json")
    talk = response.json()
    assert isinstance(talk.pop("account_id"), int)
    assert isinstance(talk.pop("source_id"), int)
    assert talk == {
        "talk_id": 117,
        "created_at": 1631018291,
        "updated_at": 1631035929,
        "rate": 0,
        "contact_id": 3372695,
        "chat_id": "88278e98",
        "entity_id": 667999637,
        "entity_type": "lead",
        "is_in_work": True,
        "is_read": True,
        "origin": "telegram",
        "missed_at": None,
        "status": "in_work",
        "_embedded": {
            "contacts": [{"id": 3372695}],
            "leads": [{"id": 667999637}],
            "customers": [],
        },
    }


def test_a_talk_that_is_not_there_is_404(sandbox: Sandbox, crm: CrmStore) -> None:
    with_talks(crm, 1)
    crm.talks.remove(1)
    assert problem_of(ask(sandbox, "talks/1")) == (404, "Not Found")


def test_a_closed_talk_is_answered_and_listed(sandbox: Sandbox, crm: CrmStore) -> None:
    with_talks(crm, 1, is_in_work=False)
    assert ask(sandbox, "talks/1").json()["is_in_work"] is False
    assert talk_ids(ask(sandbox, "talks")) == [1]


def test_talks_are_listed_last_added_first_whatever_their_times(
    sandbox: Sandbox, crm: CrmStore
) -> None:
    with_talks(crm, 2)
    with_talks(crm, 3, updated_at=AT - 9)
    with_talks(crm, 1)
    crm.talks.update(2, updated_at=AT + 9)
    assert talk_ids(ask(sandbox, "talks")) == [1, 3, 2]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("filter[talk_id][]=2", [2]),
        ("filter[talk_id][]=1&filter[talk_id][]=3&filter[talk_id][]=9", [3, 1]),
        ("filter[contact_id][]=70", [2, 1]),
        ("filter[entity_id][]=80&filter[entity_type]=lead", [1]),
        ("filter[entity_id][]=80&filter[entity_type]=customer", [3]),
        ("filter[only_in_work]=1", [2, 1]),
        ("filter[only_in_work]=0", [3, 2, 1]),
        ("filter[contact_id][]=70&filter[talk_id][]=1", [1]),
    ],
)
def test_talks_are_filtered(
    sandbox: Sandbox, crm: CrmStore, query: str, expected: list[int]
) -> None:
    with_talks(crm, 1, contact_id=70, entity_id=80)
    with_talks(crm, 2, contact_id=70, entity_id=81)
    with_talks(crm, 3, entity_id=80, entity_type="customer", is_in_work=False)
    assert talk_ids(ask(sandbox, f"talks?{query}")) == expected


def test_a_list_of_talks_may_end_early_but_only_without_a_filter(
    sandbox: Sandbox, crm: CrmStore
) -> None:
    with_talks(crm, 1, 2, 3, 4)
    crm.talks.listed_at_most = 3
    assert talk_ids(ask(sandbox, "talks")) == [4, 3, 2]
    last = ask(sandbox, "talks?limit=2&page=2")
    assert (talk_ids(last), set(last.json()["_links"])) == ([2], {"self"})
    assert talk_ids(ask(sandbox, "talks?filter[talk_id][]=1")) == [1]
    assert talk_ids(ask(sandbox, "talks?filter[only_in_work]=1")) == [4, 3, 2, 1]
    assert ask(sandbox, "talks/1").status_code == 200
