"""What becomes of a conversation that Kommo says has no message."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from tap_kommo_chats.times import format_instant
from tests.support.account import DAY, HOUR, Account, names
from tests.support.refusals import Runs, answers, outcomes
from tests.support.tap import wait_for_nothing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sandbox.exchange import SeenRequest
    from sandbox.server import Sandbox


@pytest.fixture
def account(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Account:
    wait_for_nothing(monkeypatch)
    account = Account(sandbox)
    account.talk(1, "well")
    account.message("well", 2 * DAY)
    return account


def empty_list(_seen: SeenRequest) -> web.Response:
    return web.json_response({"messages": []})


def no_content(_seen: SeenRequest) -> web.Response:
    return web.Response(status=204)


NOTHING = pytest.mark.parametrize("nothing", [no_content, empty_list])


@NOTHING
def test_nothing_after_rows_is_a_failure_that_is_asked_for_again(
    account: Account,
    caplog: pytest.LogCaptureFixture,
    nothing: Callable[[SeenRequest], web.Response],
) -> None:
    account.talk(2, "odd")
    sent = [account.message("odd") for _ in range(260)]
    account.sandbox.answer = lambda seen: (
        nothing(seen)
        if seen.conversation_id == "odd" and "odd" in account.asked()
        else None
    )
    runs = Runs(account)

    output = runs.run()

    assert runs.is_incomplete
    assert outcomes(output) == {"well": "read", "odd": "failed"}
    assert "Conversation odd: the server gave 50 message(s), and then" in caplog.text
    account.sandbox.answer = None
    assert set(names(runs.run(DAY))) >= set(sent)
    assert runs.error is None


def test_rows_that_came_once_are_not_forgotten(account: Account) -> None:
    account.talk(2, "odd")
    sent = [account.message("odd") for _ in range(60)]
    account.sandbox.answer = lambda seen: (
        web.Response(status=404)
        if seen.conversation_id == "odd" and seen.offset
        else None
    )
    runs = Runs(account)
    runs.run()
    assert runs.is_incomplete
    account.sandbox.answer = answers({"odd": 204})

    runs.run(DAY)
    assert runs.is_incomplete
    account.sandbox.answer = None

    assert names(runs.run(DAY)) == sorted(sent)


@NOTHING
@pytest.mark.parametrize("was_read", [False, True])
def test_nothing_against_a_message_event_is_a_failure_that_is_asked_for_again(
    account: Account,
    caplog: pytest.LogCaptureFixture,
    nothing: Callable[[SeenRequest], web.Response],
    *,
    was_read: bool,
) -> None:
    account.talk(2, "odd")
    runs = Runs(account)
    if was_read:
        account.message("odd", 3 * DAY)
        runs.run()
    new = account.message("odd")
    account.event(talk_id=2)
    account.sandbox.answer = lambda seen: (
        nothing(seen) if seen.conversation_id == "odd" else None
    )

    output = runs.run(HOUR)
    assert runs.is_incomplete
    assert outcomes(output)["odd"] == "failed"
    assert "Conversation odd: Kommo answered that it has no messages" in caplog.text
    # In the second one no event names it.
    runs.run(3 * DAY)
    assert runs.is_incomplete
    account.sandbox.answer = None
    output = runs.run(3 * DAY)

    assert names(output) == [new]
    assert runs.error is None


def test_one_nothing_that_is_right_the_next_moment_is_no_failure(
    account: Account,
) -> None:
    runs = Runs(account)
    runs.run()
    account.now += 3 * DAY
    account.talk(2, "late")
    new = account.message("late")
    account.event(talk_id=2)
    account.sandbox.answer = lambda seen: (
        None if "late" in account.asked() else answers({"late": 204})(seen)
    )

    assert names(runs.run()) == [new]
    assert runs.error is None


def test_nothing_against_an_event_for_a_week_is_told_once_as_gone(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    account.talk(2, "foreign", origin="waba")
    account.event(talk_id=2, origin="waba")
    account.sandbox.answer = answers({"foreign": 204})
    origins = account.config()["crm_origins"]
    runs = Runs(account)
    runs.run(crm_origins=[*origins, "waba"])
    for _ in range(6):
        runs.run(DAY)
        assert runs.is_incomplete
    caplog.clear()

    output = runs.run(DAY)

    assert runs.error is None
    assert outcomes(output)["foreign"] == "gone"
    assert caplog.text.count("foreign") == 1
    runs.run(DAY)
    assert runs.asked == []


def test_an_event_that_names_no_talk_says_of_no_conversation_that_it_has_messages(
    account: Account,
) -> None:
    account.talk(2, "a", contact_id=77)
    account.talk(3, "b", contact_id=77)
    account.message("a")
    account.event(contact_id=77)

    output = Runs(account).run()

    assert outcomes(output) == {"well": "read", "a": "read", "b": "empty"}


def test_a_talk_that_begins_is_no_message(account: Account) -> None:
    account.talk(2, "new")
    account.event(type="talk_created", talk_id=2)
    runs = Runs(account)

    assert outcomes(runs.run())["new"] == "empty"
    assert runs.error is None


def test_one_that_was_empty_is_read_when_an_event_names_a_message(
    account: Account,
) -> None:
    """Though it happened long before the last run, so that nothing is new."""
    account.talk(2, "odd")
    sent = account.message("odd")
    account.event(talk_id=2)
    account.now += 5 * DAY
    listed = Runs(account, conversation_ids=["well", "odd"])
    for name in ("crm_url", "crm_access_token", "crm_origins"):
        listed.more[name] = None
    account.sandbox.answer = answers({"odd": 204})
    assert outcomes(listed.run())["odd"] == "empty"
    account.sandbox.answer = None

    found = Runs(account)
    found.state = listed.state

    assert names(found.run(5 * DAY)) == [sent]


def test_a_conversation_that_is_found_empty_before_its_event_is_asked_for_again(
    account: Account,
) -> None:
    account.talk(2, "odd")
    sent = account.message("odd")
    account.event(talk_id=2)
    account.sandbox.answer = lambda seen: (
        None if "odd" in account.asked() else answers({"odd": 204})(seen)
    )
    runs = Runs(account, conversation_ids=["odd"], max_concurrency=1)

    output = runs.run()

    assert sent in names(output)
    assert outcomes(output)["odd"] == "read"
    assert runs.error is None


# Against a bookmark


@NOTHING
def test_a_lone_nothing_against_a_bookmark_is_asked_again_and_in_a_later_run(
    account: Account,
    caplog: pytest.LogCaptureFixture,
    nothing: Callable[[SeenRequest], web.Response],
) -> None:
    runs = Runs(account)
    runs.run()
    newest = runs.state["bookmarks"]["chat_history"]["conversations"]["well"]
    account.now += 3 * DAY
    account.event(type="talk_created", talk_id=1)
    account.sandbox.answer = lambda seen: (
        nothing(seen) if seen.conversation_id == "well" else None
    )

    first = runs.run()
    assert runs.error is None
    assert runs.asked == ["well", "well"]
    assert outcomes(first) == {"well": "empty"}
    caplog.clear()
    second = runs.run(3 * DAY)
    assert runs.error is None
    assert runs.asked == ["well"]
    (row,) = second.records_of("conversations")
    assert row["outcome"] == "gone"
    assert row["newest_message_at"] is not None
    (line,) = [r.getMessage() for r in caplog.records if "well" in r.getMessage()]
    assert "it is taken for gone" in line
    bookmarks = runs.state["bookmarks"]["chat_history"]
    assert bookmarks["conversations"] == {"well": newest}
    caplog.clear()

    runs.run(3 * DAY)

    assert runs.asked == []
    assert runs.error is None
    assert "Conversation well" not in caplog.text


def test_a_bookmark_that_is_right_again_the_next_moment_is_read(
    account: Account,
) -> None:
    runs = Runs(account)
    runs.run()
    account.now += 3 * DAY
    new = account.message("well")
    account.event(type="talk_created", talk_id=1)
    account.sandbox.answer = lambda seen: (
        None if "well" in account.asked() else answers({"well": 204})(seen)
    )

    assert names(runs.run()) == [new]
    assert runs.trouble("well") is None


def test_what_is_right_again_in_the_later_run_is_read(account: Account) -> None:
    runs = Runs(account)
    runs.run()
    account.now += 3 * DAY
    new = account.message("well")
    account.event(type="talk_created", talk_id=1)
    account.sandbox.answer = answers({"well": 204})
    runs.run()
    account.sandbox.answer = None

    assert names(runs.run(3 * DAY)) == [new]
    assert runs.trouble("well") is None


def test_what_is_gone_and_listed_is_asked_for_once_a_run_and_comes_back(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    # The CRM does not know it, and so would not tell.
    account.message("list", 2 * DAY)
    runs = Runs(account, conversation_ids=["list"])
    runs.run()
    account.sandbox.answer = answers({"list": 204})
    runs.run(3 * DAY)
    assert outcomes(runs.run(3 * DAY)) == {"list": "gone"}
    caplog.clear()

    output = runs.run(3 * DAY)

    assert runs.asked == ["list"]
    assert outcomes(output) == {}
    assert "Conversation list" not in caplog.text
    new = account.message("list")
    account.sandbox.answer = None
    output = runs.run(DAY)
    assert names(output) == [new]
    assert outcomes(output) == {"list": "read"}


def test_one_that_was_gone_and_is_as_it_was_is_told(account: Account) -> None:
    account.message("list", 2 * DAY)
    runs = Runs(account, conversation_ids=["list"])
    runs.run()
    account.sandbox.answer = answers({"list": 204})
    runs.run(3 * DAY)
    runs.run(3 * DAY)
    account.sandbox.answer = None

    output = runs.run(DAY)

    assert names(output) == []
    assert outcomes(output) == {"list": "read"}


def test_what_is_gone_is_asked_for_once_for_each_time_that_a_list_tells(
    account: Account, tmp_path: Path
) -> None:
    runs = Runs(account)

    def list_says(at_ms: int) -> None:
        line = {"conversation_id": "list", "updated_at": format_instant(at_ms)}
        path = tmp_path / "list.jsonl"
        path.write_text(json.dumps(line))
        runs.more = {"conversations_file": str(path)}

    list_says(account.now)
    account.message("list")
    runs.run()
    account.sandbox.answer = answers({"list": 204})
    account.now += 3 * DAY
    list_says(account.now)
    runs.run()
    runs.run(3 * DAY)
    assert runs.trouble("list") == "gone"
    runs.run(3 * DAY)
    assert runs.asked == []

    list_says(account.now)
    runs.run(DAY)
    assert runs.asked == ["list"]
    runs.run(DAY)

    assert runs.asked == []
    assert runs.error is None


def test_one_of_which_nobody_says_that_it_has_messages_is_empty(
    account: Account,
) -> None:
    account.talk(2, "none")
    runs = Runs(account)

    output = runs.run()

    assert outcomes(output)["none"] == "empty"
    assert runs.asked.count("none") == 1
    assert runs.error is None
