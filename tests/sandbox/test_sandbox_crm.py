"""The sandbox's CRM API over real sockets."""

from __future__ import annotations

import http.client
import json
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import requests
from aiohttp import web

from sandbox import (
    CRM_TOKEN,
    OWN_ORIGIN,
    ConversationStore,
    CrmStore,
    Faults,
    Sandbox,
    generated_store,
    seeded_crm,
    seeded_store,
)
from tests.sandbox.requesting import TIMEOUT, control, get, row, store_with

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox import SeenRequest

AT = 1_750_000_000


@pytest.fixture
def crm() -> CrmStore:
    return CrmStore()


@pytest.fixture
def sandbox(crm: CrmStore) -> Iterator[Sandbox]:
    with Sandbox(store_with(1), crm=crm) as running:
        yield running


def ask(
    sandbox: Sandbox, target: str, method: str = "GET", **headers: str
) -> requests.Response:
    """Ask for a target under ``/api/v4/``, or a URL. Brackets go out encoded."""
    url = target if target.startswith("http") else f"{sandbox.url}/api/v4/{target}"
    headers = {"Authorization": f"Bearer {sandbox.crm_token}", **headers}
    with requests.Session() as session:
        return session.request(method, url, headers=headers, timeout=TIMEOUT)


def event_ids(response: requests.Response) -> list[str]:
    return [event["id"] for event in response.json()["_embedded"]["events"]]


def talk_ids(response: requests.Response) -> list[int]:
    return [talk["talk_id"] for talk in response.json()["_embedded"]["talks"]]


def with_events(crm: CrmStore, count: int) -> list[str]:
    """Add events a second apart; return their ids, newest first."""
    return [crm.add_event(AT + number) for number in range(count)][::-1]


def with_talks(crm: CrmStore, *ids: int, **fields: Any) -> None:
    for talk_id in ids:
        times = {"created_at": AT, "updated_at": AT}
        crm.add_talk(talk_id, f"chat {talk_id}", **{**times, **fields})


def problem_of(response: requests.Response) -> tuple[int, str]:
    """Return status and title of a refusal; check that it has the form of one."""
    assert response.headers["Content-Type"].startswith("application/problem+json")
    problem = response.json()
    assert set(problem) == {"title", "status", "detail"}
    assert problem["status"] == response.status_code
    assert problem["detail"]
    return response.status_code, problem["title"]


# Who may ask, and for what.


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer wrong", f"Basic {CRM_TOKEN}", CRM_TOKEN, "Bearer é"],
)
def test_without_the_right_bearer_token_it_is_401(
    sandbox: Sandbox, authorization: str | None
) -> None:
    connection = http.client.HTTPConnection(sandbox.url[7:], timeout=TIMEOUT)
    headers = {} if authorization is None else {"Authorization": authorization}
    connection.request("GET", "/api/v4/talks", headers=headers)
    response = connection.getresponse()
    body = json.loads(response.read())
    connection.close()
    assert (response.status, body["title"], body["status"]) == (
        401,
        "Unauthorized",
        401,
    )


def test_the_name_of_the_scheme_may_be_in_any_case(sandbox: Sandbox) -> None:
    authorization = f"bearer {CRM_TOKEN}"
    assert ask(sandbox, "talks", Authorization=authorization).status_code == 204


def test_the_token_is_the_one_given() -> None:
    with Sandbox(ConversationStore(), crm_token="other") as sandbox:  # noqa: S106 - made up here
        assert sandbox.crm_token == "other"  # noqa: S105 - made up here
        assert ask(sandbox, "talks").status_code == 204
        refused = ask(sandbox, "talks", Authorization=f"Bearer {CRM_TOKEN}")
        assert refused.status_code == 401


@pytest.mark.parametrize("target", ["", "nothing", "talks/", "talks/x", "talks/1/2"])
def test_an_unknown_path_is_404(sandbox: Sandbox, target: str) -> None:
    assert problem_of(ask(sandbox, target)) == (404, "Not Found")


@pytest.mark.parametrize("target", ["events", "talks", "talks/1"])
def test_another_method_is_405(sandbox: Sandbox, target: str) -> None:
    response = ask(sandbox, target, "POST")
    assert problem_of(response) == (405, "Method Not Allowed")
    assert response.headers["Allow"] == "GET"


