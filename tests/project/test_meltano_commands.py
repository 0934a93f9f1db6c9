"""Meltano's three commands that run a tap into a target."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.support.foreign_project import ForeignProject
from tests.support.marks import LONG
from tests.support.meltano_project import TAP, settings_for

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox

A = "30477717-9f3c-4d3f-8101-60327e14dc48"
LOADER = "target-duckdb"


@LONG
@pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="the DuckDB loader is not built for 3.14"
)
@pytest.mark.parametrize(
    "command",
    [
        ("run", "--no-install", TAP, LOADER),
        ("el", "--state-id=mine", TAP, LOADER),
        # Deprecated, and what older schedules call.
        ("elt", "--state-id=mine", TAP, LOADER),
    ],
    ids=lambda command: command[0],
)
def test_each_run_reads_what_came_since_the_last(
    sandbox: Sandbox, tmp_path: Path, command: tuple[str, ...]
) -> None:
    project = ForeignProject(tmp_path)
    path = str(tmp_path / "kommo.duckdb")
    for number in range(2):
        message = {"id": f"m{number}", "text": "words"}
        sandbox.store.add(A, {"timestamp": 1_700_000_000 + number, "message": message})
        env = {**settings_for(sandbox), "TARGET_DUCKDB_FILEPATH": path}

        ended = project.meltano(*command, env=env)

        assert ended.code == 0, ended.said
    with duckdb.connect(path, read_only=True) as database:
        assert database.execute("SELECT message_id FROM chat_history").fetchall() == [
            ("m0",),
            ("m1",),
        ]
        assert database.execute("SELECT messages FROM runs").fetchall() == [(1,), (1,)]


@LONG
def test_meltano_shows_records_at_its_level_of_debug_and_the_tap_none_at_its_own(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    message = {"id": "m", "text": "words of a customer"}
    sandbox.store.add(A, {"timestamp": 1_700_000_000, "message": message})
    project = ForeignProject(tmp_path)

    def shows_it(*options: str, **env: str) -> bool:
        ended = project.meltano(
            *(*options, "run", "--no-install", "--full-refresh", TAP, "target-jsonl"),
            env={**settings_for(sandbox), **env},
        )
        assert ended.code == 0, ended.said
        return "words of a customer" in ended.said

    assert shows_it("--log-level=debug")
    assert not shows_it(TAP_KOMMO_CHATS_LOGLEVEL="DEBUG")
