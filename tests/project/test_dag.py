"""What the DAG does by itself, without Airflow."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tap_kommo_chats.settings.schema import SETTINGS_SCHEMA
from tests.support.dag import load_dag
from tests.support.meltano_project import settings_for, share_plugins
from tests.support.onlooker import Onlooker

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox

SCOPE = "6b1f0c52-94ad-4d0e-8a37-5e2c9d7f4410_d3a8417e-0f6b-4c29-b5d1-7c20e9a6f835"
KEY_OF_CHANNEL = "5f1c09d2ab"
ELSEWHERE = "https://elsewhere.example"
HOSTS_OF_NORTH = {
    "api_url": "https://amojo.amocrm.com",
    "crm_url": "https://north.amocrm.com",
    "crm_access_token": "token-of-north",
    "crm_origins": ["amo.ext.12345678"],
}

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Airflow does not run on Windows"
)


@pytest.mark.parametrize(
    "name",
    [
        *("api_url", "crm_url", "crm_origins", "crm_access_token"),
        *("conversations_file", "conversations_sql_url", "conversations_sql_query"),
        *("channel_secret", "hash_secret", "requests_per_second", "shard"),
        # Meltano would read these as what is meant above, or as its own.
        *("Crm_Url", "CRM_URL", "_catalog", "_pip_url", "no\nsetting"),
    ],
)
def test_a_variable_that_could_lead_a_secret_elsewhere_is_refused_by_name(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="north") as refused:
        settings_of("north", {"scope_id": SCOPE, name: ELSEWHERE}, monkeypatch)

    said = str(refused.value)
    assert repr(name) in said
    assert ELSEWHERE not in said
    assert len(said.splitlines()) == 1


def test_all_that_a_variable_may_not_have_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account = {"scope_id": SCOPE, "crm_url": ELSEWHERE, "api_url": ELSEWHERE}

    with pytest.raises(ValueError, match="'api_url', 'crm_url'"):
        settings_of("north", account, monkeypatch)


def test_the_hosts_of_an_account_come_from_where_its_secrets_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = settings_of("north", {"scope_id": SCOPE, "shards": 2}, monkeypatch)

    assert settings == {
        "TAP_KOMMO_CHATS_SCOPE_ID": SCOPE,
        "TAP_KOMMO_CHATS_API_URL": "https://amojo.amocrm.com",
        "TAP_KOMMO_CHATS_CRM_URL": "https://north.amocrm.com",
        "TAP_KOMMO_CHATS_CRM_ACCESS_TOKEN": "token-of-north",
        "TAP_KOMMO_CHATS_CRM_ORIGINS": '["amo.ext.12345678"]',
        "TAP_KOMMO_CHATS_CHANNEL_SECRET": KEY_OF_CHANNEL,
        "TAP_KOMMO_CHATS_REQUESTS_PER_SECOND": "1",
        "TAP_KOMMO_CHATS_SHARD": "1/2",
    }


def test_an_account_gets_nothing_of_another_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = settings_of("south", {"scope_id": SCOPE}, monkeypatch)

    assert "token-of-north" not in settings.values()
    assert "TAP_KOMMO_CHATS_CRM_URL" not in settings


def test_what_a_variable_may_have_are_settings_and_none_is_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dag = load_dag(monkeypatch, accounts={}, extra={}, secret="")
    known = SETTINGS_SCHEMA["properties"]

    assert known.keys() | {"shards"} >= dag.OF_THE_VARIABLE
    assert not [
        name for name in dag.OF_THE_VARIABLE if known.get(name, {}).get("secret")
    ]


def test_settings_that_meltano_gets_from_the_dag_are_for_its_user_alone(
    seeded_sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meltano = tmp_path / "meltano"
    meltano.mkdir()
    share_plugins(meltano)
    monkeypatch.setenv("MELTANO_SYS_DIR_ROOT", str(meltano))
    dag = load_dag(monkeypatch, accounts={}, extra={}, secret=seeded_sandbox.secret)
    onlooker = Onlooker(meltano, seeded_sandbox.secret)
    seeded_sandbox.answer = onlooker
    (one, *_) = seeded_sandbox.store.conversation_ids()

    dag.LoadShard(account="north", shard="1/1").meltano(
        *("el", "--state-id=north", "--no-install", dag.TAP, "target-jsonl"),
        settings={
            **settings_for(seeded_sandbox, [one]),
            "TARGET_JSONL_DESTINATION_PATH": str(tmp_path),
        },
    )

    assert onlooker.hidden
    assert not onlooker.open


def settings_of(
    name: str, account: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """Return what the DAG gives the tap for an account of the Variable."""
    # As Airflow hands it on.
    accounts = json.loads(json.dumps({name: account}))
    extra = {"north": HOSTS_OF_NORTH}
    dag = load_dag(monkeypatch, accounts=accounts, extra=extra, secret=KEY_OF_CHANNEL)
    settings: dict[str, str] = dag.tap_settings(name, "1/2")
    return settings
