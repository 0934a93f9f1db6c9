"""Where the rows go: each loader's settings, from the connection `kommo_warehouse`.

All of it is pure: the connection comes in as Airflow gives it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlencode

from airflow_kommo_chats.mistakes import MistakeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CONNECTION = "kommo_warehouse"


class Warehouse(Protocol):
    """As much of an Airflow connection as is looked at."""

    host: str | None
    port: int | None
    login: str | None
    password: str | None
    schema: str | None

    @property
    def extra_dejson(self) -> dict[str, Any]:
        """The extra, as an object."""
        ...


@dataclass(frozen=True)
class Target:
    """A loader of `meltano.yml`.

    Attributes:
        name: What Meltano calls it.
        settings: Reads its settings from the connection.
        url: Makes SQLAlchemy's URL of the warehouse; None where the tap cannot query
            it.
        is_shared: Whether several tasks may write at once.
    """

    name: str
    settings: Callable[[Warehouse], Mapping[str, Any]]
    url: Callable[[Warehouse], str] | None = None
    is_shared: bool = True

    def variables(self, warehouse: Warehouse) -> dict[str, str]:
        """Write its settings as environment variables.

        Raises:
            MistakeError: If the connection lacks some.
        """
        prefix = self.name.replace("-", "_").upper()
        return {
            f"{prefix}_{name.upper()}": value if isinstance(value, str) else str(value)
            for name, value in self.settings(warehouse).items()
            if value is not None
        }


def _needed(given: Mapping[str, Any], **places: str) -> None:
    """Name all that is missing, and where it belongs.

    Raises:
        MistakeError: If anything is.
    """
    if missing := [place for name, place in places.items() if not given.get(name)]:
        message = f"The connection {CONNECTION} lacks {', '.join(missing)}"
        raise MistakeError(message)


def _postgres(warehouse: Warehouse) -> dict[str, Any]:
    extra = warehouse.extra_dejson
    mode = extra.get("sslmode")
    given = {
        "host": warehouse.host,
        "port": warehouse.port or 5432,
        "user": warehouse.login,
        "password": warehouse.password or "",
        "database": warehouse.schema,
        "ssl_enable": None if mode in {None, "disable"} else "true",
        "ssl_mode": mode,
    }
    _needed(
        given, host="a host", user="a login", database="as the schema, the database"
    )
    return given


def _postgres_url(warehouse: Warehouse) -> str:
    given = _postgres(warehouse)
    user, password = (quote(given[name], safe="") for name in ("user", "password"))
    host = f"[{given['host']}]" if ":" in given["host"] else given["host"]
    mode = given["ssl_mode"]
    return (
        f"postgresql://{user}:{password}@{host}:{given['port']}"
        f"/{quote(given['database'], safe='')}"
        f"{'?' + urlencode({'sslmode': mode}) if mode else ''}"
    )


def _snowflake(warehouse: Warehouse) -> dict[str, Any]:
    extra = warehouse.extra_dejson
    given = {
        "account": extra.get("account"),
        "user": warehouse.login,
        "password": None if _keys(extra) else warehouse.password,
        "private_key": extra.get("private_key_content"),
        "private_key_path": extra.get("private_key_file"),
        "private_key_passphrase": warehouse.password if _keys(extra) else None,
        "role": extra.get("role"),
        "database": extra.get("database"),
        "warehouse": extra.get("warehouse"),
    }
    _needed(
        given,
        account='in the extra, "account"',
        user="a login",
        database='in the extra, "database"',
        warehouse='in the extra, "warehouse"',
    )
    return given


def _keys(extra: Mapping[str, Any]) -> bool:
    return bool(extra.get("private_key_content") or extra.get("private_key_file"))


def _bigquery(warehouse: Warehouse) -> dict[str, Any]:
    extra = warehouse.extra_dejson
    key = extra.get("keyfile_dict")
    given = {
        "project": extra.get("project"),
        "dataset": extra.get("dataset"),
        "location": extra.get("location"),
        "credentials_path": extra.get("key_path"),
        "credentials_json": json.dumps(key) if isinstance(key, dict) else key,
    }
    _needed(given, project='in the extra, "project"', dataset='in the extra, "dataset"')
    return given


def _duckdb(warehouse: Warehouse) -> dict[str, Any]:
    given = {"filepath": warehouse.host}
    _needed(given, filepath="as the host, the path of the file")
    return given


TARGETS = {
    target.name: target
    for target in (
        Target("target-postgres", _postgres, _postgres_url),
        Target("target-snowflake", _snowflake),
        Target("target-bigquery", _bigquery),
        # One process at a time may write to the file.
        Target("target-duckdb", _duckdb, is_shared=False),
    )
}
"""By their names."""
