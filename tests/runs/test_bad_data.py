"""What a server should never send, and what becomes of it."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox import OWN_ORIGIN, ConversationStore, Sandbox
from tap_kommo_chats import telling
from tap_kommo_chats.errors import IncompleteRunError, TapError
from tap_kommo_chats.kommo.large import VALUES_AT_MOST
from tap_kommo_chats.kommo.pagination import ROWS_AT_MOST
from tap_kommo_chats.tap import TapKommoChats
from tap_kommo_chats.telling import LINES_AT_MOST
from tests.support.tap import (
    captured_output,
    config_for,
    failing_run,
    run,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sandbox import SeenRequest
    from tests.support.tap import Output

SENT = 1_700_000_000


def row(name: str, **more: Any) -> dict[str, Any]:
    return {"timestamp": SENT, "message": {"id": name, "text": name}, **more}


def serve(sandbox: Sandbox, **conversations: list[Any]) -> None:
    """Answer with these rows, page by page, whatever they are."""

    def answer(seen: SeenRequest) -> web.StreamResponse | None:
        if seen.conversation_id not in conversations:
            return None
        first = seen.offset or 0
        rows = conversations[seen.conversation_id][first : first + 50]
        # Not everything here could be written as UTF-8.
        return web.Response(text=json.dumps({"messages": rows}))

    sandbox.answer = answer


def strict(output: Output) -> list[dict[str, Any]]:
    """Read the records with a parser that takes no liberties."""
    lines = [msgspec.json.decode(line.encode()) for line in output.lines]
    return [
        line["record"]
        for line in lines
        if line["type"] == "RECORD" and line["stream"] == "chat_history"
    ]


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tap_kommo_chats.kommo.host.LONGEST_WAIT",
        0.0,
    )


@pytest.mark.parametrize("bad", [None, 7, "text", [], [row("x")], True])
def test_a_row_that_is_no_object_is_reported_and_the_others_are_carried(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, bad: object
) -> None:
    serve(sandbox, a=[row("m1"), bad, row("m2")])

    failed = failing_run(config_for(sandbox, ["a"]), caplog)

    assert [r["message_id"] for r in strict(failed.output)] == ["m1", "m2"]
    assert "the row at position 1 has no usable message.id" in failed.log
    assert "1 row(s) could not be delivered" in str(failed.error)


def nested(levels: int) -> Any:
    value: Any = "core"
    for _ in range(levels):
        value = [value]
    return value


def test_a_row_nested_deep_is_reported_and_the_others_are_carried(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    serve(sandbox, a=[row("m1"), row("m2", deep=nested(150)), row("m3")])

    failed = failing_run(config_for(sandbox, ["a"]), caplog)

    assert [r["message_id"] for r in strict(failed.output)] == ["m1", "m3"]
    assert "position 1 has more than 100 levels of nesting" in failed.log


def test_nesting_that_a_target_can_read_is_carried(sandbox: Sandbox) -> None:
    serve(sandbox, a=[row("m1", deep=nested(90))])

    (record,) = strict(run(config_for(sandbox, ["a"])))

    assert record["extra"] == {"deep": nested(90)}


@pytest.mark.parametrize("levels", [1_000, 100_000])
def test_an_answer_nested_too_deep_to_be_read_is_its_conversations_failure(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, levels: int
) -> None:
    body = '{"messages": [' + "[" * levels + "]" * levels + "]}"
    sandbox.store.add("b", row("m1"))
    sandbox.answer = lambda seen: (
        web.Response(text=body) if seen.conversation_id == "a" else None
    )

    failed = failing_run(config_for(sandbox, ["a", "b"]), caplog)

    told = "(nested|nesting|larger than any page)|position 0"
    assert re.search(f"Conversation a: .* {told}", failed.log)
    assert [r["message_id"] for r in strict(failed.output)] == ["m1"]


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**40])
def test_a_number_beyond_64_bits_is_carried(sandbox: Sandbox, number: int) -> None:
    serve(sandbox, a=[row("m1", msec_timestamp=number, other=number)])

    output = run(config_for(sandbox, ["a"]))

    strict(output)
    assert output.records[0]["extra"] == {"msec_timestamp": number, "other": number}
    assert output.records[0]["sent_at"].startswith("2023-11-14T22:13:20")


@pytest.mark.parametrize(
    ("timestamp", "sent_at"),
    [(0, "1970-01-01T00:00:00"), (-1, "1969-12-31T23:59:59"), (10**10, "2286-11-20")],
)
def test_a_strange_time_is_carried(
    sandbox: Sandbox, timestamp: int, sent_at: str
) -> None:
    serve(sandbox, a=[row("m1", timestamp=timestamp)])

    (record,) = strict(run(config_for(sandbox, ["a"])))

    assert record["sent_at"].startswith(sent_at)


@pytest.mark.parametrize("timestamp", [10**12, -(10**12), 10**30])
def test_a_time_no_calendar_has_is_reported(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, timestamp: int
) -> None:
    serve(sandbox, a=[row("m1", timestamp=timestamp)])

    failed = failing_run(config_for(sandbox, ["a"]), caplog)

    assert "position 0 has no usable timestamp" in failed.log


ABSURD = ("1e999999999", "1e9999999999999999999", "-1e-999999999", "9" * 5_000)
"""Numbers that would take all memory when written out, or that Python cannot read."""


def serve_text(sandbox: Sandbox, *rows: str) -> None:
    """Answer with rows as they are written here."""
    body = f'{{"messages": [{", ".join(rows)}]}}'
    sandbox.answer = lambda _: web.Response(text=body)


@pytest.mark.parametrize("number", ABSURD, ids=lambda number: number[:12])
@pytest.mark.parametrize("place", ["timestamp", "msec_timestamp", "message.id"])
def test_an_absurd_number_where_a_row_has_its_key_spoils_that_row_at_most(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, number: str, place: str
) -> None:
    values = {"timestamp": "1", "msec_timestamp": "0", "message.id": '"m2"'}
    values[place] = number
    serve_text(
        sandbox,
        json.dumps(row("m1")),
        f'{{"timestamp": {values["timestamp"]}, "msec_timestamp": '
        f'{values["msec_timestamp"]}, "message": {{"id": {values["message.id"]}}}}}',
    )

    with captured_output() as collected, suppress(IncompleteRunError):
        TapKommoChats(config=config_for(sandbox, ["a"])).sync_all()

    assert strict(collected[0])[0]["message_id"] == "m1"
    assert "Conversation a: the row at position 1" in caplog.text or (
        len(strict(collected[0])) == 2
    )
    assert "mistake in the tap" not in caplog.text


@pytest.mark.parametrize("number", ABSURD, ids=lambda number: number[:12])
def test_an_absurd_number_is_carried_as_text(sandbox: Sandbox, number: str) -> None:
    serve_text(
        sandbox,
        f'{{"timestamp": 1, "message": {{"id": "m1", "file_size": {number}, '
        f'"location": {{"lon": {number}}}}}, "other": [{number}]}}',
    )

    (record,) = strict(run(config_for(sandbox, ["a"])))

    assert record["extra"] == {
        "message.file_size": number,
        "message.location.lon": number,
        "other": [number],
    }


def test_half_a_surrogate_pair_is_replaced_and_told(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    serve(sandbox, a=[row("m1", message={"id": "m1", "text": "a\ud83d b"})])

    (record,) = strict(run(config_for(sandbox, ["a"])))

    assert record["message"]["text"] == "a\ufffd b"
    assert "Conversation a: an answer had halves of surrogate pairs" in caplog.text


def test_names_that_differ_in_half_a_pair_only_keep_both_values(
    sandbox: Sandbox,
) -> None:
    serve(sandbox, a=[row("m1", **{chr(0xD800): 1, chr(0xD801): 2})])

    (record,) = strict(run(config_for(sandbox, ["a"])))

    assert sorted(record["extra"].values()) == [1, 2]


def test_a_nul_is_carried(sandbox: Sandbox) -> None:
    serve(sandbox, a=[row("m1", message={"id": "m1", "text": "a\x00b"})])

    (record,) = strict(run(config_for(sandbox, ["a"])))

    assert record["message"]["text"] == "a\x00b"


def test_two_contents_under_one_id_are_both_carried(sandbox: Sandbox) -> None:
    serve(sandbox, a=[row("m1", n=1), row("m1", n=2), row("m1", n=2)])

    records = strict(run(config_for(sandbox, ["a"])))

    assert [record["extra"] for record in records] == [{"n": 1}, {"n": 2}]


def test_a_message_in_two_conversations_is_carried_in_both(sandbox: Sandbox) -> None:
    serve(sandbox, a=[row("m1")], b=[row("m1")])

    output = run(config_for(sandbox, ["a", "b"]))

    assert sorted(output.keys) == [("a", "m1"), ("b", "m1")]


def test_a_list_longer_than_asked_for_is_carried_whole(sandbox: Sandbox) -> None:
    rows = [row(f"m{n}") for n in range(ROWS_AT_MOST)]
    sandbox.answer = lambda seen: web.Response(
        text=json.dumps({"messages": rows[seen.offset or 0 :]})
    )

    output = run(config_for(sandbox, ["a"]))

    assert [key[1] for key in output.keys] == [f"m{n}" for n in range(ROWS_AT_MOST)]


@pytest.mark.parametrize("extra", [row("m"), [], {}, 0])
def test_a_list_of_many_more_rows_is_its_conversations_failure_in_one_line(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, extra: object
) -> None:
    sandbox.store.add("b", row("m1"))
    body = json.dumps({"messages": [extra] * (ROWS_AT_MOST + 1)})
    sandbox.answer = lambda seen: (
        web.Response(text=body) if seen.conversation_id == "a" else None
    )

    failed = failing_run(config_for(sandbox, ["a", "b"]), caplog)

    assert failed.output.keys == [("b", "m1")]
    told = [line for line in failed.log.splitlines() if "ERROR" in line]
    assert len(told) == 1
    assert "Conversation a: " in told[0]
    assert "an answer larger than any page can be" in told[0]
    assert sum(seen.conversation_id == "a" for seen in sandbox.requests) == 1


def test_an_answer_of_too_many_values_is_its_conversations_failure(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    body = json.dumps({"messages": [row("m1", many=[0] * VALUES_AT_MOST)]})
    sandbox.answer = lambda _: web.Response(text=body)

    failed = failing_run(config_for(sandbox, ["a"]), caplog)

    assert "Conversation a: " in failed.log
    assert "an answer larger than any page can be" in failed.log


def test_a_text_full_of_commas_is_one_value(sandbox: Sandbox) -> None:
    text = r",[{\"" * VALUES_AT_MOST
    serve(sandbox, a=[row("m1", message={"id": "m1", "text": text})])

    (record,) = strict(run(config_for(sandbox, ["a"])))

    assert record["message"]["text"] == text


def test_bad_rows_are_told_a_few_times_and_then_counted(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    serve_all = json.dumps({"messages": [[], *([{}] * 2000), row("m1")]})
    sandbox.answer = lambda seen: web.Response(
        text=serve_all if seen.offset == 0 else '{"messages": []}'
    )

    failed = failing_run(config_for(sandbox, ["a"]), caplog)

    assert failed.output.keys == [("a", "m1")]
    lines = [line for line in failed.log.splitlines() if "no usable message.id" in line]
    assert len(lines) == LINES_AT_MOST + 1
    assert "... and 1,981 more: rows that have no usable message.id" in lines[-1]
    assert "2001 row(s) could not be delivered" in str(failed.error)


def test_failing_conversations_are_told_a_few_times_and_then_counted(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.store.add("well", row("m1"))
    ids = ["well", *(f"ill{n}" for n in range(100))]
    sandbox.answer = lambda seen: (
        None if seen.conversation_id == "well" else web.Response(status=404)
    )

    failed = failing_run(config_for(sandbox, ids), caplog)

    lines = [line for line in failed.log.splitlines() if "Kommo answered 404" in line]
    assert len(lines) == LINES_AT_MOST + 1
    assert "... and 80 more: Conversation ...: Kommo answered 404" in lines[-1]
    assert "100 conversation(s) could not be read" in str(failed.error)


def test_bad_entries_of_a_list_are_told_a_few_times_and_then_counted(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    path = tmp_path / "list.txt"
    path.write_text("a/b\n" * 1000 + "well\n", encoding="utf-8")
    sandbox.store.add("well", row("m1"))
    config = {**config_for(sandbox, ["well"]), "conversations_file": str(path)}

    failed = failing_run(config, caplog)

    lines = [line for line in failed.log.splitlines() if "was left out" in line]
    assert len(lines) == LINES_AT_MOST + 1
    assert "... and 980 more: Line ... of conversations_file was left out" in lines[-1]
    assert "1000 entry(ies)" in str(failed.error)


def test_not_a_number_is_carried_as_text(sandbox: Sandbox) -> None:
    sandbox.answer = lambda _: web.Response(
        text='{"messages": [{"timestamp": 1, "message": {"id": "m1", '
        '"file_size": NaN, "location": {"lon": Infinity}}}]}'
    )

    (record,) = strict(run(config_for(sandbox, ["a"])))

    assert record["extra"] == {
        "message.file_size": "NaN",
        "message.location.lon": "Infinity",
    }


@pytest.fixture(scope="module")
def any_answer() -> Iterator[Callable[[object], Sandbox]]:
    """A sandbox that answers with any JSON as its list of messages."""
    with Sandbox(ConversationStore()) as sandbox, pytest.MonkeyPatch.context() as patch:
        patch.setattr(telling, "LINES_AT_MOST", 1000)

        def answer_with(value: object) -> Sandbox:
            serve(sandbox, a=value)  # type: ignore[arg-type]
            return sandbox

        yield answer_with


TEXT = st.text(st.characters(codec=None), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(["id", "text", "timestamp", "msec_timestamp", "sender", "lon"])
ROWS = JSON | st.fixed_dictionaries(
    {},
    optional={
        "timestamp": JSON | st.integers(0, 2 * SENT),
        "msec_timestamp": JSON | st.integers(0, 2000 * SENT),
        "sender": JSON | st.dictionaries(NAMES, JSON),
        "receiver": JSON,
        "message": JSON
        | st.dictionaries(NAMES, JSON)
        | st.fixed_dictionaries({"id": TEXT}),
        "other": JSON,
    },
)


@given(rows=st.lists(ROWS, max_size=120))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_server_answers_every_row_is_carried_or_reported(
    any_answer: Callable[[object], Sandbox],
    caplog: pytest.LogCaptureFixture,
    rows: list[Any],
) -> None:
    caplog.clear()
    sandbox = any_answer(rows)

    with captured_output() as collected, suppress(TapError):
        TapKommoChats(config=config_for(sandbox, ["a"])).sync_all()

    records = strict(collected[0])
    reported = {int(place) for place in re.findall(r"position (\d+) has", caplog.text)}
    carried = {record["message_id"] for record in records}
    for place, value in enumerate(rows):
        if place not in reported:
            name = value["message"]["id"]
            assert (name if isinstance(name, str) else str(name)) in carried or (
                "surrogate" in caplog.text
            )


@pytest.mark.parametrize("number", [*ABSURD, "1.5", "-1", "true"], ids=lambda n: n[:12])
def test_an_absurd_number_in_the_crm_is_none(sandbox: Sandbox, number: str) -> None:
    sandbox.store.add("a", row("m1"))
    talk = (
        f'{{"talk_id": 7, "chat_id": "a", "origin": "{OWN_ORIGIN}", '
        f'"created_at": {number}, "updated_at": {number}, "contact_id": {number}, '
        f'"rate": {number}, "other": [{number}]}}'
    )
    bad_talk = f'{{"talk_id": {number}, "chat_id": "b", "origin": "{OWN_ORIGIN}"}}'
    event = (
        f'{{"id": "e", "type": "talk_created", "entity_type": "talk", "entity_id": 7, '
        f'"created_at": {number}}}'
    )
    bad_event = event.replace("7", number)

    def answer(seen: SeenRequest) -> web.Response | None:
        if "/talks" in seen.target:
            return web.Response(
                text=f'{{"_embedded": {{"talks": [{bad_talk}, {talk}]}}}}'
            )
        if "/events" in seen.target:
            return web.Response(
                text=f'{{"_embedded": {{"events": [{bad_event}, {event}]}}}}'
            )
        return None

    sandbox.answer = answer
    config = {
        **config_for(sandbox, ["a"]),
        "crm_url": sandbox.url,
        "crm_access_token": sandbox.crm_token,
        "crm_origins": [OWN_ORIGIN],
    }

    output = run(config)

    for line in output.lines:
        msgspec.json.decode(line.encode())
    (record,) = output.records_of("talks")
    assert record["talk_id"] == 7
    assert number not in ABSURD or record["extra"]["other"] == [number]
    assert output.keys == [("a", "m1")]
