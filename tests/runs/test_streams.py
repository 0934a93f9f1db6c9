"""The stream on real sockets, against a server that verifies every request."""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections import Counter
from datetime import datetime, timedelta, timezone
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from sandbox import OWN_ORIGIN, ConversationStore, Sandbox
from tap_kommo_chats.errors import IncompleteRunError, RunError
from tap_kommo_chats.kommo import chats
from tap_kommo_chats.kommo.auth import KommoAuthenticator
from tap_kommo_chats.kommo.transport import BoundedAdapter
from tests.support.tap import config_for, failing_run, run, wait_for_nothing

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from sandbox import PageRequest, SeenRequest

    Answer = Callable[[SeenRequest], web.StreamResponse | None]


START_MS = 1_700_000_000_000


def message(number: int, **more: Any) -> dict[str, Any]:
    """Message number 0 is the oldest; there is one a minute."""
    sent_ms = START_MS + 60_000 * number
    return {
        "timestamp": sent_ms // 1000,
        "msec_timestamp": sent_ms,
        "sender": {"id": "s", "client_id": "c"},
        "message": {"id": f"m{number}", "type": "text", "text": "secret words"},
        **more,
    }


def fill(sandbox: Sandbox, conversation_id: str, count: int) -> None:
    for number in range(count):
        sandbox.store.add(conversation_id, message(number))


def history(*rows: object) -> Answer:
    """Answer every request with these rows."""
    body = json.dumps({"messages": rows})
    return lambda _: web.Response(text=body, content_type="application/json")


def expected_keys(sandbox: Sandbox) -> list[tuple[str, str]]:
    return [
        (conversation_id, message_id)
        for conversation_id in sandbox.store.conversation_ids()
        for message_id in sandbox.store.message_ids(conversation_id)
    ]


def test_a_full_sync_emits_every_message_once(seeded_sandbox: Sandbox) -> None:
    output = run(config_for(seeded_sandbox))

    assert Counter(output.keys) == Counter(expected_keys(seeded_sandbox))


def test_every_request_of_a_full_sync_is_accepted(seeded_sandbox: Sandbox) -> None:
    run(config_for(seeded_sandbox))

    assert {seen.status for seen in seeded_sandbox.requests} == {200, 204}
    assert not [seen.problem for seen in seeded_sandbox.requests if seen.problem]


