"""The whole way: sandbox, tap, Meltano, loader, database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import yaml

from tap_kommo_chats.settings import SETTINGS_SCHEMA
from tap_kommo_chats.tap import OWN_SETTINGS
from tests.support import config_for

if TYPE_CHECKING:
    from sandbox.server import Sandbox

ROOT = Path(__file__).resolve().parent.parent


def meltano(*arguments: str, sandbox: Sandbox, folder: Path) -> str:
    """Run Meltano with state of its own and the plugins the project has.

    Args:
        arguments: What to run.
        sandbox: What the tap reads.
        folder: Holds Meltano's state and what is loaded.

    Returns:
        What Meltano said.
    """
    state = folder / "meltano"
    state.mkdir(exist_ok=True)
    for kind in ("extractors", "loaders"):
        installed = ROOT / ".meltano" / kind
        installed.mkdir(parents=True, exist_ok=True)
        if not (state / kind).exists():
            (state / kind).symlink_to(installed)
    config = config_for(sandbox)
    done = subprocess.run(
        [Path(sys.executable).with_name("meltano"), *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "MELTANO_PROJECT_ROOT": str(ROOT),
            "MELTANO_SYS_DIR_ROOT": str(state),
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
            "NO_COLOR": "1",
            "TAP_KOMMO_CHATS_API_URL": config["api_url"],
            "TAP_KOMMO_CHATS_SCOPE_ID": config["scope_id"],
            "TAP_KOMMO_CHATS_CHANNEL_SECRET": config["channel_secret"],
            "TAP_KOMMO_CHATS_CONVERSATION_IDS": json.dumps(config["conversation_ids"]),
            "TAP_KOMMO_CHATS_REQUESTS_PER_SECOND": "0",
            "TARGET_DUCKDB_FILEPATH": str(folder / "kommo.duckdb"),
            "TARGET_JSONL_DESTINATION_PATH": str(folder),
            "TARGET_JSONL_DO_TIMESTAMP_FILE": "false",
        },
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=300,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


@pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="the DuckDB loader is not built for 3.14"
)
def test_duckdb_holds_every_field_of_every_message_as_it_was_served(
    seeded_sandbox: Sandbox, tmp_path: Path
) -> None:
    said = meltano(
        "run",
        "tap-kommo-chats",
        "target-duckdb",
        sandbox=seeded_sandbox,
        folder=tmp_path,
    )

    loaded = loaded_into(tmp_path / "kommo.duckdb")
    assert loaded == {
        (conversation_id, row["message"]["id"]): as_duckdb_holds(
            seeded_sandbox.scope_id, conversation_id, row
        )
        for conversation_id, row in served(seeded_sandbox)
    }
    assert seeded_sandbox.secret not in said


def test_jsonl_holds_every_message(seeded_sandbox: Sandbox, tmp_path: Path) -> None:
    meltano(
        "run",
        "tap-kommo-chats",
        "target-jsonl",
        sandbox=seeded_sandbox,
        folder=tmp_path,
    )

    lines = (tmp_path / "chat_history.jsonl").read_text(encoding="utf-8").splitlines()
    assert sorted(json.loads(line)["message_id"] for line in lines) == sorted(
        row["message"]["id"] for _, row in served(seeded_sandbox)
    )


def test_meltano_knows_every_setting_as_the_tap_does() -> None:
    project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    (extractor,) = project["plugins"]["extractors"]
    kinds = {
        "string": "string",
        "integer": "integer",
        "array": "array",
        "date-time": "date_iso8601",
    }

    known = {
        name: {
            "label": setting["title"],
            "description": setting["description"],
            "kind": kinds[setting.get("format", setting["type"][0])],
            "value": setting.get("default"),
            "sensitive": setting.get("secret", False),
        }
        for name, setting in SETTINGS_SCHEMA["properties"].items()
        if name in OWN_SETTINGS
    }
    assert {
        setting["name"]: {
            "label": setting["label"],
            "description": setting["description"],
            "kind": setting["kind"],
            "value": setting.get("value"),
            "sensitive": setting.get("sensitive", False),
        }
        for setting in extractor["settings"]
    } == known


def served(sandbox: Sandbox) -> list[tuple[str, dict[str, Any]]]:
    store = sandbox.store
    return [(id_, row) for id_ in store.conversation_ids() for row in store.rows(id_)]


def loaded_into(database: Path) -> dict[tuple[str, str], dict[str, Any]]:
    with duckdb.connect(str(database), read_only=True) as connection:
        result = connection.execute("SELECT * FROM chat_history")
        names = [column[0] for column in result.description]
        rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    for row in rows:
        for name in ("sender", "receiver", "message", "extra"):
            row[name] = decoded(row[name])
    loaded = {(row["conversation_id"], row["message_id"]): row for row in rows}
    assert len(loaded) == len(rows)
    return loaded


def decoded(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def as_duckdb_holds(
    scope_id: str, conversation_id: str, row: dict[str, Any]
) -> dict[str, Any]:
    """Make of a served row what the database should hold, without the tap's code.

    The loader cuts numbers with a point to doubles, as Python does, and puts times
    into UTC without a zone.
    """
    sent_ms = row.get("msec_timestamp", row["timestamp"] * 1000)
    extra: dict[str, Any] = {}
    return {
        "scope_id": scope_id,
        "conversation_id": conversation_id,
        "message_id": row["message"]["id"],
        "sent_at": datetime(1970, 1, 1) + timedelta(milliseconds=sent_ms),  # noqa: DTZ001
        "direction": "outgoing" if "receiver" in row else "incoming",
        "timestamp": row["timestamp"],
        "msec_timestamp": row.get("msec_timestamp"),
        **{
            name: known_part(row.get(name), fields, f"{name}.", extra)
            for name, fields in KNOWN.items()
        },
        "extra": extra
        | {name: value for name, value in row.items() if name not in TOP_LEVEL}
        or None,
    }


PARTICIPANT = {"id", "client_id", "name", "avatar", "phone", "email"}
KNOWN = {
    "sender": PARTICIPANT,
    "receiver": PARTICIPANT,
    "message": {
        "id",
        "client_id",
        "type",
        "text",
        "media",
        "thumbnail",
        "file_name",
        "file_size",
        "media_group_id",
        "location",
        "contact",
    },
}
TOP_LEVEL = {"timestamp", "msec_timestamp", *KNOWN}


def known_part(
    value: dict[str, Any] | None, fields: set[str], path: str, extra: dict[str, Any]
) -> dict[str, Any] | None:
    if value is None:
        return None
    extra.update(
        {path + name: item for name, item in value.items() if name not in fields}
    )
    return {name: item for name, item in value.items() if name in fields}
