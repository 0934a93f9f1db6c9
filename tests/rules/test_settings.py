"""What the settings take, and what they say about the rest."""

from __future__ import annotations

from typing import Any

import pytest

from tap_kommo_chats.errors import SettingsError
from tap_kommo_chats.origins import EVERY, Origins
from tap_kommo_chats.settings.parse import parse_settings
from tap_kommo_chats.settings.schema import SETTINGS_SCHEMA
from tap_kommo_chats.settings.values import TalkNumbers
from tap_kommo_chats.sharding import WHOLE, Shard

CHANNEL = "f62a0162-46a7-430e-b06c-0ef798d76a21"
ACCOUNT = "52fd2a28-d2eb-4bd8-b862-a67934927b38"
GOOD: dict[str, Any] = {
    "channel_secret": "not-a-real-secret",
    "scope_id": f"{CHANNEL}_{ACCOUNT}",
    "conversation_ids": ["30477717-9f3c-4d3f-8101-60327e14dc48"],
}
NO_LIST: dict[str, Any] = {k: v for k, v in GOOD.items() if k != "conversation_ids"}
FILE: dict[str, Any] = {"conversations_file": "list.csv"}
SQL: dict[str, Any] = {
    "conversations_sql_url": "postgresql://user:hush-hush@127.0.0.1/chats",
    "conversations_sql_query": "SELECT id AS conversation_id FROM chats",
}
CRM: dict[str, Any] = {
    "crm_url": "https://example.kommo.com",
    "crm_access_token": "hush-hush",
    "crm_origins": ["amo.ext.12345678"],
}


QUERY = "SELECT a::account_id, ':account_ids' WHERE b = :account_id"


def problem_with(**given: object) -> str:
    """The one problem of an otherwise good configuration."""
    with pytest.raises(SettingsError) as raised:
        parse_settings({**GOOD, **given})
    (problem,) = raised.value.problems
    return problem


def test_three_settings_are_enough() -> None:
    settings = parse_settings(GOOD)

    assert settings.api_url == "https://amojo.kommo.com"
    assert settings.start_ms is None
    assert settings.request_timeout == 30
    assert settings.notes == ()


ALONE: dict[str, Any] = {k: v for k, v in CRM.items() if k != "crm_origins"}
"""The CRM without a channel of one's own."""


@pytest.mark.parametrize("ids", [{}, {"conversation_ids": []}])
def test_the_crm_alone_is_enough(ids: dict[str, Any]) -> None:
    settings = parse_settings({**ALONE, **ids})

    assert not settings.has_channel
    assert settings.scope_id is None
    assert settings.crm is not None
    assert settings.crm.origins == Origins(frozenset(), frozenset((EVERY,)))
    assert settings.notes == ()


@pytest.mark.parametrize(
    "one",
    [
        *({"channel_secret": "s"}, {"scope_id": GOOD["scope_id"]}, FILE, SQL),
        *({"conversation_ids": GOOD["conversation_ids"]}, {"crm_origins": ["amo"]}),
        {"channel_id": CHANNEL},
    ],
)
def test_what_is_of_a_channel_needs_all_that_a_channel_needs(
    one: dict[str, Any],
) -> None:
    with pytest.raises(SettingsError) as raised:
        parse_settings({**ALONE, **one})

    named = {problem.split()[0] for problem in raised.value.problems}
    needed = {"channel_secret", "scope_id", "crm_origins"} - one.keys()
    assert named == needed - ({"scope_id"} if "channel_id" in one else set())


def test_with_the_crm_the_channel_is_enough_for_the_scope() -> None:
    config = {**NO_LIST, **CRM, "scope_id": None, "channel_id": CHANNEL}

    settings = parse_settings(config)

    assert (settings.scope_id, settings.channel_id) == (None, CHANNEL)


def test_a_scope_is_taken_before_a_channel() -> None:
    settings = parse_settings({**GOOD, "channel_id": CHANNEL})

    assert (settings.scope_id, settings.channel_id) == (GOOD["scope_id"], None)


