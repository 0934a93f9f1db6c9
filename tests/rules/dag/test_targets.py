"""The settings of each loader, from an Airflow connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_kommo_chats.mistakes import MistakeError
from airflow_kommo_chats.targets import TARGETS

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Connection:
    host: str | None = None
    port: int | None = None
    login: str | None = None
    password: str | None = None
    schema: str | None = None
    extra_dejson: dict[str, Any] = field(default_factory=dict)


GIVEN = {
    "target-postgres": Connection("db.example", 5433, "me", "p@ss/word", "kommo"),
    "target-snowflake": Connection(
        login="me",
        password="secret",  # noqa: S106 (made up)
        extra_dejson={"account": "a-b", "database": "KOMMO", "warehouse": "W"},
    ),
    "target-bigquery": Connection(
        extra_dejson={"project": "p", "dataset": "d", "keyfile_dict": {"type": "x"}}
    ),
    "target-duckdb": Connection("/data/kommo.duckdb"),
}


@pytest.mark.parametrize("name", TARGETS)
def test_a_loader_of_the_project_gets_settings_that_it_has(name: str) -> None:
    project = yaml.safe_load((ROOT / "meltano.yml").read_text("utf-8"))
    (plugin,) = (p for p in project["plugins"]["loaders"] if p["name"] == name)
    prefix = name.replace("-", "_").upper()
    known = {f"{prefix}_{s['name'].upper()}" for s in plugin["settings"]}

    given = TARGETS[name].variables(GIVEN[name])

    assert given
    assert given.keys() <= known


@pytest.mark.parametrize("name", TARGETS)
def test_a_connection_that_lacks_something_is_a_mistake_that_names_it(
    name: str,
) -> None:
    with pytest.raises(MistakeError, match="kommo_warehouse lacks"):
        TARGETS[name].variables(Connection())


def test_the_url_of_the_warehouse_takes_any_password() -> None:
    target = TARGETS["target-postgres"]
    assert target.url

    assert (
        target.url(GIVEN["target-postgres"])
        == "postgresql://me:p%40ss%2Fword@db.example:5433/kommo"
    )


def test_tls_holds_for_the_loader_and_for_the_query() -> None:
    connection = Connection("h", None, "me", "p", "kommo", {"sslmode": "verify-full"})
    target = TARGETS["target-postgres"]
    assert target.url

    assert target.url(connection).endswith("?sslmode=verify-full")
    assert target.variables(connection)["TARGET_POSTGRES_SSL_MODE"] == "verify-full"
    assert target.variables(connection)["TARGET_POSTGRES_SSL_ENABLE"] == "true"


def test_the_passphrase_of_a_key_is_no_password() -> None:
    connection = GIVEN["target-snowflake"]
    with_key = Connection(
        login="me",
        password="secret",  # noqa: S106 (made up)
        extra_dejson={**connection.extra_dejson, "private_key_content": "PEM"},
    )

    given = TARGETS["target-snowflake"].variables(with_key)

    assert "TARGET_SNOWFLAKE_PASSWORD" not in given
    assert {*given.values()} >= {"PEM", "secret"}
    assert "TARGET_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE" in given