def test_a_first_sync_asks_at_most_2_percent_more_than_is_possible(
    seeded_sandbox: Sandbox,
) -> None:
    store = seeded_sandbox.store

    run(config_for(seeded_sandbox))

    least = sum(max(1, -(-store.size(id_) // 50)) for id_ in store.conversation_ids())
    assert len(seeded_sandbox.requests) <= 1.02 * least


def test_every_field_is_in_the_record_as_it_was_served(seeded_sandbox: Sandbox) -> None:
    output = run(config_for(seeded_sandbox))

    rows = {
        (conversation_id, row["message"]["id"]): row
        for conversation_id in seeded_sandbox.store.conversation_ids()
        for row in seeded_sandbox.store.rows(conversation_id)
    }
    for record in output.records:
        served = rows[record["conversation_id"], record["message_id"]]
        assert rebuilt(record) == json.loads(
            json.dumps(served), parse_float=str, parse_int=str
        )


def rebuilt(record: dict[str, Any]) -> dict[str, Any]:
    """Put a record's fields back where the API had them, numbers as text."""
    row = {
        name: record[name]
        for name in ("timestamp", "msec_timestamp", "sender", "receiver", "message")
        if record[name] is not None
    }
    for path, value in (record["extra"] or {}).items():
        *parents, name = path.split(".")
        inner = row
        for parent in parents:
            inner = inner[parent]
        inner[name] = value
    text = json.dumps(row, default=str)
    # Decimal numbers arrive as text already, in every digit.
    result: dict[str, Any] = json.loads(text, parse_int=str)
    return result


def test_a_request_says_who_asks_and_for_what(sandbox: Sandbox) -> None:
    run(config_for(sandbox, ["a"]))

    headers = sandbox.requests[0].headers
    assert headers["accept"] == "application/json"
    assert headers["user-agent"] == f"tap-kommo-chats/{version('tap-kommo-chats')}"


def test_the_request_timeout_is_that_of_every_request(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []
    send = BoundedAdapter.send

    def look(*args: Any, **kwargs: Any) -> requests.Response:
        seen.append(kwargs["timeout"])
        return send(*args, **kwargs)

    monkeypatch.setattr(BoundedAdapter, "send", look)
    run({**config_for(sandbox, ["a"]), "request_timeout": 7})

    assert seen == [7]


def test_an_id_that_needs_percent_encoding_is_read(sandbox: Sandbox) -> None:
    conversation_id = "vendas são paulo+1%41~(ü)"
    fill(sandbox, conversation_id, 1)

    assert run(config_for(sandbox)).keys == [(conversation_id, "m0")]


@pytest.mark.parametrize("empty_list", [False, True], ids=["204", "empty list"])
def test_the_end_may_be_no_content_or_an_empty_list(*, empty_list: bool) -> None:
    with Sandbox(ConversationStore()) as sandbox:
        sandbox.chats.empty_list_at_end = empty_list
        fill(sandbox, "a", 60)

        def vanish(asked: PageRequest) -> None:
            if asked.offset == 49:
                for number in range(59, 39, -1):
                    sandbox.store.remove("a", f"m{number}")
                sandbox.chats.before_page = None

        sandbox.chats.before_page = vanish

        assert Counter(run(config_for(sandbox)).keys) == Counter(
            ("a", f"m{number}") for number in range(60)
        )


def test_an_unknown_conversation_is_an_empty_history(sandbox: Sandbox) -> None:
    assert run(config_for(sandbox, ["nobody"])).records == []


def test_messages_before_the_start_date_are_not_emitted(sandbox: Sandbox) -> None:
    fill(sandbox, "a", 10)

    output = run({**config_for(sandbox), "start_date": "2023-11-14T22:18:20Z"})

    assert output.keys == [("a", f"m{number}") for number in (9, 8, 7, 6, 5)]


def test_messages_before_the_start_date_are_not_paged_through(sandbox: Sandbox) -> None:
    fill(sandbox, "a", 1000)

    run({**config_for(sandbox), "start_date": "2023-11-15T13:52:20Z"})

    assert [seen.offset for seen in sandbox.requests] == [0, 49]


def test_a_conversation_that_is_not_newest_first_is_told_once_and_read(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [message(number) for number in range(60)]
    sandbox.answer = lambda seen: history(
        *rows[seen.offset or 0 : (seen.offset or 0) + 50]
    )(seen)

    output = run({**config_for(sandbox, ["a"]), "start_date": "2023-11-14T22:18:20Z"})

    assert len(output.keys) == 55
    assert caplog.text.count("does not come newest first") == 1


def test_a_row_without_key_is_named_and_fails_the_run_after_all_was_delivered(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    fill(sandbox, "b", 1)
    rows = [message(2), {"timestamp": 5}, {"message": {"id": "m0"}}]
    sandbox.answer = lambda seen: (
        history(*rows)(seen) if seen.conversation_id == "a" else None
    )

    failed = failing_run(config_for(sandbox, ["a", "b"]), caplog)

    assert isinstance(failed.error, IncompleteRunError)
    assert "2 row(s) could not be delivered" in str(failed.error)
    assert failed.output.keys == [("a", "m2"), ("b", "m0")]
    for line in (
        "Conversation a: the row at position 1 has no usable message.id",
        "Conversation a: the row at position 2 has no usable timestamp",
    ):
        assert line in failed.log


def test_a_value_of_another_type_does_not_stop_the_run(sandbox: Sandbox) -> None:
    odd = message(0)
    odd["sender"]["name"] = 7
    sandbox.store.add("a", odd)

    (record,) = run(config_for(sandbox)).records

    assert record["extra"] == {"sender.name": 7}


def test_a_redirect_is_not_followed(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.answer = lambda _: web.Response(
        status=302, headers={"Location": f"{sandbox.url}/elsewhere"}
    )

    failed = failing_run(config_for(sandbox, ["a", "b", "c"]), caplog)

    assert isinstance(failed.error, RunError)
    assert "redirects are not followed: check api_url" in str(failed.error)
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_asked_again(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    fill(sandbox, "a", 1)
    wait_for_nothing(monkeypatch)
    sandbox.answer = lambda _: None if sandbox.requests else web.Response(status=status)

    assert run(config_for(sandbox)).keys == [("a", "m0")]
    assert [seen.status for seen in sandbox.requests] == [status, 200]


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (400, "check scope_id and the conversation's id"),
        (404, "check api_url, scope_id and the conversation's id"),
        (418, "unexpected"),
    ],
)
def test_an_error_names_the_conversation_and_what_to_do(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, status: int, advice: str
) -> None:
    fill(sandbox, "b", 1)
    sandbox.answer = lambda seen: (
        web.json_response({"title": "No"}, status=status)
        if seen.conversation_id == "a"
        else None
    )

    failed = failing_run(config_for(sandbox, ["a", "b"]), caplog)

    (line,) = re.findall(r"Conversation a: Kommo answered .*", failed.log)
    assert f"{status} (No); " in line
    assert advice in line
    assert "1 conversation(s) could not be read" in str(failed.error)
    assert "(a)" in str(failed.error)
    assert failed.output.keys == [("b", "m0")]


@pytest.mark.parametrize(
    "body",
    [
        {"title": "refused: 2a2593df86235c44943a40ce35409d18bda5778c"},
        {"error_type": "Zm9vYmFyYmF6cXV4Zm9vYmFy= was expected"},
        {"detail": "secret words", "error_description": "secret words"},
        {"title": "x " * 5000},
        ["secret words"],
    ],
)
def test_what_a_server_says_of_an_error_is_cut_to_what_cannot_be_secret(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, body: object
) -> None:
    sandbox.answer = lambda _: web.json_response(body, status=403)

    failed = failing_run(config_for(sandbox, ["a"]), caplog)

    said = str(failed.error)
    assert "2a2593df" not in said + failed.log
    assert "Zm9v" not in said + failed.log
    assert "secret words" not in said + failed.log
    assert len(said) < 300


@pytest.mark.parametrize(
    "body", ["<html>", "", "[]", "{}", '{"messages": {}}', '{"messages": "secret words']
)
def test_a_body_that_is_no_history_is_one_conversations_failure(
    sandbox: Sandbox,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    body: str,
) -> None:
    wait_for_nothing(monkeypatch)
    fill(sandbox, "b", 1)
    sandbox.answer = lambda seen: (
        web.Response(text=body) if seen.conversation_id == "a" else None
    )

    failed = failing_run(config_for(sandbox, ["a", "b"]), caplog)

    assert "Conversation a: the answer " in failed.log
    assert "secret words" not in failed.log
    assert "secret words" not in "".join(traceback.format_exception(failed.error))
    assert failed.output.keys == [("b", "m0")]


def test_a_retry_is_signed_afresh(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sandbox, "a", 1)
    long_ago = datetime.now(timezone.utc) - timedelta(hours=1)

    def fail_the_first(_seen: SeenRequest) -> web.StreamResponse | None:
        return None if sandbox.requests else web.Response(status=500)

    sandbox.answer = fail_the_first
    # The first attempt is dated so long ago that its signature is worth nothing.
    monkeypatch.setattr(
        chats,
        "KommoAuthenticator",
        lambda secret: KommoAuthenticator(
            secret,
            now=lambda: datetime.now(timezone.utc) if sandbox.requests else long_ago,
        ),
    )
    wait_for_nothing(monkeypatch)

    assert run(config_for(sandbox)).keys == [("a", "m0")]
    assert [seen.status for seen in sandbox.requests] == [500, 200]


def test_no_message_text_is_logged(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fill(sandbox, "a", 60)

    run(config_for(sandbox))

    assert "secret words" not in caplog.text
    assert sandbox.secret not in caplog.text


def test_flattening_keeps_what_the_schema_does_not_know(sandbox: Sandbox) -> None:
    sandbox.store.add("a", message(0, tag={"colour": "red"}))
    config = {
        **config_for(sandbox),
        "flattening_enabled": True,
        "flattening_max_depth": 3,
    }

    output = run(config)

    schema = next(m["schema"] for m in output.messages if m["type"] == "SCHEMA")
    (record,) = output.records
    assert "extra" in schema["properties"]
    assert json.loads(record["extra"]) == {"tag": {"colour": "red"}}


def test_flattening_keeps_what_no_column_of_a_talk_takes(sandbox: Sandbox) -> None:
    fill(sandbox, "a", 1)
    sandbox.crm.store.talks.add(1, "a", created_at=1, updated_at=1, brand_new={"a": 1})
    config = {
        **config_for(sandbox),
        "crm_url": sandbox.url,
        "crm_access_token": sandbox.crm_token,
        "crm_origins": [OWN_ORIGIN],
        "flattening_enabled": True,
        "flattening_max_depth": 3,
    }

    output = run(config)

    (schema,) = [
        m["schema"]
        for m in output.messages
        if m["type"] == "SCHEMA" and m["stream"] == "talks"
    ]
    (talk,) = output.records_of("talks")
    assert "extra" in schema["properties"]
    assert json.loads(talk["extra"])["brand_new"] == {"a": 1}


def test_the_state_holds_no_time_for_all_conversations(sandbox: Sandbox) -> None:
    fill(sandbox, "a", 1)

    states = [m for m in run(config_for(sandbox)).messages if m["type"] == "STATE"]

    assert "replication_key_value" not in json.dumps(states)