@pytest.mark.parametrize(
    ("channel_id", "more", "said"),
    [
        (CHANNEL, {}, "channel_id alone does not say which account: write scope_id"),
        ("abc", CRM, "channel_id is no UUID: write the id of your chat channel"),
        (GOOD["scope_id"], CRM, "channel_id is no UUID"),
        (7, CRM, "channel_id is a number, not text"),
        ("", CRM, "channel_id is empty"),
    ],
)
def test_a_channel_that_gives_no_scope_is_refused(
    channel_id: object, more: dict[str, Any], said: str
) -> None:
    problem = problem_with(scope_id=None, channel_id=channel_id, **more)

    assert problem.startswith(said)


@pytest.mark.parametrize(
    ("given", "native"),
    [
        (True, {EVERY}),
        ("true", {EVERY}),
        ("True", {EVERY}),
        (["waba", " telegram "], {"waba", "telegram"}),
        ('["waba"]', {"waba"}),
        (None, set()),
        (False, set()),
        ("false", set()),
    ],
)
def test_native_channels_are_all_or_some_or_none(
    given: object, native: set[str]
) -> None:
    named = frozenset(native)
    with_channel = parse_settings({**GOOD, **CRM, "native_channels": given}).crm
    alone = parse_settings({**ALONE, "native_channels": given}).crm

    assert with_channel is not None
    assert with_channel.reads_native == bool(native)
    assert with_channel.origins == Origins(frozenset(CRM["crm_origins"]), named)
    assert alone is not None
    assert alone.reads_native == bool(native)
    # Without a channel of one's own all others are looked at.
    assert alone.origins.native == (native or {EVERY})


@pytest.mark.parametrize("given", [[], 7, "waba", "", [7], [""], {"waba": 1}, '"x"'])
def test_native_channels_of_another_kind_are_refused(given: object) -> None:
    problem = problem_with(**CRM, native_channels=given)

    assert problem.startswith("native_channels is neither true nor false nor a list")


def test_native_channels_need_the_crm() -> None:
    problem = problem_with(native_channels=True)

    assert problem.startswith("native_channels needs the CRM: write crm_url and")


FOUND: dict[str, Any] = {"found_talks_file": "s3://bucket/north.jsonl.gz"}


def test_what_searches_find_is_kept_where_it_is_said() -> None:
    crm = parse_settings({**ALONE, **FOUND}).crm

    assert crm is not None
    assert crm.is_searched
    assert crm.found_talks_file == FOUND["found_talks_file"]


@pytest.mark.parametrize(
    "place", ["found.csv", "found.txt.gz", "found", "https://host/found.jsonl", ""]
)
def test_found_talks_are_kept_in_json_lines_where_files_can_be(place: str) -> None:
    assert problem_with(**CRM, found_talks_file=place).startswith("found_talks_file")


@pytest.mark.parametrize(
    "alone",
    [FOUND, {"search_crm": False, **FILE}, {**SQL, "conversations_sql_query": QUERY}],
)
def test_what_belongs_to_a_search_needs_the_crm(alone: dict[str, Any]) -> None:
    assert "needs the CRM" in problem_with(**alone)


def test_a_search_for_other_runs_has_no_shard() -> None:
    assert problem_with(**CRM, **FOUND, shard="1/2").endswith("leave it or shard out")


@pytest.mark.parametrize("listed", [FILE, SQL])
def test_where_another_run_searches_a_list_names_what_it_found(
    listed: dict[str, Any],
) -> None:
    crm = parse_settings({**GOOD, **CRM, **listed, "search_crm": False}).crm

    assert crm is not None
    assert not crm.is_searched


@pytest.mark.parametrize(
    "given",
    [
        {},
        {**FILE, **FOUND},
        {**FILE, "talk_ids": "1-5"},
    ],
)
def test_a_run_that_does_not_search_has_a_list_and_nothing_of_a_search(
    given: dict[str, Any],
) -> None:
    assert problem_with(**CRM, search_crm=False, **given).startswith("search_crm is f")


def test_whether_the_crm_is_searched_is_true_or_false() -> None:
    assert problem_with(**CRM, search_crm="maybe").startswith("search_crm is neither")


