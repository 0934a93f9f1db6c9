"""The sandbox over real sockets."""

from __future__ import annotations

import http.client
import logging
import socket
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import requests
from aiohttp import web

from sandbox import ConversationStore, PageRequest, Sandbox, SeenRequest
from tests.sandbox.requesting import (
    TIMEOUT,
    control,
    get,
    headers_for,
    ids,
    path_of,
    row,
    store_with,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(store_with(60)) as running:
        yield running


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
    with Sandbox(store, empty_list_at_end=True) as sandbox:
        response = get(sandbox, chat)
    assert (response.status_code, response.content) == (204, b"")


def test_an_offset_past_the_end_is_204(sandbox: Sandbox) -> None:
    response = get(sandbox, offset=60)
    assert (response.status_code, response.content) == (204, b"")


def test_an_offset_past_the_end_is_an_empty_list_if_told_so() -> None:
    with Sandbox(store_with(1), empty_list_at_end=True) as sandbox:
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


def test_dates_are_held_against_the_clock_given() -> None:
    with Sandbox(store_with(1), clock=lambda: time.time() - 1000) as sandbox:
        assert get(sandbox).status_code == 403


def test_secret_and_scope_are_those_given() -> None:
    with Sandbox(store_with(1), secret="s3", scope_id="a_b") as sandbox:  # noqa: S106 - made up here
        assert get(sandbox).status_code == 200
        assert get(sandbox, **{"X-Signature": "0" * 40}).status_code == 403
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


def test_requests_are_remembered_until_forgotten(sandbox: Sandbox) -> None:
    before = time.monotonic()
    get(sandbox, offset=49, limit=7)
    (seen,) = sandbox.requests
    assert before <= seen.at <= time.monotonic()
    assert seen == SeenRequest(
        at=seen.at,
        method="GET",
        target=path_of(sandbox, "chat") + "?offset=49&limit=7",
        conversation_id="chat",
        offset=49,
        limit=7,
        status=200,
        problem=None,
    )
    sandbox.forget_requests()
    assert sandbox.requests == ()


def test_before_page_sees_the_page_and_may_change_the_conversation() -> None:
    store = store_with(2)
    pages: list[PageRequest] = []

    def arrive(page: PageRequest) -> None:
        pages.append(page)
        store.add("chat", row(2))

    with Sandbox(store, before_page=arrive) as sandbox:
        assert ids(get(sandbox, limit=2)) == ["m2", "m1"]
    assert pages == [PageRequest("chat", 0, 2)]


def test_before_page_is_not_called_for_a_refused_request() -> None:
    pages: list[PageRequest] = []
    with Sandbox(store_with(1), before_page=pages.append) as sandbox:
        get(sandbox, limit=51)
    assert pages == []


def test_answer_may_replace_an_answer_or_leave_it() -> None:
    def slow_down(seen: SeenRequest) -> web.Response | None:
        assert seen.status == 200
        return web.Response(status=429) if seen.offset else None

    with Sandbox(store_with(3), answer=slow_down) as sandbox:
        assert get(sandbox, offset=1).status_code == 429
        assert get(sandbox).status_code == 200
        assert [seen.status for seen in sandbox.requests] == [429, 200]


@pytest.mark.parametrize("chat", ["chat", "vendas são/paulo+1"])
def test_messages_are_added_changed_and_removed_over_http(
    sandbox: Sandbox, chat: str
) -> None:
    messages = f"/conversations/{quote(chat, safe='')}/messages"
    before = sandbox.store.message_ids(chat)
    assert control(sandbox, "POST", messages, row(900)).status_code == 201
    assert ids(control(sandbox, "GET", messages)) == ["m900", *before]
    assert ids(get(sandbox, chat, limit=1)) == ["m900"]
    edit = control(sandbox, "PATCH", messages + "/m900", {"text": "new"})
    assert edit.status_code == 204
    assert get(sandbox, chat, limit=1).json()["messages"][0]["message"] == {
        "id": "m900",
        "type": "text",
        "text": "new",
    }
    assert control(sandbox, "DELETE", messages + "/m900").status_code == 204
    assert sandbox.store.message_ids(chat) == before


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/conversations/chat/messages", {"timestamp": 1}, 400),
        ("POST", "/conversations/chat/messages", [row(1)], 400),
        ("PATCH", "/conversations/chat/messages/m1", "text", 400),
        ("PATCH", "/conversations/chat/messages/none", {"text": "x"}, 404),
        ("DELETE", "/conversations/chat/messages/none", None, 404),
        ("GET", "/nothing", None, 404),
    ],
)
def test_a_wrong_control_request_is_refused(
    sandbox: Sandbox, method: str, path: str, body: object, status: int
) -> None:
    assert control(sandbox, method, path, body).status_code == status
    assert sandbox.store.size("chat") == 60


def test_raw_rows_are_served_even_if_half_a_character_is_in_them(
    sandbox: Sandbox,
) -> None:
    raw: list[object] = [{"timestamp": "soon"}, None, "half of \ud83d", 10**30, "olá"]
    sandbox.store.put_raw("chat", raw)
    assert get(sandbox).json() == {"messages": raw}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("POST", "", row(1)), ("PATCH", "/m1", {"text": "x"}), ("DELETE", "/m1", None)],
)
def test_changing_a_raw_conversation_over_http_is_a_conflict(
    sandbox: Sandbox, method: str, path: str, body: object
) -> None:
    sandbox.store.put_raw("chat", [row(1)])
    messages = "/conversations/chat/messages"
    assert control(sandbox, method, messages + path, body).status_code == 409
    assert control(sandbox, "GET", messages).json() == {"messages": [row(1)]}


def test_the_count_of_requests_leaves_control_requests_out(sandbox: Sandbox) -> None:
    get(sandbox)
    get(sandbox)
    get(sandbox, limit=0)
    for _ in range(2):
        assert control(sandbox, "GET", "/requests").json() == {
            "total": 3,
            "by_status": {"200": 2, "400": 1},
        }


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.com", ""])  # noqa: S104 - is refused
def test_only_a_loopback_address_is_bound(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        Sandbox(ConversationStore(), host=host)


def test_localhost_is_the_loopback_address() -> None:
    with Sandbox(ConversationStore(), host="localhost") as sandbox:
        assert sandbox.url.startswith("http://127.0.0.1:")


def test_a_taken_port_is_an_error_at_the_start(sandbox: Sandbox) -> None:
    port = int(sandbox.url.rpartition(":")[2])
    with (
        pytest.raises(OSError, match="address already in use"),
        Sandbox(ConversationStore(), port=port),
    ):
        pass


def test_the_port_is_free_once_it_has_stopped_even_with_a_client_connected() -> None:
    with requests.Session() as session:
        with Sandbox(store_with(1)) as sandbox:
            path = path_of(sandbox, "chat")
            session.get(
                f"{sandbox.url}{path}?offset=0&limit=50",
                headers=headers_for(sandbox, path),
                timeout=TIMEOUT,
            )
        port = int(sandbox.url.rpartition(":")[2])
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), TIMEOUT).close()
