"""The whole way: sandbox, tap, Meltano, loader, database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.support import config_for, run

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

    expected = {
        (record["conversation_id"], record["message_id"]): as_duckdb_holds(record)
        for record in run(config_for(seeded_sandbox)).records
    }
    assert loaded_into(tmp_path / "kommo.duckdb") == expected
    assert seeded_sandbox.secret not in said


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


def as_duckdb_holds(record: dict[str, Any]) -> dict[str, Any]:
    """Apply what the loader is known to change, and nothing else.

    An empty text of a column becomes null, a time loses its zone after it was put
    into UTC, and a number with a point is cut to a double.
    """
    sent_at = datetime.fromisoformat(record["sent_at"]).astimezone(timezone.utc)
    held: dict[str, Any] = json.loads(json.dumps(record, default=float))
    return {name: None if value == "" else value for name, value in held.items()} | {
        "sent_at": sent_at.replace(tzinfo=None)
    }