@pytest.mark.parametrize("listed", [FILE, SQL])
def test_a_list_of_found_talks_needs_no_channel_of_ones_own(
    listed: dict[str, Any],
) -> None:
    settings = parse_settings(
        {**ALONE, **listed, "search_crm": False, "native_channels": True}
    )

    assert not settings.has_channel


def test_a_query_of_one_account_has_its_number() -> None:
    sql = parse_settings({**GOOD, **CRM, **SQL, "conversations_sql_query": QUERY}).sql

    assert sql is not None
    assert sql.needs_account
    assert sql.query_of(42) == "SELECT a::account_id, ':account_ids' WHERE b = 42"


def test_talk_ids_are_a_range_of_numbers() -> None:
    crm = parse_settings({**GOOD, **CRM, "talk_ids": "5-300"}).crm

    assert crm is not None
    assert crm.numbers == TalkNumbers(5, 300, 5000)


@pytest.mark.parametrize("given", ["5", "0-5", "7-6", "1-2-3", "-1-5", "", 7, [1, 2]])
def test_talk_ids_of_another_kind_are_refused(given: object) -> None:
    assert problem_with(**CRM, talk_ids=given).startswith("talk_ids is no range")


def test_talk_ids_need_the_crm() -> None:
    assert problem_with(talk_ids="1-5").startswith("talk_ids needs the CRM")


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        parse_settings({})

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
    settings = parse_settings({**GOOD, "scope_id": "abc_def"})

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

    settings = parse_settings({**GOOD, "conversation_ids": ids})

    assert settings.conversation_ids == (ACCOUNT, CHANNEL)
    assert ["2 id(s)" in note for note in settings.notes] == [True]


def test_an_id_that_is_no_uuid_is_taken_with_a_warning() -> None:
    settings = parse_settings({**GOOD, "conversation_ids": ["vendas são paulo+1%"]})

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
    assert parse_settings({**GOOD, "api_url": given}).api_url == taken


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
    assert parse_settings({**GOOD, "start_date": given}).start_ms == taken


@pytest.mark.parametrize("given", ["", "yesterday", "01/02/2024", 1_700_000_000])
def test_a_start_date_that_is_none_is_refused(given: object) -> None:
    problem = problem_with(start_date=given)

    assert problem.startswith("start_date ")
    assert "such as 2024-01-01T00:00:00Z" in problem


@pytest.mark.parametrize("given", [0, -1, 1.5, "30", True, 3601, 10**12])
def test_a_request_timeout_is_a_whole_number_of_seconds(given: object) -> None:
    problem = problem_with(request_timeout=given)

    assert problem.startswith("request_timeout is not a whole number from 1 to 3600")


@pytest.mark.parametrize(
    "name", ["lookback_days", "max_concurrency", "requests_per_second"]
)
def test_a_number_that_would_overflow_is_refused(name: str) -> None:
    assert problem_with(**{name: 10**15}).startswith(f"{name} is not a whole number")


def test_settings_do_not_show_their_secret() -> None:
    assert GOOD["channel_secret"] not in repr(parse_settings(GOOD))


def test_every_setting_has_a_title_and_a_description() -> None:
    for name, setting in SETTINGS_SCHEMA["properties"].items():
        assert setting.get("description"), name


@pytest.mark.parametrize("source", [FILE, SQL, CRM], ids=["file", "sql", "crm"])
@pytest.mark.parametrize(
    "ids", [{}, {"conversation_ids": None}, {"conversation_ids": []}]
)
def test_any_source_is_enough(source: dict[str, Any], ids: dict[str, Any]) -> None:
    settings = parse_settings({**NO_LIST, **ids, **source})

    assert settings.conversation_ids == ()
    assert settings.notes == ()


def test_sources_add_up() -> None:
    settings = parse_settings({**GOOD, **FILE, **SQL, **CRM})

    assert settings.conversation_ids == tuple(GOOD["conversation_ids"])
    assert settings.conversations_file == "list.csv"
    assert settings.sql is not None
    assert settings.sql.url == SQL["conversations_sql_url"]
    assert settings.sql.query == SQL["conversations_sql_query"]
    assert settings.crm is not None
    assert settings.crm.url == "https://example.kommo.com"
    assert settings.crm.access_token == "hush-hush"  # noqa: S105 (made up)
    assert settings.crm.origins == Origins(frozenset(("amo.ext.12345678",)))


