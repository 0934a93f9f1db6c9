"""The history endpoint: what it is asked for and what it answers."""

from __future__ import annotations

import http.client
import logging
import time
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
import requests

from sandbox import (
    ChatsApi,
    ConversationStore,
    PageRequest,
    Refusal,
    RequestParts,
    Sandbox,
)
from tests.sandbox.chats.example import (
    CHAT_ID,
    EXAMPLE,
    NOW,
    PATH,
    SCOPE_ID,
    SECRET,
    SIGNATURE,
    signed,
)
from tests.sandbox.requesting import (
    TIMEOUT,
    get,
    headers_for,
    ids,
    path_of,
    row,
    store_with,
)


def test_a_page_is_json_newest_first(sandbox: Sandbox) -> None:
    response = get(sandbox, offset=49, limit=3)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("application/json")
    assert response.json() == {"messages": [row(10), row(9), row(8)]}


def test_text_is_utf_8_and_not_escaped(sandbox: Sandbox) -> None:
    assert "olá 👩‍🚀".encode() in get(sandbox, limit=1).content


@pytest.mark.parametrize("chat", ["unknown", "empty"])
def test_an_unknown_or_empty_conversation_is_204_without_a_body(chat: str) -> None:
    store = store_with(1)
    store.add_conversation("empty")
    with Sandbox(store) as sandbox:
        sandbox.chats.empty_list_at_end = True
        response = get(sandbox, chat)
    assert (response.status_code, response.content) == (204, b"")


def test_an_offset_past_the_end_is_204(sandbox: Sandbox) -> None:
    response = get(sandbox, offset=60)
    assert (response.status_code, response.content) == (204, b"")


def test_an_offset_past_the_end_is_an_empty_list_if_told_so() -> None:
    with Sandbox(store_with(1)) as sandbox:
        sandbox.chats.empty_list_at_end = True
        response = get(sandbox, offset=1)
    assert (response.status_code, response.json()) == (200, {"messages": []})


def test_the_raw_path_is_what_has_to_be_signed() -> None:
    chat = "vendas são/paulo+1"
    raw = "vendas%20s%c3%a3o%2Fpaulo%2B1"
    with Sandbox(store_with(1, chat)) as sandbox:
        path = path_of(sandbox, raw)
        connection = http.client.HTTPConnection(
            sandbox.url.removeprefix("http://"), timeout=TIMEOUT
        )
        statuses = []
        for signed in (path, path_of(sandbox, chat), path_of(sandbox, quote(chat, ""))):
            connection.request(
                "GET",
                path + "?offset=0&limit=50",
                headers=headers_for(sandbox, signed),
            )
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
        connection.close()
        assert statuses == [200, 403, 403]
        assert sandbox.requests[0].conversation_id == chat


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        (400, {"limit": 51}),
        (400, {"offset": -1}),
        (400, {"limit": "many"}),
        (403, {"X-Signature": "0" * 40}),
        (403, {"Date": "Tue, 13 Dec 2022 11:00:00 +0000"}),
        (403, {"Content-MD5": "0" * 32}),
        (403, {"Content-Type": "text/plain"}),
    ],
)
def test_a_wrong_request_gets_its_status_and_a_json_error(
    sandbox: Sandbox, status: int, changes: dict[str, Any]
) -> None:
    response = get(sandbox, **changes)
    assert response.status_code == status
    error = response.json()
    assert set(error) == {"error_code", "error_type", "error_description"}
    assert sandbox.requests[0].problem == error["error_description"]


def test_another_scope_is_not_found(sandbox: Sandbox) -> None:
    path = path_of(sandbox, "chat").replace(sandbox.scope_id, "other")
    response = requests.get(
        f"{sandbox.url}{path}?offset=0&limit=50",
        headers=headers_for(sandbox, path),
        timeout=TIMEOUT,
    )
    assert (response.status_code, response.json()["error_code"]) == (404, 404)


def test_another_method_is_not_allowed(sandbox: Sandbox) -> None:
    response = requests.post(
        sandbox.url + path_of(sandbox, "chat"), json={}, timeout=TIMEOUT
    )
    assert (response.status_code, response.headers["Allow"]) == (405, "GET")


def test_dates_are_held_against_the_clock_given(sandbox: Sandbox) -> None:
    sandbox.clock = lambda: time.time() - 1000
    assert get(sandbox).status_code == 403


def test_secret_and_scope_are_those_given(sandbox: Sandbox) -> None:
    sandbox.chats.scope_id = "a_b"
    before = headers_for(sandbox, path_of(sandbox, "chat"))
    sandbox.chats.secret = "s3"  # noqa: S105 - made up here
    assert (sandbox.secret, sandbox.scope_id) == ("s3", "a_b")
    assert get(sandbox).status_code == 200
    assert get(sandbox, **before).status_code == 403
    assert "/custom/a_b/" in sandbox.requests[0].target


