"""A check is fit when a run is, whatever is refused, and its line says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from sandbox import CRM_ROOT, Refusal, Terms, long_lived_token
from tap_kommo_chats.check.report import Level
from tests.support.check import FAILING, line_of, lines_of
from tests.support.tap import wait_for_nothing

if TYPE_CHECKING:
    from sandbox import SeenRequest
    from tests.support.check import CheckedAccount

MESSAGES = f"{CRM_ROOT}/talks/{{id}}/messages"
ENDPOINTS = ("account", "events", "talks", "users", "leads", "leads/pipelines")
PATHS = (*(f"{CRM_ROOT}/{name}" for name in ENDPOINTS), MESSAGES)
REFUSALS = (
    Refusal(400, "no"),
    Refusal(401, "no"),
    Refusal(402, "no"),
    Refusal(403, "no"),
    Refusal(403, "Invalid scope"),
    Refusal(404, "no"),
    Refusal(503, "no"),
)
STREAM_OF = {
    f"{CRM_ROOT}/users": "users",
    f"{CRM_ROOT}/leads": "leads",
    f"{CRM_ROOT}/leads/pipelines": "pipelines",
    MESSAGES: "talk_messages",
}
ALL = (
    *("accounts", "chat_events", "chat_history", "conversations", "leads"),
    *("pipelines", "runs", "talk_messages", "talks", "users"),
)


def test_what_works_is_fit(account: CheckedAccount) -> None:
    report = account.check()

    assert {line.level for line in report.lines} == {Level.OK}
    assert report.is_fit
    assert account.is_read()


@pytest.mark.parametrize(
    "refusal", REFUSALS, ids=lambda refusal: f"{refusal.status} {refusal.description}"
)
@pytest.mark.parametrize("path", PATHS)
def test_a_check_is_fit_when_a_run_is_whatever_is_refused(
    account: CheckedAccount,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    refusal: Refusal,
) -> None:
    wait_for_nothing(monkeypatch)
    account.crm.terms = Terms(refused={path: refusal})

    report = account.check()

    assert report.is_fit is account.is_read()
    assert report.requests <= 12
    assert line_of(report, path).level is not Level.OK
    told = " ".join(lines_of(report, Level.FAILED, Level.WARNING).values())
    assert str(refusal.status) in told or "scope" in told


@pytest.mark.parametrize("path", STREAM_OF)
def test_a_refusal_of_what_no_selected_stream_needs_is_no_line(
    account: CheckedAccount, path: str
) -> None:
    account.crm.terms = Terms(refused={path: Refusal(402, "no")})
    # What is refused for a path is refused for those below it.
    refused = [STREAM_OF[each] for each in STREAM_OF if each.startswith(path)]
    streams = {*ALL} - {*refused}

    report = account.check(streams=streams)

    assert report.is_fit
    assert account.is_read(streams=streams)
    assert path not in {line.subject for line in report.lines}
    assert report.streams == tuple(sorted(streams))


@pytest.mark.parametrize("status", [400, 403, 404])
def test_an_account_that_is_not_told_stops_only_what_needs_it(
    account: CheckedAccount, status: int
) -> None:
    path = f"{CRM_ROOT}/account"
    account.crm.terms = Terms(refused={path: Refusal(status, "no")})
    streams = ("chat_history", "talks", "leads")

    report = account.check(streams=streams)

    assert line_of(report, path).level is Level.WARNING
    assert report.is_fit
    assert account.is_read(streams=streams)


def test_a_plan_without_the_add_on_is_told(account: CheckedAccount) -> None:
    account.crm.terms = Terms(addon=False)

    failed = lines_of(account.check(), *FAILING)

    assert list(failed) == [MESSAGES]
    assert "lacks the Chats API add-on: add it, or leave" in failed[MESSAGES]
    assert not account.is_read()


def test_a_plan_without_the_add_on_is_fit_for_who_reads_no_native_chats(
    account: CheckedAccount,
) -> None:
    account.crm.terms = Terms(addon=False)
    config = account.config(native_channels=False)

    assert account.check(config).is_fit
    assert account.is_read(config)


def test_a_token_without_the_scope_is_told_by_the_token_and_by_the_endpoint(
    account: CheckedAccount,
) -> None:
    account.crm.token = long_lived_token(scopes=["crm"])

    failed = lines_of(account.check(), *FAILING)

    assert sorted(failed) == [MESSAGES, "scopes"]
    assert "make a new token" in failed["scopes"]
    assert "External chat history" in failed[MESSAGES]
    assert not account.is_read()


def test_a_token_that_names_no_scope_and_opens_the_messages_is_fit(
    account: CheckedAccount,
) -> None:
    account.crm.token = "no.JWT"  # noqa: S105 (made up)

    report = account.check()

    assert line_of(report, "crm_access_token").level is Level.WARNING
    assert report.is_fit
    assert account.is_read()


def test_a_scope_that_is_missing_in_the_token_counts_less_than_what_came(
    account: CheckedAccount,
) -> None:
    config = account.config(crm_access_token=long_lived_token(scopes=["crm"]))
    account.sandbox.answer = lambda seen: (
        web.json_response({"id": 1, "_embedded": {}})
        if seen.target.startswith(CRM_ROOT)
        else None
    )

    line = line_of(account.check(config), "scopes")

    assert line.level is Level.WARNING
    assert line.text.startswith("crm; ")


def test_a_user_who_is_no_administrator_is_a_warning(account: CheckedAccount) -> None:
    account.crm.terms = Terms(administrator=False)

    report = account.check()

    line = line_of(report, f"{CRM_ROOT}/users")
    assert line.level is Level.WARNING
    assert "make the token as an administrator" in line.text
    assert report.is_fit
    assert account.is_read()


@pytest.mark.parametrize("way", ["ignored", "refused"])
def test_leads_without_filters_are_a_warning(account: CheckedAccount, way: str) -> None:
    account.crm.terms = Terms(lead_filters=way)  # type: ignore[arg-type]

    report = account.check()

    assert line_of(report, f"{CRM_ROOT}/leads").level is Level.WARNING
    assert report.is_fit
    assert account.is_read()


def test_a_page_size_that_is_not_taken_is_no_fault(account: CheckedAccount) -> None:
    account.crm.max_limit, account.crm.strict_limit = 100, True

    assert account.check().is_fit
    assert account.is_read()


def test_events_of_talks_that_are_not_taken_are_a_warning(
    account: CheckedAccount,
) -> None:
    account.sandbox.answer = lambda seen: (
        web.json_response({"title": "no"}, status=400)
        if "talk_c" in seen.target
        else None
    )

    report = account.check()

    assert line_of(report, f"{CRM_ROOT}/events").level is Level.WARNING
    assert report.is_fit
    assert account.is_read()


def test_a_token_that_is_refused_is_asked_with_once(account: CheckedAccount) -> None:
    config = account.config(crm_access_token="other")  # noqa: S106 (made up)

    report = account.check(config)

    assert len(account.crm_requests()) == 1
    assert "make a new long-lived token" in line_of(report, f"{CRM_ROOT}/account").text
    # The other API has nothing to do with it.
    assert line_of(report, "channel_secret").level is Level.OK
    assert not report.is_fit


@pytest.mark.parametrize(
    ("status", "told"), [(403, "address is blocked"), (429, "429"), (302, "redirects")]
)
def test_nothing_more_is_asked_of_a_host_that_would_answer_all_alike(
    account: CheckedAccount, status: int, told: str
) -> None:
    account.sandbox.answer = lambda seen: (
        web.Response(status=status, text="<html>", content_type="text/html")
        if "/events" in seen.target
        else None
    )

    report = account.check()

    assert [target.partition("?")[0] for target in account.crm_requests()] == [
        f"{CRM_ROOT}/account",
        f"{CRM_ROOT}/events",
    ]
    assert told in line_of(report, f"{CRM_ROOT}/events").text
    assert line_of(report, f"{CRM_ROOT}/users").level is Level.NOT_ASKED
    assert not report.is_fit


def test_a_crm_that_nobody_answers_for_is_told_at_once(account: CheckedAccount) -> None:
    report = account.check(account.config(crm_url="http://127.0.0.1:9"))

    failed = line_of(report, f"{CRM_ROOT}/account")
    assert "refuses connections: check crm_url" in failed.text
    assert not account.crm_requests()


def test_a_wrong_secret_is_told(account: CheckedAccount) -> None:
    config = account.config(channel_secret="another one")  # noqa: S106 (made up)

    report = account.check(config)

    assert list(lines_of(report, *FAILING)) == ["channel_secret"]
    assert "check that channel_secret" in line_of(report, "channel_secret").text
    assert not account.is_read(config)


def test_a_secret_counts_for_nothing_where_no_message_of_the_channel_is_read(
    account: CheckedAccount,
) -> None:
    config = account.config(channel_secret="another one")  # noqa: S106 (made up)
    streams = {*ALL} - {"chat_history"}

    assert account.check(config, streams).is_fit
    assert account.is_read(config, streams)
    assert account.asked() == []


def test_a_conversation_that_alone_is_refused_is_told_apart_from_a_wrong_secret(
    account: CheckedAccount,
) -> None:
    account.sandbox.answer = lambda seen: (
        web.json_response({"error_type": "no"}, status=403)
        if seen.conversation_id == account.CHAT
        else None
    )

    report = account.check()

    assert list(lines_of(report, *FAILING)) == ["conversation"]
    assert account.CHAT in line_of(report, "conversation").text
    assert line_of(report, "channel_secret").level is Level.OK
    assert not account.is_read()


def test_a_channel_that_says_nothing_of_what_events_tell_is_told(
    account: CheckedAccount,
) -> None:
    account.sandbox.answer = lambda seen: (
        web.Response(status=204) if seen.conversation_id else None
    )

    report = account.check()

    assert list(lines_of(report, *FAILING)) == ["conversation"]
    assert not account.is_read()


def test_a_native_talk_that_says_nothing_of_what_events_tell_is_told(
    account: CheckedAccount,
) -> None:
    account.sandbox.answer = lambda seen: (
        web.Response(status=204) if "/messages" in seen.target else None
    )

    report = account.check()

    assert list(lines_of(report, *FAILING)) == [MESSAGES]
    assert not account.is_read()


def test_a_conversation_that_is_ignored_is_not_asked_for(
    account: CheckedAccount,
) -> None:
    account.talk(3, "other")
    account.sandbox.answer = lambda seen: (
        web.json_response({"error_type": "no"}, status=403)
        if seen.conversation_id == account.CHAT
        else None
    )
    config = account.config(ignored_conversation_ids=[account.CHAT])

    assert account.check(config).is_fit
    assert account.CHAT not in account.asked()
    assert account.is_read(config)


def test_a_scope_that_does_not_exist_is_told(account: CheckedAccount) -> None:
    config = account.config()
    account.sandbox.chats.scope_id = "other"

    report = account.check(config)

    assert list(lines_of(report, *FAILING)) == ["channel_secret"]
    assert "check api_url, scope_id" in line_of(report, "channel_secret").text
    assert not account.is_read(config)


def test_a_scope_of_another_account_is_told(account: CheckedAccount) -> None:
    other = "2f9c4b1e-7d35-4a86-9c0e-b85d1f6a3e27"
    account.crm.store.account["amojo_id"] = other

    report = account.check()

    assert list(lines_of(report, *FAILING)) == ["scope_id"]
    assert "take both from one account" in line_of(report, "scope_id").text
    assert not account.is_read()


def test_a_channel_alone_is_put_together_with_its_account(
    account: CheckedAccount,
) -> None:
    channel = account.sandbox.scope_id.partition("_")[0]
    config = account.config(scope_id=None, channel_id=channel)

    assert account.check(config).is_fit
    assert account.is_read(config)


def test_a_channel_alone_whose_account_tells_no_amojo_id_is_told(
    account: CheckedAccount,
) -> None:
    account.crm.store.account["amojo_id"] = None
    channel = account.sandbox.scope_id.partition("_")[0]
    config = account.config(scope_id=None, channel_id=channel)

    report = account.check(config)

    assert "set scope_id in place" in line_of(report, "channel_id").text
    assert line_of(report, "channel_secret").level is Level.NOT_ASKED
    assert account.asked() == []
    assert not account.is_read(config)


@pytest.mark.parametrize(
    ("minutes", "level"), [(0, Level.OK), (5, Level.WARNING), (-20, Level.FAILED)]
)
def test_a_clock_that_is_off_is_told(
    account: CheckedAccount, minutes: int, level: Level
) -> None:
    ahead = account.sandbox.clock
    account.sandbox.clock = lambda: ahead() - 60 * minutes

    report = account.check()

    line = line_of(report, "clock")
    assert line.level is level
    if minutes:
        way = "ahead of" if minutes > 0 else "behind"
        assert line.text.startswith(f"is {abs(minutes)} minutes {way} the server's")
    assert report.is_fit is account.is_read()


def test_a_clock_that_is_off_stops_nobody_who_signs_nothing(
    account: CheckedAccount,
) -> None:
    ahead = account.sandbox.clock
    account.sandbox.clock = lambda: ahead() - 3600
    config = {
        "crm_url": account.sandbox.url,
        "crm_access_token": account.sandbox.crm_token,
        "requests_per_second": 0,
    }

    report = account.check(config)

    assert line_of(report, "clock").level is Level.WARNING
    assert report.is_fit
    assert account.is_read(config)


def test_a_talk_that_the_user_may_not_read_is_told(account: CheckedAccount) -> None:
    account.crm.terms = Terms(forbidden_talks=frozenset((2,)))

    report = account.check()

    assert list(lines_of(report, *FAILING)) == [MESSAGES]
    assert "make the token as an administrator" in line_of(report, MESSAGES).text
    assert not account.is_read()


@pytest.mark.parametrize("terms", [Terms(), Terms(addon=False)])
def test_the_add_on_is_looked_for_where_there_is_no_talk_yet(
    account: CheckedAccount, terms: Terms
) -> None:
    account.crm.store.talks.remove(1)
    account.crm.store.talks.remove(2)
    account.crm.terms = terms

    line = line_of(account.check(), MESSAGES)

    assert line.level is (Level.OK if terms.addon else Level.FAILED)


@pytest.mark.parametrize(
    ("origins", "level"),
    [
        (["amo.ext.1"], Level.FAILED),
        (["amo.ext.12345678", "amo.ext.1"], Level.WARNING),
    ],
)
def test_origins_that_match_nothing_are_told_with_those_there_are(
    account: CheckedAccount, origins: list[str], level: Level
) -> None:
    config = account.config(crm_origins=origins, native_channels=False)

    report = account.check(config)

    assert line_of(report, "crm_origins").level is level
    told = line_of(report, "origins").text
    assert '"amo.ext.12345678" (1), "waba" (1) of the 2 talks' in told
    assert report.is_fit is account.is_read(config)


def test_who_does_not_know_the_origins_is_told_them(account: CheckedAccount) -> None:
    config = account.config(crm_origins=None, native_channels=None)

    report = account.check(config)

    assert list(lines_of(report, *FAILING)) == ["settings"]
    assert "crm_origins is missing" in line_of(report, "settings").text
    assert '"amo.ext.12345678" (1)' in line_of(report, "origins").text
    assert line_of(report, "channel_secret").level is Level.OK


def test_settings_that_cannot_be_used_are_lines_and_nothing_is_asked_with_them(
    account: CheckedAccount,
) -> None:
    config = {
        "crm_url": "http://example.com",
        "crm_access_token": account.sandbox.crm_token,
        "crm_origins": [7],
        "channel_secret": "hush-hush",
        "scope_id": "",
        "hash_fields": ["text"],
        "stream_maps": {"talks": {"no_such": "1"}},
    }

    report = account.check(config)

    told = [line.text for line in report.lines if line.subject == "settings"]
    for name in ("crm_url", "scope_id", "hash_secret", "crm_origins"):
        assert any(text.startswith(name) for text in told), name
    assert {line.level for line in report.lines} == {Level.FAILED}
    assert not report.is_fit
    assert report.requests == 0
    assert not account.sandbox.requests


def test_one_bad_setting_keeps_nothing_else_from_being_looked_at(
    account: CheckedAccount,
) -> None:
    report = account.check(account.config(max_concurrency=0, request_timeout="soon"))

    assert {*lines_of(report, *FAILING)} == {"settings"}
    assert line_of(report, "channel_secret").level is Level.OK
    assert line_of(report, f"{CRM_ROOT}/users").level is Level.OK


def test_a_stream_map_that_cannot_be_set_up_is_a_line(account: CheckedAccount) -> None:
    config = account.config(stream_maps={"talks": {"x": "1 +"}})

    report = account.check(config)

    assert line_of(report, "settings").level is Level.FAILED


def test_rows_that_cannot_be_delivered_are_told(account: CheckedAccount) -> None:
    account.sandbox.store.put_raw(account.CHAT, [{"message": {"id": "x"}}])

    report = account.check()

    assert "no usable timestamp" in line_of(report, "rows").text
    assert not report.is_fit
    assert not account.is_read()


def test_a_conversation_that_does_not_come_newest_first_is_a_warning(
    account: CheckedAccount,
) -> None:
    def answer(seen: SeenRequest) -> web.Response | None:
        if seen.conversation_id is None or seen.offset:
            return None
        rows = [
            {"timestamp": at, "sender": {"id": "s"}, "message": {"id": str(at)}}
            for at in (1_700_000_000, 1_700_000_060)
        ]
        return web.json_response({"messages": rows})

    account.sandbox.answer = answer

    report = account.check()

    line = line_of(report, "order of messages")
    assert line.level is Level.WARNING
    assert "read to its end in every run" in line.text
    assert report.is_fit