@pytest.mark.parametrize(
    "query",
    [
        "page=0",
        "page=-1",
        "page=x",
        "page=",
        "page=1&page=2",
        "limit=0",
        "limit=many",
        "filter[created_at][from]=today",
        "filter[created_at][to]=1.5",
    ],
)
def test_a_number_that_is_none_is_400(sandbox: Sandbox, query: str) -> None:
    assert problem_of(ask(sandbox, f"events?{query}")) == (400, "Bad Request")


@pytest.mark.parametrize("target", ["events", "talks", "talks/1", "nothing"])
def test_a_problem_of_the_store_is_answered_to_every_request(
    sandbox: Sandbox, crm: CrmStore, target: str
) -> None:
    with_talks(crm, 1)
    crm.problem = (402, "Payment Required", "The plan has no such thing.")
    response = ask(sandbox, target, Authorization="")
    assert problem_of(response) == (402, "Payment Required")
    assert response.json()["detail"] == "The plan has no such thing."
    assert sandbox.requests[0].problem == "The plan has no such thing."


def test_a_sandbox_that_is_given_no_crm_has_an_empty_one() -> None:
    with Sandbox(ConversationStore()) as sandbox:
        assert ask(sandbox, "events").status_code == 204
        sandbox.crm.add_event(AT)
        assert ask(sandbox, "events").status_code == 200


# Pages.


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
        "_embedded": {"talks": crm.talks()[:2]},
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
    crm.add_event(AT, type="talk_created", talk_id=1)
    query = "filter[type][]=incoming_chat_message&filter[created_at][to]=%d&limit=2"
    first = ask(sandbox, f"events?{query % (AT + 2)}").json()
    second = ask(sandbox, first["_links"]["next"]["href"])
    assert len(event_ids(second)) == 1
    assert "next" not in second.json()["_links"]


@pytest.mark.parametrize(("max_limit", "rows"), [(250, 250), (100, 100)])
def test_a_limit_that_is_too_large_gets_the_largest_page(
    sandbox: Sandbox, crm: CrmStore, max_limit: int, rows: int
) -> None:
    crm.max_limit = max_limit
    with_events(crm, 251)
    response = ask(sandbox, "events?limit=251")
    assert len(event_ids(response)) == rows
    assert len(event_ids(ask(sandbox, response.json()["_links"]["next"]["href"]))) > 0


def test_a_limit_that_is_too_large_is_400_if_told_so(
    sandbox: Sandbox, crm: CrmStore
) -> None:
    crm.max_limit, crm.strict_limit = 100, True
    with_events(crm, 1)
    assert problem_of(ask(sandbox, "events?limit=101")) == (400, "Bad Request")
    assert ask(sandbox, "events?limit=100").status_code == 200


# Events.


