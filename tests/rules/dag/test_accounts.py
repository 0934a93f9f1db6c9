"""What the Variable may say of an account, and what the connection has to."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_kommo_chats.accounts import (
    OF_THE_VARIABLE,
    settings_of,
    variables,
    with_secret,
    without_settings,
)
from airflow_kommo_chats.mistakes import MistakeError
from tap_kommo_chats.settings.schema import SETTINGS_SCHEMA

SCOPE = "6b1f0c52-94ad-4d0e-8a37-5e2c9d7f4410_d3a8417e-0f6b-4c29-b5d1-7c20e9a6f835"
ELSEWHERE = "https://elsewhere.example"
OF_NORTH = {
    "api_url": "https://amojo.amocrm.com",
    "crm_url": "https://north.amocrm.com",
    "crm_access_token": "token-of-north",
    "crm_origins": ["amo.ext.12345678"],
}
EXTRA = {"north": OF_NORTH}


@pytest.mark.parametrize(
    "name",
    [
        *("api_url", "crm_url", "crm_origins", "crm_access_token"),
        *("conversations_file", "conversations_sql_url", "conversations_sql_query"),
        *("channel_secret", "hash_secret", "requests_per_second", "shard"),
        *("found_talks_file", "search_crm"),
        # Meltano would read these as what is meant above, or as its own.
        *("Crm_Url", "CRM_URL", "_catalog", "_pip_url", "no\nsetting"),
    ],
)
def test_a_variable_that_could_lead_a_secret_elsewhere_is_refused_by_name(
    name: str,
) -> None:
    with pytest.raises(MistakeError, match="north") as refused:
        settings_of("north", {"scope_id": SCOPE, name: ELSEWHERE}, EXTRA)

    said = str(refused.value)
    assert repr(name) in said
    assert ELSEWHERE not in said
    assert len(said.splitlines()) == 1


def test_all_that_a_variable_may_not_have_is_told_at_once() -> None:
    account = {"scope_id": SCOPE, "crm_url": ELSEWHERE, "api_url": ELSEWHERE}

    with pytest.raises(MistakeError, match="'api_url', 'crm_url'"):
        settings_of("north", account, EXTRA)


def test_the_hosts_of_an_account_come_from_where_its_secrets_do() -> None:
    settings = settings_of("north", {"scope_id": SCOPE, "shards": 2}, EXTRA)

    assert settings == {"scope_id": SCOPE, **OF_NORTH}


def test_an_account_gets_nothing_of_another_ones() -> None:
    assert settings_of("south", {"scope_id": SCOPE}, EXTRA) == {"scope_id": SCOPE}


def test_what_a_variable_may_have_are_settings_and_none_is_secret() -> None:
    known = SETTINGS_SCHEMA["properties"]

    assert known.keys() | {"shards"} >= OF_THE_VARIABLE
    assert not [name for name in OF_THE_VARIABLE if known.get(name, {}).get("secret")]


@pytest.mark.parametrize("account", [None, [], {"shards": 0}, {"shards": "8"}])
def test_an_account_that_is_not_as_it_should_be_is_a_mistake(account: Any) -> None:
    with pytest.raises(MistakeError, match="shards"):
        settings_of("north", account, {})


def test_an_account_without_a_channel_of_its_own_needs_no_secret_and_gets_none() -> (
    None
):
    crm = {"crm_url": ELSEWHERE, "crm_access_token": "t", "native_channels": True}

    assert with_secret(crm, None) == crm
    assert with_secret(crm, "of the channel") == crm


@pytest.mark.parametrize("name", ["scope_id", "channel_id", "crm_origins"])
def test_a_channel_of_ones_own_needs_its_secret(name: str) -> None:
    account = {"crm_url": ELSEWHERE, name: "x"}

    assert with_secret(account, "s") == {**account, "channel_secret": "s"}
    with pytest.raises(MistakeError, match="password"):
        with_secret(account, None)


def test_an_account_may_have_a_secret_of_its_own() -> None:
    assert with_secret({"scope_id": "x", "channel_secret": "own"}, "s") == {
        "scope_id": "x",
        "channel_secret": "own",
    }


def test_settings_are_written_as_the_tap_reads_them() -> None:
    assert variables({"scope_id": "x", "conversation_ids": ["a"], "shard": "1/2"}) == {
        "TAP_KOMMO_CHATS_SCOPE_ID": "x",
        "TAP_KOMMO_CHATS_CONVERSATION_IDS": '["a"]',
        "TAP_KOMMO_CHATS_SHARD": "1/2",
    }


def test_nothing_of_the_workers_environment_is_taken_for_an_accounts_settings() -> None:
    given = {"TAP_KOMMO_CHATS_CRM_URL": "x", "TARGET_POSTGRES_HOST": "x", "PATH": "x"}

    assert without_settings(given) == {"PATH": "x"}
