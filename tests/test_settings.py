"""What the settings take, and what they say about the rest."""

from __future__ import annotations

from typing import Any

import pytest

from tap_kommo_chats.settings import SETTINGS_SCHEMA, Settings, SettingsError

CHANNEL = "f62a0162-46a7-430e-b06c-0ef798d76a21"
ACCOUNT = "52fd2a28-d2eb-4bd8-b862-a67934927b38"
GOOD: dict[str, Any] = {
    "channel_secret": "not-a-real-secret",
    "scope_id": f"{CHANNEL}_{ACCOUNT}",
    "conversation_ids": ["30477717-9f3c-4d3f-8101-60327e14dc48"],
}


def problem_with(**given: object) -> str:
    """The one problem of an otherwise good configuration."""
    with pytest.raises(SettingsError) as raised:
        Settings.parse({**GOOD, **given})
    (problem,) = raised.value.problems
    return problem


def test_three_settings_are_enough() -> None:
    settings = Settings.parse(GOOD)

    assert settings.api_url == "https://amojo.kommo.com"
    assert settings.start_ms is None
    assert settings.request_timeout == 30
    assert settings.notes == ()


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.parse({})

    named = [problem.split()[0] for problem in raised.value.problems]
    assert named == ["channel_secret", "scope_id", "conversation_ids"]


@pytest.mark.parametrize("secret", ["", "   ", None, 12345678, ["hush-hush"]])
def test_a_secret_that_cannot_sign_is_refused_without_being_shown(
    secret: object,
) -> None:
    problem = problem_with(channel_secret=secret)

    assert problem.startswith("channel_secret ")
    assert "write the secret of your chat channel" in problem
    assert "12345678" not in problem
    assert "hush" not in problem


def test_a_secret_copied_with_white_space_is_refused() -> None:
    problem = problem_with(channel_secret="hush-hush\n")  # noqa: S106 (made up)

    assert "white space" in problem
    assert "hush" not in problem


def test_a_scope_id_that_is_the_channel_id_alone_is_recognised() -> None:
    problem = problem_with(scope_id=CHANNEL)

    assert "probably the channel id alone" in problem
    assert "{channel_id}_{account's amojo_id}" in problem


@pytest.mark.parametrize("scope_id", ["a/b", "a?b", "a#b", "..", "a\nb", "", " ", None])
def test_a_scope_id_that_is_no_path_segment_is_refused(scope_id: object) -> None:
    problem = problem_with(scope_id=scope_id)

    assert problem.startswith("scope_id ")
    assert "write {channel_id}_{account's amojo_id}" in problem


def test_a_scope_id_of_another_shape_gets_a_warning() -> None:
    settings = Settings.parse({**GOOD, "scope_id": "abc_def"})

    assert settings.scope_id == "abc_def"
    assert [note.split()[0] for note in settings.notes] == ["scope_id"]


@pytest.mark.parametrize("ids", [None, [], "abc", {"a": 1}])
def test_no_list_of_conversations_is_refused(ids: object) -> None:
    problem = problem_with(conversation_ids=ids)

    assert problem.startswith("conversation_ids ")
    assert "write Kommo's chat UUIDs as a list of strings" in problem


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "a/b",
        "a?b",
        "a#b",
        "a\\b",
        "..",
        "a..b",
        ".",
        "a\x00b",
        "a\nb",
        "a\x7f",
        "\ud800",
        " a",
        7,
        None,
    ],
)
def test_an_id_that_would_change_the_path_is_refused_and_named(bad: object) -> None:
    problem = problem_with(conversation_ids=["fine", bad])

    assert problem.startswith("conversation_ids has what is no conversation id: ")
    assert "number 2" in problem


def test_many_bad_ids_are_counted_on_one_line() -> None:
    problem = problem_with(conversation_ids=["a/b"] * 1000)

    assert "and 995 more" in problem
    assert "\n" not in problem


def test_duplicate_ids_are_dropped_and_counted() -> None:
    ids = [ACCOUNT, CHANNEL, ACCOUNT, ACCOUNT]

    settings = Settings.parse({**GOOD, "conversation_ids": ids})

    assert settings.conversation_ids == (ACCOUNT, CHANNEL)
    assert ["2 id(s)" in note for note in settings.notes] == [True]


def test_an_id_that_is_no_uuid_is_taken_with_a_warning() -> None:
    settings = Settings.parse({**GOOD, "conversation_ids": ["vendas são paulo+1%"]})

    assert settings.conversation_ids == ("vendas são paulo+1%",)
    assert ["1 id(s) that are no UUID" in note for note in settings.notes] == [True]


@pytest.mark.parametrize(
    ("api_url", "said"),
    [
        ("amojo.kommo.com", "no https://"),
        ("amojo.kommo.com:443", "no https://"),
        ("ftp://amojo.kommo.com", "no https://"),
        ("https://", "no usable host"),
        ("https://a b", "no usable host"),
        ("https://amojo..kommo.com", "not a URL"),
        (f"https://{'a' * 64}.kommo.com", "not a URL"),
        ("https://amojo.kommo.com:port", "not a URL"),
        ("https://[::1", "not a URL"),
        ("https://amojo.kommo.com/v2/origin", "more than a scheme and a host"),
        ("https://user@amojo.kommo.com", "more than a scheme and a host"),
        ("http://amojo.kommo.com", "plain http"),
        ("http://127.0.0.1.example.com", "plain http"),
        ("", "empty"),
        (7, "a number"),
    ],
)
def test_an_api_url_that_cannot_be_used_is_refused(api_url: object, said: str) -> None:
    problem = problem_with(api_url=api_url)

    assert problem.startswith("api_url ")
    assert said in problem
    assert "write" in problem


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("https://amojo.amocrm.ru/", "https://amojo.amocrm.ru"),
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("http://localhost", "http://localhost"),
        ("http://[::1]:80/", "http://[::1]:80"),
    ],
)
def test_an_api_url_is_a_scheme_and_a_host(given: str, taken: str) -> None:
    assert Settings.parse({**GOOD, "api_url": given}).api_url == taken


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("1970-01-01T00:00:01Z", 1_000),
        ("1970-01-01T00:00:01.5+00:00", 1_500),
        ("1970-01-01T03:00:00+03:00", 0),
        ("1970-01-01T00:00:01", 1_000),
        ("1970-01-02", 86_400_000),
    ],
)
def test_a_start_date_is_in_utc_unless_it_says_otherwise(
    given: str, taken: int
) -> None:
    assert Settings.parse({**GOOD, "start_date": given}).start_ms == taken


@pytest.mark.parametrize("given", ["", "yesterday", "01/02/2024", 1_700_000_000])
def test_a_start_date_that_is_none_is_refused(given: object) -> None:
    problem = problem_with(start_date=given)

    assert problem.startswith("start_date ")
    assert "such as 2024-01-01T00:00:00Z" in problem


@pytest.mark.parametrize("given", [0, -1, 1.5, "30", True])
def test_a_request_timeout_is_a_whole_number_of_seconds(given: object) -> None:
    assert problem_with(request_timeout=given).startswith("request_timeout ")


def test_settings_do_not_show_their_secret() -> None:
    assert GOOD["channel_secret"] not in repr(Settings.parse(GOOD))


def test_every_setting_has_a_title_and_a_description() -> None:
    for name, setting in SETTINGS_SCHEMA["properties"].items():
        assert setting.get("description"), name