def test_an_event_has_the_documented_form(sandbox: Sandbox, crm: CrmStore) -> None:
    event_id = crm.add_event(
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


def test_the_entity_of_a_created_talk_is_the_talk(crm: CrmStore) -> None:
    crm.add_event(AT, type="talk_created", talk_id=7, contact_id=5)
    (event,) = crm.events()
    assert (event["entity_type"], event["entity_id"]) == ("talk", 7)
    assert event["_embedded"]["entity"] == {"id": 7, "linked_talk_contact_id": 5}
    assert event["value_after"] == []


def test_an_event_may_leave_talk_and_origin_out(crm: CrmStore) -> None:
    crm.add_event(AT, origin=None)
    (event,) = crm.events()
    assert set(event["value_after"][0]["message"]) == {"id"}


def test_a_talks_id_may_be_text(crm: CrmStore) -> None:
    crm.add_event(AT, talk_id=7, talk_id_as_text=True)
    assert crm.events()[0]["value_after"][0]["message"]["talk_id"] == "7"


def test_an_event_takes_contact_and_entity_of_its_talk(crm: CrmStore) -> None:
    with_talks(crm, 7, contact_id=70, entity_id=71, entity_type="customer")
    crm.add_event(AT, talk_id=7)
    (event,) = crm.events()
    assert (event["entity_type"], event["entity_id"]) == ("customer", 71)
    assert event["_embedded"]["entity"]["linked_talk_contact_id"] == 70


def test_events_come_newest_first_and_of_one_time_by_id(
    sandbox: Sandbox, crm: CrmStore
) -> None:
    for event_id, at in (("b", AT), ("c", AT), ("z", AT - 1), ("a", AT), ("0", AT + 1)):
        crm.add_event(at, event_id=event_id)
    assert event_ids(ask(sandbox, "events")) == ["0", "c", "b", "a", "z"]


def test_ids_that_are_made_up_sort_by_time_and_then_by_arrival(crm: CrmStore) -> None:
    ids = [crm.add_event(at) for at in (AT, AT, AT + 1)]
    assert ids == sorted(set(ids))


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
        crm.add_event(AT + number, type=kind, event_id=str(number))
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
        crm.add_event(AT + number, event_id=str(number))
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


def test_a_removed_event_is_gone(crm: CrmStore) -> None:
    kept, gone, later = (crm.add_event(AT) for _ in range(3))
    crm.remove_event(gone)
    assert [event["id"] for event in crm.events()] == [later, kept]
    with pytest.raises(KeyError):
        crm.remove_event(gone)


def test_an_event_of_a_known_id_takes_the_place_of_the_other(crm: CrmStore) -> None:
    crm.add_event(AT, event_id="a")
    crm.add_event(AT + 1, event_id="a")
    assert [event["created_at"] for event in crm.events()] == [AT + 1]


# Talks.


def test_a_talk_has_the_documented_form(sandbox: Sandbox, crm: CrmStore) -> None:
    crm.add_talk(
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


def test_a_talk_may_have_more_and_other_fields(crm: CrmStore) -> None:
    with_talks(crm, 1, rate=5, is_in_work=False, unknown=[1])
    talk = crm.talk(1)
    assert talk is not None
    assert (talk["rate"], talk["unknown"], talk["status"]) == (5, [1], "closed")


def test_a_talk_that_is_not_there_is_404(sandbox: Sandbox, crm: CrmStore) -> None:
    with_talks(crm, 1)
    crm.remove_talk(1)
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
    crm.update_talk(2, updated_at=AT + 9)
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
    crm.talks_listed_at_most = 3
    assert talk_ids(ask(sandbox, "talks")) == [4, 3, 2]
    last = ask(sandbox, "talks?limit=2&page=2")
    assert (talk_ids(last), set(last.json()["_links"])) == ([2], {"self"})
    assert talk_ids(ask(sandbox, "talks?filter[talk_id][]=1")) == [1]
    assert talk_ids(ask(sandbox, "talks?filter[only_in_work]=1")) == [4, 3, 2, 1]
    assert ask(sandbox, "talks/1").status_code == 200


def test_what_is_embedded_follows_an_update(crm: CrmStore) -> None:
    with_talks(crm, 1)
    crm.update_talk(1, contact_id=5, entity_id=6, entity_type="customer")
    assert crm.talks()[0]["_embedded"] == {
        "contacts": [{"id": 5}],
        "leads": [],
        "customers": [{"id": 6}],
    }


def test_a_talk_that_was_handed_out_does_not_change(crm: CrmStore) -> None:
    with_talks(crm, 1)
    (before,) = crm.talks()
    crm.update_talk(1, updated_at=AT + 1, is_in_work=False)
    (after,) = crm.talks()
    assert (before["updated_at"], before["status"]) == (AT, "in_work")
    assert (after["updated_at"], after["status"]) == (AT + 1, "closed")


def test_an_unknown_talk_cannot_be_changed_or_removed(crm: CrmStore) -> None:
    with pytest.raises(KeyError):
        crm.update_talk(1, rate=1)
    with pytest.raises(KeyError):
        crm.remove_talk(1)


def test_the_store_takes_in_events_from_several_threads(crm: CrmStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda n: crm.add_event(AT + n % 3), range(400)))
    assert ids == {event["id"] for event in crm.events()}
    assert len(ids) == 400


# The CRM API and the rest of the sandbox.


def test_crm_requests_are_remembered_like_others(sandbox: Sandbox) -> None:
    ask(sandbox, "events?page=2&limit=7")
    (seen,) = sandbox.requests
    assert (seen.method, seen.target, seen.status, seen.problem) == (
        "GET",
        "/api/v4/events?page=2&limit=7",
        204,
        None,
    )
    assert (seen.conversation_id, seen.offset, seen.limit) == (None, None, 7)


def test_no_answer_and_no_log_shows_a_token(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shown = ask(sandbox, "talks", Authorization="Bearer gu3ssed").text
    shown += ask(sandbox, "nothing").text
    shown += str(sandbox.requests)
    shown += "".join(
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("aiohttp")
    )
    assert "gu3ssed" not in shown
    assert sandbox.crm_token not in shown


def test_answer_may_replace_the_answer_to_a_crm_request(sandbox: Sandbox) -> None:
    def answer(seen: SeenRequest) -> web.Response | None:
        return web.Response(status=418) if "/talks/" in seen.target else None

    sandbox.answer = answer
    assert ask(sandbox, "talks/1").status_code == 418
    assert ask(sandbox, "talks").status_code == 204


def test_before_crm_page_sees_the_target_and_may_change_the_store(
    sandbox: Sandbox, crm: CrmStore
) -> None:
    targets: list[str] = []

    def change(target: str) -> None:
        targets.append(target)
        with_talks(crm, len(targets))

    sandbox.before_crm_page = change
    assert talk_ids(ask(sandbox, "talks?filter[talk_id][]=1")) == [1]
    assert ask(sandbox, "talks/2").status_code == 200
    assert targets == [
        "/api/v4/talks?filter%5Btalk_id%5D%5B%5D=1",
        "/api/v4/talks/2",
    ]


def test_before_crm_page_is_not_called_for_a_refused_request(sandbox: Sandbox) -> None:
    targets: list[str] = []
    sandbox.before_crm_page = targets.append
    ask(sandbox, "talks", Authorization="Bearer wrong")
    ask(sandbox, "talks?limit=0")
    get(sandbox)
    assert targets == []


@pytest.mark.parametrize(
    ("name", "status"),
    [("server_error", 502), ("html", 200), ("blocked", 403), ("too_many", 429)],
)
def test_faults_that_answer_strike_crm_requests_too(
    sandbox: Sandbox, name: str, status: int
) -> None:
    shares: dict[str, Any] = {name: 1}
    sandbox.faults = Faults(**shares)
    response = ask(sandbox, "events")
    assert response.status_code == status
    assert [(seen.status, seen.fault) for seen in sandbox.requests] == [(status, name)]


@pytest.mark.parametrize("name", ["reset_before", "reset_within", "truncated"])
@pytest.mark.parametrize("events", [0, 1])
def test_faults_of_the_connection_strike_crm_requests_too(
    sandbox: Sandbox, crm: CrmStore, name: str, events: int
) -> None:
    with_events(crm, events)
    shares: dict[str, Any] = {name: 1}
    sandbox.faults = Faults(**shares)
    with pytest.raises(requests.RequestException):
        ask(sandbox, "events")
    assert [(seen.status, seen.fault) for seen in sandbox.requests] == [(0, name)]


def test_half_a_crm_page_is_no_json(sandbox: Sandbox, crm: CrmStore) -> None:
    with_events(crm, 1)
    sandbox.faults = Faults(cut_json=1)
    response = ask(sandbox, "events")
    assert response.status_code == 200
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        response.json()


def test_an_oversized_talk_is_the_same_talk(sandbox: Sandbox, crm: CrmStore) -> None:
    with_talks(crm, 1, last="text")
    sandbox.faults = Faults(oversized=10_000)
    response = ask(sandbox, "talks/1")
    assert len(response.content) == 10_000
    assert response.json() == crm.talk(1)


def test_too_many_crm_requests_get_problem_json(sandbox: Sandbox) -> None:
    sandbox.faults = Faults(too_many=1, retry_after=2)
    response = ask(sandbox, "events")
    assert problem_of(response) == (429, "Too Many Requests")
    assert response.headers["Retry-After"] == "2"


def test_requests_of_the_two_apis_are_counted_apart(sandbox: Sandbox) -> None:
    sandbox.faults = Faults(requests_per_second=1)
    assert get(sandbox).status_code == 200
    assert ask(sandbox, "events").status_code == 204
    # Some of so many come within the second of the first.
    assert 429 in {ask(sandbox, "talks").status_code for _ in range(20)}
    assert sandbox.requests[-1].fault == "requests_per_second"


def test_crm_pages_meet_the_same_faults_whatever_the_times_asked_for(
    sandbox: Sandbox, crm: CrmStore
) -> None:
    with_events(crm, 1)
    met = []
    for since in (AT - 1, AT - 2):
        sandbox.faults = Faults(server_error=0.5, seed=1)
        target = f"events?filter[created_at][from]={since}&page="
        met.append([ask(sandbox, f"{target}{n}").status_code for n in range(1, 13)])
    assert met[0] == met[1]
    assert 502 in met[0]
    assert 200 in met[0] or 204 in met[0]


@pytest.mark.parametrize(
    ("only", "struck"),
    [
        ({"chat"}, [False, False, False]),
        ({"/api/v4/events"}, [True, False, False]),
        ({"/api/v4/talks"}, [False, True, True]),
        ({"/api/v4"}, [True, True, True]),
    ],
)
def test_only_may_name_paths_of_the_crm_api(
    sandbox: Sandbox, only: set[str], struck: list[bool]
) -> None:
    sandbox.faults = Faults(blocked=1, only=frozenset(only))
    targets = ("events", "talks", "talks/1")
    statuses = [ask(sandbox, target).status_code for target in targets]
    assert [status == 403 for status in statuses] == struck
    assert (get(sandbox).status_code == 403) == ("chat" in only)


def test_a_message_added_over_http_raises_an_event_and_touches_the_talk() -> None:
    crm = CrmStore()
    with_talks(crm, 1, 2, contact_id=70, origin="amo.ext.7")
    crm.update_talk(2, chat_id="chat 1")
    with Sandbox(ConversationStore(), crm=crm, clock=lambda: AT + 60.9) as sandbox:
        path = "/conversations/chat%201/messages"
        control(sandbox, "POST", path, row(5))
        control(sandbox, "POST", path, {**row(6), "receiver": {"id": "r"}})
    outgoing, incoming = crm.events()
    assert (incoming["type"], incoming["created_at"], incoming["created_by"]) == (
        "incoming_chat_message",
        AT + 60,
        0,
    )
    assert incoming["value_after"] == [
        {"message": {"id": "m5", "talk_id": 2, "origin": "amo.ext.7"}}
    ]
    assert outgoing["type"] == "outgoing_chat_message"
    updated = {talk["talk_id"]: talk["updated_at"] for talk in crm.talks()}
    assert updated == {1: AT, 2: AT + 60}


def test_a_message_of_a_chat_without_a_talk_raises_no_event(
    sandbox: Sandbox, crm: CrmStore
) -> None:
    with_talks(crm, 1)
    crm.update_talk(1, chat_id="other")
    body = row(5)
    added = control(sandbox, "POST", "/conversations/chat%201/messages", body)
    assert (added.status_code, crm.events()) == (201, [])


def test_a_message_that_is_refused_raises_no_event(
    sandbox: Sandbox, crm: CrmStore
) -> None:
    with_talks(crm, 1)
    sandbox.store.put_raw("chat 1", [])
    added = control(sandbox, "POST", "/conversations/chat%201/messages", row(5))
    assert (added.status_code, crm.events()) == (409, [])


# The talks and events of the invented conversations.


@pytest.fixture(scope="module")
def store() -> ConversationStore:
    return seeded_store()


@pytest.fixture(scope="module")
def seeded(store: ConversationStore) -> CrmStore:
    return seeded_crm(store)


def own(crm: CrmStore) -> dict[str, list[dict[str, Any]]]:
    """Return the talks of the own channel by conversation, oldest first."""
    talks: dict[str, list[dict[str, Any]]] = {}
    for talk in reversed(crm.talks()):
        if talk["origin"] == OWN_ORIGIN:
            talks.setdefault(talk["chat_id"], []).append(talk)
    return talks


def test_seeding_is_the_same_every_time(
    store: ConversationStore, seeded: CrmStore
) -> None:
    again = seeded_crm(store)
    assert again.talks() == seeded.talks()
    assert again.events() == seeded.events()


def test_every_conversation_has_a_talk_and_every_seventh_two(
    store: ConversationStore, seeded: CrmStore
) -> None:
    talks = own(seeded)
    assert set(talks) == set(store.conversation_ids())
    counts = [len(talks[chat]) for chat in store.conversation_ids()]
    assert counts == [2 if n % 7 == 6 else 1 for n in range(len(counts))]


def test_a_seeded_talk_was_updated_with_its_newest_message(
    store: ConversationStore, seeded: CrmStore
) -> None:
    for chat, talks in own(seeded).items():
        if store.size(chat):
            assert talks[-1]["updated_at"] == store.newest_at(chat)
        assert all(talk["created_at"] <= talk["updated_at"] for talk in talks)


def test_an_earlier_seeded_talk_is_closed_and_of_the_same_contact(
    seeded: CrmStore,
) -> None:
    pairs = [talks for talks in own(seeded).values() if len(talks) == 2]
    for earlier, current in pairs:
        assert not earlier["is_in_work"]
        assert earlier["updated_at"] <= current["created_at"]
        assert earlier["contact_id"] == current["contact_id"]


def test_some_seeded_talks_are_closed_and_most_are_not(seeded: CrmStore) -> None:
    current = [talks[-1]["is_in_work"] for talks in own(seeded).values()]
    assert 0 < current.count(False) < current.count(True)


def test_the_newest_messages_have_raised_seeded_events(
    store: ConversationStore, seeded: CrmStore
) -> None:
    raised = {
        message["message"]["id"]: (event["created_at"], event["type"])
        for event in seeded.events()
        for message in event["value_after"]
    }
    for chat in store.conversation_ids():
        for each in store.page(chat, 0, 3):
            way = "outgoing" if "receiver" in each else "incoming"
            expected = (each["timestamp"], f"{way}_chat_message")
            assert raised[each["message"]["id"]] == expected


def test_seeded_talks_of_other_channels_are_of_chats_that_are_not_here(
    store: ConversationStore, seeded: CrmStore
) -> None:
    foreign = [talk for talk in seeded.talks() if talk["origin"] != OWN_ORIGIN]
    assert {talk["origin"] for talk in foreign} == {"waba", "telegram"}
    assert not {talk["chat_id"] for talk in foreign} & set(store.conversation_ids())
    origins = {
        message["message"]["origin"]
        for event in seeded.events()
        for message in event["value_after"]
    }
    assert origins == {OWN_ORIGIN, "waba", "telegram"}


@pytest.mark.parametrize("conversations", [0, 1, 30])
def test_talks_of_other_channels_are_seeded_beside_however_few_conversations(
    conversations: int,
) -> None:
    talks = seeded_crm(generated_store(conversations, 1)).talks()
    assert {talk["origin"] for talk in talks} >= {"waba", "telegram"}


def test_no_two_seeded_talks_share_an_id(seeded: CrmStore) -> None:
    ids = [talk["talk_id"] for talk in seeded.talks()]
    assert len(ids) == len(set(ids))


def test_seeded_ids_depend_on_nothing_but_the_conversations_place() -> None:
    def ids(crm: CrmStore) -> dict[str, list[tuple[int, int]]]:
        return {
            chat: [(talk["talk_id"], talk["contact_id"]) for talk in talks]
            for chat, talks in own(crm).items()
        }

    few, many = (
        ids(seeded_crm(generated_store(8, 1))),
        seeded_crm(generated_store(9, 6)),
    )
    assert ids(many).items() >= few.items()


def test_raw_and_empty_conversations_have_a_talk_and_no_event() -> None:
    store = ConversationStore()
    store.add_conversation("empty")
    store.put_raw("raw", [None, {"timestamp": "soon"}])
    crm = seeded_crm(store)
    assert set(own(crm)) == {"empty", "raw"}
    about = {event["entity_id"] for event in crm.events()}
    assert not about & {talks[-1]["entity_id"] for talks in own(crm).values()}