def test_a_source_that_is_not_given_is_none() -> None:
    settings = parse_settings(GOOD)

    assert settings.conversations_file is None
    assert settings.sql is None
    assert settings.crm is None
    assert settings.shard == WHOLE


def test_no_source_at_all_is_refused_with_all_there_are() -> None:
    problem = problem_with(conversation_ids=None)

    for name in ("conversations_file", "conversations_sql_url", "crm_url"):
        assert name in problem


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("list", "ends in neither .txt, .csv nor .jsonl"),
        ("list.json", "ends in neither .txt, .csv nor .jsonl"),
        ("list.xlsx", "name it so (with .gz after it when it is packed)"),
        ("list.csv.zip", "name it so (with .gz after it when it is packed)"),
        ("", "is empty: write a path or a URL"),
        ("  ", "is empty: write a path or a URL"),
        (7, "is a number, not text: write a path or a URL"),
        (["list.csv"], "is a list, not text: write a path or a URL"),
    ],
)
def test_a_file_of_no_known_format_is_refused(location: object, said: str) -> None:
    problem = problem_with(conversations_file=location)

    assert problem.startswith("conversations_file ")
    assert said in problem


@pytest.mark.parametrize("location", ["list.txt", "s3://lists/list.jsonl.gz"])
def test_a_file_is_named_by_path_or_url(location: str) -> None:
    settings = parse_settings({**GOOD, "conversations_file": location})

    assert settings.conversations_file == location


def test_the_url_of_a_file_is_not_shown() -> None:
    problem = problem_with(conversations_file="https://example.com/l?key=hush-hush")

    assert "hush" not in problem


@pytest.mark.parametrize(
    "given", [names for whole in (SQL, CRM) for names in ([n] for n in whole)]
)
def test_a_part_of_what_goes_together_is_refused(given: list[str]) -> None:
    together = SQL if given[0] in SQL else CRM
    missing = [name for name in together if name not in given]

    problem = problem_with(**{name: together[name] for name in given})

    assert problem.startswith(f"{' and '.join(missing)} is missing: ")
    assert problem.endswith(f"{', '.join(together)} go together")


@pytest.mark.parametrize("missing", CRM)
def test_one_setting_that_is_missing_of_three_is_named(missing: str) -> None:
    problem = problem_with(**{n: v for n, v in CRM.items() if n != missing})

    assert problem.startswith(f"{missing} is missing: ")


@pytest.mark.parametrize("name", SQL)
@pytest.mark.parametrize("bad", ["", " ", 12345678, ["hush-hush"], {"a": "hush-hush"}])
def test_a_database_that_is_no_text_is_refused_without_being_shown(
    name: str, bad: object
) -> None:
    problem = problem_with(**{**SQL, name: bad})

    assert problem.startswith(f"{name} ")
    assert ": write " in problem
    assert "12345678" not in problem
    assert "hush" not in problem


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("", "is empty: write a long-lived token"),
        (" ", "is empty: write a long-lived token"),
        (12345678, "is a number, not text: write a long-lived token"),
        (["hush-hush"], "is a list, not text: write a long-lived token"),
        ("hush-hush\n", "has white space or what is no ASCII in it: copy the token"),
        (" hush-hush", "has white space or what is no ASCII in it: copy the token"),
        ("Bearer hush-hush", "has white space or what is no ASCII in it: copy the tok"),
        ("hush-hush\u2026", "has white space or what is no ASCII in it: copy the toke"),
        ("hush-hush\r\nX: y", "has white space or what is no ASCII in it: copy the "),
    ],
)
def test_a_token_that_fits_no_header_is_refused_without_being_shown(
    token: object, said: str
) -> None:
    problem = problem_with(**{**CRM, "crm_access_token": token})

    assert problem.startswith(f"crm_access_token {said}")
    assert "12345678" not in problem
    assert "hush" not in problem


