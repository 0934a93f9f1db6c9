"""Changing and showing what a sandbox holds, over HTTP."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from sandbox import ConversationStore, CrmStore, Faults, Sandbox, Terms
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


def test_terms_are_set_and_shown_over_http(sandbox: Sandbox) -> None:
    put = control(sandbox, "PUT", "/terms", {"addon": False, "forbidden_talks": [1]})
    assert put.status_code == 200
    assert sandbox.crm.terms == Terms(addon=False, forbidden_talks=frozenset({1}))
    shown = control(sandbox, "GET", "/terms").json()
    assert shown == put.json()
    assert (shown["addon"], shown["message_order"]) == (False, "mixed")
    assert control(sandbox, "PUT", "/terms", shown).json() == shown


def test_unknown_terms_over_http_are_refused_and_change_nothing(
    sandbox: Sandbox,
) -> None:
    response = control(sandbox, "PUT", "/terms", {"adon": False})
    assert response.status_code == 400
    assert "addon" in response.json()["error_description"]
    assert sandbox.crm.terms == Terms()


def test_native_messages_are_added_changed_and_removed_over_http(
    sandbox: Sandbox,
) -> None:
    with_talks(sandbox.crm.store, 1, origin="waba")
    path = "/talks/1/messages"
    first = {"id": "a", "text": "Hi", "created_at": AT}
    assert control(sandbox, "POST", path, first).status_code == 201
    reply = {"id": "b", "user_id": 7, "created_at": AT + 1}
    assert control(sandbox, "POST", path, reply).json()["type"] == "outgoing"
    edit = control(sandbox, "PATCH", f"{path}/a", {"text": "new"})
    assert edit.status_code == 204
    assert control(sandbox, "DELETE", f"{path}/b").status_code == 204
    (left,) = control(sandbox, "GET", path).json()["messages"]
    assert (left["id"], left["text"], left["created_at"]) == ("a", "new", AT)
    told = [(e["created_at"], e["created_by"]) for e in sandbox.crm.store.events.all()]
    assert told == [(AT + 1, 7), (AT, 0)]


def test_a_native_message_comes_now_unless_told(sandbox: Sandbox) -> None:
    with_talks(sandbox.crm.store, 1)
    sandbox.clock = lambda: AT + 60.9
    added = control(sandbox, "POST", "/talks/1/messages", {})
    assert added.json()["created_at"] == AT + 60


def test_talks_are_opened_closed_and_reopened_over_http(sandbox: Sandbox) -> None:
    crm = sandbox.crm.store
    opened = {"chat_id": "chat", "origin": "waba", "created_at": AT}
    assert control(sandbox, "PUT", "/talks/5", opened).status_code == 204
    status = []
    for change in ("close", "reopen"):
        assert control(sandbox, "POST", f"/talks/5/{change}").status_code == 204
        status += [talk["status"] for talk in crm.talks.all()]
    assert status == ["closed", "in_work"]
    assert [e["type"] for e in crm.events.all()] == ["talk_closed", "talk_created"]


def test_leads_are_changed_and_moved_over_http(sandbox: Sandbox) -> None:
    crm = sandbox.crm.store
    crm.leads.add(80, created_at=AT)
    renamed = {"name": "new", "updated_at": AT + 1}
    assert control(sandbox, "PATCH", "/leads/80", renamed).status_code == 204
    assert crm.events.all() == []
    lost = {"status_id": 143, "loss_reason_id": 5_501, "updated_at": AT + 2}
    assert control(sandbox, "PATCH", "/leads/80", lost).status_code == 204
    (lead,) = crm.leads.all()
    assert (lead["name"], lead["status_id"], lead["loss_reason_id"]) == (
        "new",
        143,
        5_501,
    )
    assert [e["created_at"] for e in crm.events.all()] == [AT + 2]


def test_users_are_removed_over_http(sandbox: Sandbox) -> None:
    sandbox.crm.store.users.add(7, "Ann")
    assert control(sandbox, "DELETE", "/users/7").status_code == 204
    assert sandbox.crm.store.users.all() == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/talks/1/messages", [], 400),
        ("POST", "/talks/1/messages", {"created_at": "now"}, 400),
        ("POST", "/talks/1/messages", {"author": "Ann"}, 400),
        ("POST", "/talks/9/messages", {}, 404),
        ("POST", "/talks/x/messages", {}, 404),
        ("PATCH", "/talks/1/messages/none", {}, 404),
        ("DELETE", "/talks/1/messages/none", None, 404),
        ("PUT", "/talks/2", {}, 400),
        ("POST", "/talks/9/close", None, 404),
        ("POST", "/talks/9/reopen", None, 404),
        ("PATCH", "/leads/9", {}, 404),
        ("PATCH", "/leads/9", {"status_id": 142}, 404),
        ("DELETE", "/users/9", None, 404),
    ],
)
def test_a_wrong_control_request_to_the_crm_is_refused(
    sandbox: Sandbox, method: str, path: str, body: object, status: int
) -> None:
    crm = sandbox.crm.store
    with_talks(crm, 1)
    before = crm.talks.all()
    assert control(sandbox, method, path, body).status_code == status
    assert (crm.talks.all(), crm.messages.all(), crm.events.all()) == (before, [], [])
