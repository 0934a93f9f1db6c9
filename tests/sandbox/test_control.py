"""Changing and showing what a sandbox holds, over HTTP."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from sandbox import ConversationStore, CrmStore, Faults, Sandbox
from tests.sandbox.crm.asking import AT, with_talks
from tests.sandbox.misbehaving import misbehaving
from tests.sandbox.requesting import TIMEOUT, control, get, ids, row


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


def test_a_message_added_over_http_raises_an_event_and_touches_the_talk() -> None:
    crm = CrmStore()
    with_talks(crm, 1, 2, contact_id=70, origin="amo.ext.7")
    crm.talks.update(2, chat_id="chat 1")
    with Sandbox(ConversationStore(), crm) as sandbox:
        sandbox.clock = lambda: AT + 60.9
        path = "/conversations/chat%201/messages"
        control(sandbox, "POST", path, row(5))
        control(sandbox, "POST", path, {**row(6), "receiver": {"id": "r"}})
    outgoing, incoming = crm.events.all()
    assert (incoming["type"], incoming["created_at"], incoming["created_by"]) == (
        "incoming_chat_message",
        AT + 60,
        0,
    )
    assert incoming["value_after"] == [
        {"message": {"id": "m5", "talk_id": 2, "origin": "amo.ext.7"}}
    ]
    assert outgoing["type"] == "outgoing_chat_message"
    updated = {talk["talk_id"]: talk["updated_at"] for talk in crm.talks.all()}
    assert updated == {1: AT, 2: AT + 60}


def test_a_message_of_a_chat_without_a_talk_raises_no_event(
    sandbox: Sandbox,
) -> None:
    crm = sandbox.crm.store
    with_talks(crm, 1)
    crm.talks.update(1, chat_id="other")
    body = row(5)
    added = control(sandbox, "POST", "/conversations/chat%201/messages", body)
    assert (added.status_code, crm.events.all()) == (201, [])


def test_a_message_that_is_refused_raises_no_event(
    sandbox: Sandbox,
) -> None:
    crm = sandbox.crm.store
    with_talks(crm, 1)
    sandbox.store.put_raw("chat 1", [])
    added = control(sandbox, "POST", "/conversations/chat%201/messages", row(5))
    assert (added.status_code, crm.events.all()) == (409, [])


def test_faults_are_set_and_shown_over_http(sandbox: Sandbox) -> None:
    put = control(sandbox, "PUT", "/faults", {"html": 1, "only": [*"hgfedcba"]})
    assert put.status_code == 200
    assert sandbox.faults == Faults(html=1, only=frozenset("abcdefgh"))
    shown = control(sandbox, "GET", "/faults").json()
    assert shown == put.json()
    assert (shown["html"], shown["only"], shown["seed"]) == (1, [*"abcdefgh"], 0)
    assert control(sandbox, "PUT", "/faults", shown).json() == shown


def test_unknown_faults_over_http_are_refused_and_change_nothing() -> None:
    with misbehaving(html=1) as sandbox:
        response = control(sandbox, "PUT", "/faults", {"htlm": 1})
        assert response.status_code == 400
        assert "trickle_seconds" in response.json()["error_description"]
        assert sandbox.faults == Faults(html=1)


def test_control_requests_meet_no_fault() -> None:
    with misbehaving(reset_before=1, latency=TIMEOUT) as sandbox:
        assert control(sandbox, "GET", "/requests").json()["total"] == 0
