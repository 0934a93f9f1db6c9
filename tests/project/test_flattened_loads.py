"""What arrives of flattened records in loaders that are strict about columns."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import OWN_ORIGIN, Sandbox, seeded_crm, seeded_store
from tap_kommo_chats.tap import STREAMS
from tests.support.foreign_project import ForeignProject
from tests.support.marks import LONG
from tests.support.meltano_project import TAP
from tests.support.tap import config_for, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.postgres import PostgresServer
    from tests.support.tap import Output

FLAT = {"flattening_enabled": True, "flattening_max_depth": 2}
CSV = {
    "name": "target-csv",
    "namespace": "target_csv",
    "pip_url": "meltanolabs-target-csv==0.5.0",
    "executable": "target-csv",
    "settings": [{"name": "output_path", "kind": "string"}],
}
Rows = list[dict[str, Any]]


@pytest.fixture
def config() -> Iterator[dict[str, Any]]:
    store = seeded_store()
    with Sandbox(store, seeded_crm(store)) as sandbox:
        yield {
            **config_for(sandbox),
            "crm_url": sandbox.url,
            "crm_access_token": sandbox.crm_token,
            "crm_origins": [OWN_ORIGIN],
            "native_channels": True,
            **FLAT,
        }


def columns_of(output: Output) -> dict[str, set[str]]:
    return {
        m["stream"]: set(m["schema"]["properties"])
        for m in output.messages
        if m["type"] == "SCHEMA"
    }


def texts_of(output: Output, stream: str, column: str) -> list[str]:
    """The values of a column, without those that are missing."""
    records = output.records_of(stream)
    return sorted(r[column] for r in records if r.get(column))


def in_csv(folder: Path, stream: str) -> tuple[set[str], Rows]:
    (path,) = folder.glob(f"{stream}*.csv")
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        return set(reader.fieldnames or ()), list(reader)


@LONG
def test_target_csv_takes_every_stream_whole(
    config: dict[str, Any], tmp_path: Path
) -> None:
    project = ForeignProject(tmp_path, config, [CSV])
    installed = project.meltano("install", "loader", "target-csv")
    assert installed.code == 0, installed.said

    ended = project.meltano(
        *("run", "--no-install", TAP, "target-csv"),
        env={"TARGET_CSV_OUTPUT_PATH": str(tmp_path)},
    )

    assert ended.code == 0, ended.said
    output = run(config)
    for stream in (kind.shape.stream for kind in STREAMS):
        columns, rows = in_csv(tmp_path, stream)
        assert columns == columns_of(output)[stream]
        assert len(rows) == len(output.records_of(stream))
        if "extra" in columns:
            found = sorted(row["extra"] for row in rows if row["extra"])
            assert found == texts_of(output, stream, "extra")


@LONG
def test_postgres_takes_every_stream_whole(
    config: dict[str, Any], tmp_path: Path, postgres: PostgresServer
) -> None:
    database = postgres.create_database()
    project = ForeignProject(tmp_path, config)

    ended = project.meltano(
        *("run", "--no-install", TAP, "target-postgres"),
        env=postgres.settings_of_the_loader(database),
    )

    assert ended.code == 0, ended.said
    output = run(config)
    with postgres.connect(database) as connection:
        for stream in (kind.shape.stream for kind in STREAMS):
            columns = connection.execute(
                "SELECT column_name FROM information_schema.columns"
                " WHERE table_name = %s AND column_name NOT LIKE '\\_sdc%%'",
                [stream],
            ).fetchall()
            assert {name for (name,) in columns} == columns_of(output)[stream]
            rows = connection.execute(f"SELECT * FROM kommo.{stream}").fetchall()  # noqa: S608 (the stream's own name)
            assert len(rows) == len(output.records_of(stream))
            if "extra" in columns_of(output)[stream]:
                found = connection.execute(
                    f"SELECT extra FROM kommo.{stream} WHERE extra IS NOT NULL"  # noqa: S608 (the stream's own name)
                ).fetchall()
                assert sorted(text for (text,) in found) == texts_of(
                    output, stream, "extra"
                )
