"""Who may ask the CRM for what, and how it refuses."""

from __future__ import annotations

import http.client
import json
import logging

import pytest

from sandbox import CRM_TOKEN, CrmRequest, CrmStore, Refusal, Sandbox
from tests.sandbox.crm.asking import (
    ask,
    event_ids,
    problem_of,
    talk_ids,
    with_events,
    with_talks,
)
from tests.sandbox.requesting import TIMEOUT, get


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


def test_the_token_is_the_one_given(sandbox: Sandbox) -> None:
    sandbox.crm.token = "other"  # noqa: S105 - made up here
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
def test_a_problem_that_is_set_is_answered_to_every_request(
    sandbox: Sandbox, crm: CrmStore, target: str
) -> None:
    with_talks(crm, 1)
    sandbox.crm.problem = Refusal(402, "The plan has no such thing.")
    response = ask(sandbox, target, Authorization="")
    assert problem_of(response) == (402, "Payment Required")
    assert response.json()["detail"] == "The plan has no such thing."
    assert sandbox.requests[0].problem == "The plan has no such thing."


@pytest.mark.parametrize(("max_limit", "rows"), [(250, 250), (100, 100)])
def test_a_limit_that_is_too_large_gets_the_largest_page(
    sandbox: Sandbox, crm: CrmStore, max_limit: int, rows: int
) -> None:
    sandbox.crm.max_limit = max_limit
    with_events(crm, 251)
    response = ask(sandbox, "events?limit=251")
    assert len(event_ids(response)) == rows
    assert len(event_ids(ask(sandbox, response.json()["_links"]["next"]["href"]))) > 0


def test_a_limit_that_is_too_large_is_400_if_told_so(
    sandbox: Sandbox, crm: CrmStore
) -> None:
    sandbox.crm.max_limit, sandbox.crm.strict_limit = 100, True
    with_events(crm, 1)
    assert problem_of(ask(sandbox, "events?limit=101")) == (400, "Bad Request")
    assert ask(sandbox, "events?limit=100").status_code == 200


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


def test_before_page_sees_the_request_and_may_change_the_store(
    sandbox: Sandbox, crm: CrmStore
) -> None:
    targets: list[str] = []

    def change(asked: CrmRequest) -> None:
        targets.append(asked.target)
        with_talks(crm, len(targets))

    sandbox.crm.before_page = change
    assert talk_ids(ask(sandbox, "talks?filter[talk_id][]=1")) == [1]
    assert ask(sandbox, "talks/2").status_code == 200
    assert targets == [
        "/api/v4/talks?filter%5Btalk_id%5D%5B%5D=1",
        "/api/v4/talks/2",
    ]


def test_before_page_is_not_called_for_a_refused_request(sandbox: Sandbox) -> None:
    asked: list[CrmRequest] = []
    sandbox.crm.before_page = asked.append
    ask(sandbox, "talks", Authorization="Bearer wrong")
    ask(sandbox, "talks?limit=0")
    get(sandbox)
    assert asked == []
