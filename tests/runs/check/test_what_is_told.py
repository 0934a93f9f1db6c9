"""What a check tells beside its verdicts, and what it costs."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from sandbox import ACCOUNT_ID, CRM_ROOT, OWN_ORIGIN, Faults, Terms, long_lived_token
from tap_kommo_chats.check.render import rendered
from tap_kommo_chats.check.report import Level
from tests.support.account import WABA
from tests.support.check import FAILING, CheckedAccount, line_of, lines_of, seen

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox, SeenRequest


def ending_in(days: float) -> str:
    return long_lived_token(expires_at=int(time.time() + days * 86_400))


@pytest.mark.parametrize(
    ("days", "level"),
    [(400, Level.OK), (13.5, Level.WARNING), (-1, Level.FAILED)],
)
def test_the_end_of_a_token_is_told_without_a_request(
    account: CheckedAccount, days: float, level: Level
) -> None:
    account.crm.token = ending_in(days)

    report = account.check()

    assert line_of(report, "crm_access_token").level is level
    assert report.is_fit is account.is_read() is (days > 0)


def test_a_run_warns_of_a_token_that_ends_soon(
    account: CheckedAccount, caplog: pytest.LogCaptureFixture
) -> None:
    account.crm.token = ending_in(13.5)

    assert account.is_read()

    lines = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    (line,) = [line for line in lines if line.startswith("crm_access_token ends on")]
    assert "in 13 day(s)" in line
    assert account.crm.token not in caplog.text


def test_a_run_does_not_warn_of_a_token_that_lives_on(
    account: CheckedAccount, caplog: pytest.LogCaptureFixture
) -> None:
    assert account.is_read()

    assert "crm_access_token" not in caplog.text


@pytest.mark.parametrize("is_strict", [False, True])
def test_a_check_makes_a_dozen_requests_at_most(
    account: CheckedAccount, *, is_strict: bool
) -> None:
    # Whatever is refused first and asked for in another way then.
    if is_strict:
        account.crm.max_limit, account.crm.strict_limit = 100, True
        account.crm.terms = Terms(lead_filters="refused")
        account.sandbox.answer = lambda seen: (
            web.json_response({"title": "no"}, status=400)
            if "talk_c" in seen.target
            else None
        )

    report = account.check()

    assert report.is_fit
    assert report.requests == len(account.sandbox.requests) == 12


def test_an_answer_that_may_pass_is_asked_for_once(account: CheckedAccount) -> None:
    account.sandbox.faults = Faults(
        server_error=1.0, only=frozenset((f"{CRM_ROOT}/leads/pipelines",))
    )

    report = account.check()

    assert len(account.crm_requests(f"{CRM_ROOT}/leads/pipelines")) == 1
    assert lines_of(report, *FAILING) == {
        f"{CRM_ROOT}/leads/pipelines": (
            "Kommo answered 502; Kommo is in trouble: run again later"
        )
    }


def test_a_connection_that_breaks_off_is_tried_once(account: CheckedAccount) -> None:
    account.sandbox.faults = Faults(reset_before=1.0, only=frozenset((CRM_ROOT,)))

    report = account.check()

    assert len(account.crm_requests()) == 1
    assert "broke the connection off" in line_of(report, f"{CRM_ROOT}/account").text


def test_a_conversation_of_the_lists_is_asked_for_where_there_is_no_crm(
    account: CheckedAccount, tmp_path: Path
) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text(f"{account.CHAT}\nother\n", encoding="utf-8")
    config = {
        "channel_secret": account.sandbox.secret,
        "scope_id": account.sandbox.scope_id,
        "api_url": account.sandbox.url,
        "conversations_file": str(listed),
    }

    report = account.check(config)

    assert account.asked() == [account.CHAT, account.CHAT]
    assert line_of(report, "conversations_file").text == "2 conversation(s) were read"
    assert report.is_fit
    assert account.is_read(config)


@pytest.mark.parametrize("content", [None, "a/b\n"])
def test_a_list_that_cannot_be_used_is_told(
    account: CheckedAccount, tmp_path: Path, content: str | None
) -> None:
    listed = tmp_path / "list.txt"
    if content is not None:
        listed.write_text(content, encoding="utf-8")
    config = account.config(conversations_file=str(listed))

    report = account.check(config)

    assert list(lines_of(report, *FAILING)) == ["conversations_file"]
    assert not account.is_read(config)


@pytest.mark.parametrize(
    ("content", "level"),
    [
        (None, Level.OK),
        ('{"searched": {}, "account_id": NUMBER}\n', Level.OK),
        ('{"searched": {}, "account_id": 1}\n', Level.FAILED),
        ("no JSON\n", Level.FAILED),
    ],
)
def test_a_file_of_found_talks_is_told_to_be_one(
    account: CheckedAccount, tmp_path: Path, content: str | None, level: Level
) -> None:
    file = tmp_path / "found.jsonl"
    if content is not None:
        file.write_text(content.replace("NUMBER", str(ACCOUNT_ID)), "utf-8")

    report = account.check(account.config(found_talks_file=str(file)))

    assert line_of(report, "found_talks_file").level is level
    assert file.exists() is (content is not None)


def test_no_chat_of_a_native_channel_is_tried_as_one_of_the_own(
    account: CheckedAccount, tmp_path: Path
) -> None:
    file = tmp_path / "found.jsonl"
    rows = [("native", 2, WABA), (account.CHAT, 1, "amo.ext.9")]
    lines = (
        json.dumps({"conversation_id": chat, "talk_id": number, "origin": origin})
        for chat, number, origin in rows
    )
    file.write_text("\n".join(lines), "utf-8")

    account.check(
        account.config(
            crm_origins=["amo.ext.9"], search_crm=False, conversations_file=str(file)
        )
    )

    assert set(account.asked()) == {account.CHAT}


def test_a_query_that_fails_is_told(account: CheckedAccount) -> None:
    config = account.config(
        conversations_sql_url="sqlite://", conversations_sql_query="SELECT 1 AS x"
    )

    report = account.check(config)

    failed = lines_of(report, *FAILING)
    assert "gives no column" in failed["conversations_sql_query"]
    assert not account.is_read(config)


@pytest.mark.parametrize("at_end", ["204", "200 with an empty list"])
def test_what_an_offset_past_the_end_answers_is_seen(
    account: CheckedAccount, at_end: str
) -> None:
    account.sandbox.chats.empty_list_at_end = at_end != "204"

    report = account.check()

    assert line_of(report, "offset past the end").text == at_end
    assert seen(report, "Offset past the end answers 204") == (at_end == "204", at_end)


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_the_order_of_a_talks_messages_is_seen(
    account: CheckedAccount, order: str
) -> None:
    account.crm.terms = Terms(message_order=order)  # type: ignore[arg-type]

    report = account.check()

    assert seen(report, "They come newest first")[0] is (order == "desc")
    assert seen(report, "They come oldest first")[0] is (order == "asc")


@pytest.mark.parametrize("heeded", [False, True])
def test_whether_the_filters_are_heeded_is_seen(
    account: CheckedAccount, *, heeded: bool
) -> None:
    account.crm.terms = Terms(
        message_filter=heeded, lead_filters="heeded" if heeded else "ignored"
    )

    report = account.check()

    assert seen(report, "Messages can be filtered by time")[0] is heeded
    assert seen(report, "Leads can be filtered by time")[0] is heeded
    assert seen(report, "Talks can be filtered by number")[0] is True
    assert seen(report, "The filter's own second belongs to it")[0] is True


@pytest.mark.parametrize("milliseconds", [False, True])
def test_what_sec_created_at_counts_is_seen(
    account: CheckedAccount, *, milliseconds: bool
) -> None:
    account.crm.terms = Terms(message_milliseconds=milliseconds)

    seconds = seen(account.check(), "sec_created_at is in milliseconds")

    assert seconds == (milliseconds, "")


def test_an_answer_with_the_whole_chat_is_seen(account: CheckedAccount) -> None:
    store, point = account.crm.store, "A talk gives messages of before it began"
    apart = seen(account.check(), point)
    store.talks.add(
        3,
        "native",
        origin="waba",
        created_at=account.now // 1000 + 10**6,
        updated_at=account.now // 1000 + 10**7,
    )
    account.event(talk_id=3)
    account.crm.terms = Terms(whole_chat=True)

    assert apart == (False, "")
    assert seen(account.check(), point) == (True, "")


def test_a_list_of_talks_that_ends_at_a_full_page_is_seen(
    account: CheckedAccount,
) -> None:
    point = "The list of talks ends at a full page"
    few = seen(account.check(), point)
    for number in range(10, 400):
        account.talk(number, f"c{number}", origin=OWN_ORIGIN)
    many = seen(account.check(), point)
    account.crm.store.talks.listed_at_most = 250

    assert few == (None, "2 of 250")
    assert many == (False, "250 of 250")
    assert seen(account.check(), point) == (True, "250 of 250")


def test_fields_that_nobody_documents_are_named_and_their_values_are_not(
    account: CheckedAccount,
) -> None:
    odd: dict[str, Any] = {account.NAME: 1, "reply_to": {"text": account.TEXT}}
    account.say(2, message_type="Ana Example", **odd)

    report = account.check()

    assert seen(report, "They have fields that are not documented") == (
        True,
        "reply_to",
    )
    assert seen(report, "message_type is told") == (True, "text")


def test_one_id_of_a_message_in_both_apis_is_seen(account: CheckedAccount) -> None:
    point = "Both APIs have the same id of a message"
    unknown = seen(account.check(), point)
    account.crm.store.add_message(1, account.now // 1000, message_id="m1")
    same = seen(account.check(), point)

    assert unknown == (None, "")
    assert same == (True, "")


def test_the_body_of_a_refusal_is_told_by_its_fields(account: CheckedAccount) -> None:
    report = account.check(account.config(channel_secret="other one"))  # noqa: S106 (made up)

    assert seen(report, "The Chats API refuses with a body") == (
        True,
        "403: JSON with error_code, error_description, error_type",
    )


def test_the_time_to_wait_that_comes_with_429_is_seen(account: CheckedAccount) -> None:
    def too_many(_: SeenRequest) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "1"})

    account.sandbox.answer = too_many

    report = account.check()

    assert seen(report, "The CRM says with 429 how long to wait") == (True, "")
    assert report.requests == 2


def everything_said(account: CheckedAccount, caplog: pytest.LogCaptureFixture) -> str:
    report = account.check()
    texts = [rendered(report, how) for how in (None, "json", "markdown")]
    return "\n".join([*texts, caplog.text])


@pytest.mark.parametrize(
    "terms", [Terms(), Terms(addon=False), Terms(administrator=False)]
)
def test_no_secret_no_text_and_no_name_is_told(
    account: CheckedAccount, caplog: pytest.LogCaptureFixture, terms: Terms
) -> None:
    account.crm.terms = terms
    store = account.crm.store
    # Whatever a server puts where it can be told of.
    account.talk(7, "odd", origin=f"origin {account.sandbox.secret}")
    store.account = {**store.account, "name": account.NAME, "subdomain": "ana-example"}
    caplog.set_level("DEBUG", "tap-kommo-chats")

    said = everything_said(account, caplog)

    for hidden in (
        *(account.sandbox.secret, account.sandbox.crm_token),
        *(account.TEXT, account.NAME, "ana-example"),
    ):
        assert hidden not in said


def test_what_is_pasted_into_an_issue_has_nothing_of_the_account(
    account: CheckedAccount,
) -> None:
    account.crm.terms = Terms(forbidden_talks=frozenset((2,)))

    pasted = rendered(account.check(), "markdown")

    for hidden in (
        *(account.sandbox.scope_id.partition("_")),
        *(account.CHAT, OWN_ORIGIN, "talks/2", "127.0.0.1"),
        str(account.crm.store.account["id"]),
    ):
        assert hidden == "_" or hidden not in pasted
    assert pasted.startswith("| tap-kommo-chats ")


def test_a_report_for_machines_says_the_same(account: CheckedAccount) -> None:
    report = account.check()

    told = json.loads(rendered(report, "json"))

    assert told["ok"] is True
    assert told["requests"] == report.requests
    assert [line["subject"] for line in told["lines"]] == [
        line.subject for line in report.lines
    ]
    assert {line["level"] for line in told["lines"]} == {"ok"}
    assert len(told["sightings"]) == len(report.sightings)


def test_an_account_with_nothing_in_it_is_fit(sandbox: Sandbox) -> None:
    account = CheckedAccount(sandbox)

    report = account.check()

    assert report.is_fit
    assert account.is_read()
    assert line_of(report, "origins").text.startswith("none yet")
