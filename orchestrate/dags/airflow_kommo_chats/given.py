"""What Airflow was given: the Variable and the connection of the accounts."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Connection, Variable

from airflow_kommo_chats.accounts import CONNECTION, VARIABLE, settings_of
from airflow_kommo_chats.mistakes import MistakeError


def accounts() -> dict[str, Any]:
    """Return the Variable `kommo_accounts`.

    Raises:
        MistakeError: If it is no object.
    """
    found = Variable.get(VARIABLE, deserialize_json=True)
    if not isinstance(found, dict):
        message = (
            f"The Variable {VARIABLE} is not an object that has accounts by their names"
        )
        raise MistakeError(message)
    return found


def said_of(account: str) -> tuple[dict[str, Any], str | None]:
    """Return the settings of an account, and the channel's secret.

    Raises:
        MistakeError: If what is said of it is not as it should be.
    """
    kommo = Connection.get(CONNECTION)
    found = accounts().get(account)
    return (
        settings_of(account, found, kommo.extra_dejson),
        kommo.password,
    )