def test_no_answer_and_no_log_shows_secret_or_signature(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    signature = "ab" * 20
    shown = get(sandbox, **{"X-Signature": signature}).text
    shown += str(sandbox.requests)
    shown += "".join(
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("aiohttp")
    )
    assert signature not in shown
    assert sandbox.secret not in shown


def test_before_page_sees_the_page_and_may_change_the_conversation() -> None:
    store = store_with(2)
    pages: list[PageRequest] = []

    def arrive(page: PageRequest) -> None:
        pages.append(page)
        store.add("chat", row(2))

    with Sandbox(store) as sandbox:
        sandbox.chats.before_page = arrive
        assert ids(get(sandbox, limit=2)) == ["m2", "m1"]
    assert pages == [PageRequest("chat", 0, 2)]


def test_before_page_is_not_called_for_a_refused_request(sandbox: Sandbox) -> None:
    pages: list[PageRequest] = []
    sandbox.chats.before_page = pages.append
    get(sandbox, limit=51)
    assert pages == []


def test_raw_rows_are_served_even_if_half_a_character_is_in_them(
    sandbox: Sandbox,
) -> None:
    raw: list[object] = [{"timestamp": "soon"}, None, "half of \ud83d", 10**30, "olá"]
    sandbox.store.put_raw("chat", raw)
    assert get(sandbox).json() == {"messages": raw}


# The checks before and after that of the signature.


def answer(request: RequestParts) -> PageRequest | Refusal:
    api = ChatsApi(ConversationStore(), scope_id=SCOPE_ID, secret=SECRET)
    return api.check(replace(request, at=NOW))


def refusal(request: RequestParts) -> Refusal:
    answered = answer(request)
    assert isinstance(answered, Refusal)
    return answered


def with_query(query: str) -> RequestParts:
    return replace(EXAMPLE, target=PATH + query)


@pytest.mark.parametrize(
    "target",
    [
        "/",
        PATH + "/",
        PATH.removesuffix("/history"),
        PATH.replace("/v2/", "/v1/"),
        PATH.replace("/v2/", "//v2/"),
        PATH.replace(CHAT_ID, ""),
        "http://localhost" + PATH,
    ],
)
def test_another_path_is_not_found(target: str) -> None:
    assert refusal(replace(EXAMPLE, target=target)).status == 404


def test_a_scope_that_is_signed_for_but_another_is_not_found() -> None:
    assert refusal(signed(PATH.replace(SCOPE_ID, SCOPE_ID[::-1]))).status == 404


@pytest.mark.parametrize("method", ["POST", "HEAD", "get"])
def test_any_other_method_is_not_allowed(method: str) -> None:
    assert refusal(replace(EXAMPLE, method=method)).status == 405


def test_the_query_is_not_part_of_what_is_signed() -> None:
    assert answer(with_query("?limit=7&offset=49")) == PageRequest(CHAT_ID, 49, 7)


def test_the_path_is_signed_as_it_came_and_decoded_afterwards() -> None:
    raw = PATH.replace(CHAT_ID, "vendas%20s%C3%A3o%2fpaulo%2B1")
    assert answer(signed(raw)) == PageRequest("vendas são/paulo+1", 0, 50)
    for other in ("vendas são/paulo+1", "vendas%20s%c3%a3o%2Fpaulo%2B1"):
        on_the_wire = replace(signed(PATH.replace(CHAT_ID, other)), target=raw)
        assert refusal(on_the_wire).status == 403


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?offset=0",
        "?limit=50",
        "?offset=&limit=50",
        "?offset=-1&limit=50",
        "?offset=2147483648&limit=50",
        "?offset=1.0&limit=50",
        "?offset=+1&limit=50",
        "?offset=1_0&limit=50",
        "?offset=%D9%A1&limit=50",
        "?offset=0&offset=50&limit=50",
        "?offset=0&limit=0",
        "?offset=0&limit=51",
        "?offset=0&limit=-1",
        "?offset=0&limit=all",
        "?offset=0&limit=" + "9" * 5000,
    ],
)
def test_an_offset_or_limit_out_of_bounds_is_a_bad_request(query: str) -> None:
    assert refusal(with_query(query)).status == 400


@pytest.mark.parametrize(("offset", "limit"), [(0, 1), (0, 50), (2**31 - 1, 50)])
def test_the_bounds_themselves_are_accepted(offset: int, limit: int) -> None:
    asked = answer(with_query(f"?offset={offset}&limit={limit}"))
    assert asked == PageRequest(CHAT_ID, offset, limit)


def test_the_first_problem_in_order_decides() -> None:
    unsigned: RequestParts = RequestParts("POST", PATH + "?limit=x", headers={})
    assert refusal(replace(unsigned, target="/")).status == 404
    assert refusal(unsigned).status == 405
    assert refusal(replace(unsigned, method="GET")).status == 403


def test_what_is_readable_of_a_target_is_read_whatever_is_wrong_with_it() -> None:
    api = ChatsApi(ConversationStore(), scope_id=SCOPE_ID)
    subject = api.subject(PATH + "?offset=49&limit=many")
    assert subject.conversation_id == CHAT_ID
    assert (subject.offset, subject.limit) == (49, None)


def test_a_refusal_quotes_no_secret_and_no_signature() -> None:
    headers = {**EXAMPLE.headers, "X-Signature": SIGNATURE[::-1]}
    refused = refusal(replace(EXAMPLE, headers=headers))
    for kept_back in (SECRET, SIGNATURE, SIGNATURE[::-1]):
        assert kept_back not in repr(refused)