@pytest.mark.parametrize(
    ("crm_url", "said"),
    [
        ("example.kommo.com", "no https://"),
        ("https://", "no usable host"),
        ("https://example..kommo.com", "not a URL"),
        ("https://example.kommo.com/api/v4", "more than a scheme and a host"),
        ("https://user@example.kommo.com", "more than a scheme and a host"),
        ("http://example.kommo.com", "plain http"),
        ("", "empty"),
        (7, "a number"),
    ],
)
def test_a_crm_url_that_cannot_be_used_is_refused(crm_url: object, said: str) -> None:
    problem = problem_with(**{**CRM, "crm_url": crm_url})

    assert problem.startswith("crm_url ")
    assert said in problem
    assert "https://example.kommo.com" in problem or "write https://" in problem


def test_a_crm_url_has_no_slash_at_its_end() -> None:
    settings = parse_settings({**GOOD, **CRM, "crm_url": "https://a.kommo.com/"})

    assert settings.crm is not None
    assert settings.crm.url == "https://a.kommo.com"


@pytest.mark.parametrize(
    "origins", [[], "amo.ext.1", {"amo.ext.1": 1}, 7, [""], ["amo.ext.1", None], [7]]
)
def test_origins_that_are_no_texts_are_refused(origins: object) -> None:
    problem = problem_with(**{**CRM, "crm_origins": origins})

    assert problem.startswith("crm_origins is not a list of texts: write the origins")
    assert '["amo.ext.12345678"]' in problem


def test_each_problem_of_the_crm_has_a_line() -> None:
    with pytest.raises(SettingsError) as raised:
        parse_settings(
            {**NO_LIST, "crm_url": "x", "crm_access_token": "a b", "crm_origins": []}
        )

    named = [problem.split()[0] for problem in raised.value.problems]
    assert named == ["crm_url", "crm_access_token", "crm_origins"]


@pytest.mark.parametrize("shard", ["", "2", "0/8", "9/8", "2 of 8", 2, 0.25, [2, 8]])
def test_a_shard_that_is_none_is_refused(shard: object) -> None:
    problem = problem_with(shard=shard)

    assert problem.startswith("shard is no part of a whole: write which of how many")
    assert "such as 2/8" in problem


@pytest.mark.parametrize(
    ("shard", "together", "own"),
    [
        ("1/1", 7, 7),
        ("1/2", 7, 3),
        ("7/7", 7, 1),
        ("2/8", 7, 1),
        ("2/8", 80, 10),
        ("2/8", 0, 0),
    ],
)
def test_a_shard_takes_its_share_of_the_requests(
    shard: str, together: int, own: int
) -> None:
    config = {**GOOD, "shard": shard, "requests_per_second": together}

    settings = parse_settings(config)

    assert settings.shard == Shard.parse(shard)
    assert settings.requests_per_second == own


def test_more_shards_than_requests_get_a_warning() -> None:
    (note,) = parse_settings({**GOOD, "shard": "2/8"}).notes

    assert note.startswith("shard is one of 8, and each makes up to 1 request per sec")
    assert "run at most 7 at once" in note


@pytest.mark.parametrize(
    "more", [{"shard": "7/7"}, {"shard": "1/9", "requests_per_second": 0}]
)
def test_shards_that_keep_to_the_limit_get_no_warning(more: dict[str, Any]) -> None:
    assert parse_settings({**GOOD, **more}).notes == ()


def test_what_is_secret_is_so_in_the_schema_too() -> None:
    secret = {
        name for name, of in SETTINGS_SCHEMA["properties"].items() if of.get("secret")
    }

    assert secret == {
        "channel_secret",
        "conversations_sql_url",
        "crm_access_token",
        "hash_secret",
    }


def test_no_secret_of_a_source_is_shown() -> None:
    settings = parse_settings({**GOOD, **SQL, **CRM})

    assert "hush" not in f"{settings!r}{settings.sql!r}{settings.crm!r}"
    assert "hush" not in f"{settings}{settings.sql}{settings.crm}"
