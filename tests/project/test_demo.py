"""The demo."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import duckdb
import psutil
import pytest

from tests.support.marks import LONG
from tests.support.meltano_project import ROOT, settings_for, share_plugins, utility
from tests.support.onlooker import Onlooker

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox

NEEDS_LOADER = pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="the DuckDB loader is not built for 3.14"
)
HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(); sys.stdin.read()"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The project's folder, as far as the demo needs it."""
    shutil.copy(ROOT / "meltano.yml", tmp_path)
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for name in ("sandbox", "transform"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "output").mkdir()
    (tmp_path / ".meltano").mkdir()
    for name in ("dbt-duckdb", "kommo-report"):
        utility(name)
    share_plugins(tmp_path / ".meltano")
    return tmp_path


def parts_of(folder: Path) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder / "scripts")
        return runpy.run_path(str(folder / "scripts" / "demo.py"))


def leads_of(folder: Path) -> set[tuple[str, str]]:
    """Whom the messages of native channels are of, and the lead that each is about."""
    path = str(folder / "output" / "demo.duckdb")
    with duckdb.connect(path, read_only=True) as connection:
        return set(
            connection.execute(
                "SELECT m.author ->> '$.name', l.name FROM talk_messages AS m"
                " JOIN talks AS t ON t.chat_id = m.conversation_id"
                " JOIN leads AS l ON l.lead_id = t.entity_id"
                " WHERE m.direction = 'incoming' AND l.name IS NOT NULL"
                " AND (m.author ->> '$.name') IS NOT NULL"
            ).fetchall()
        )


def demo(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "scripts/demo.py"],
        cwd=folder,
        # It needs no home.
        env={**os.environ, "PYTHONUTF8": "1", "HOME": "/proc/none"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


def shown_by(folder: Path, code: int = 0) -> str:
    with demo(folder) as process:
        shown, _ = process.communicate(timeout=300)
    assert process.returncode == code, shown
    return shown


def rows_of(folder: Path) -> dict[str, int]:
    path = str(folder / "output" / "demo.duckdb")
    with duckdb.connect(path, read_only=True) as connection:
        tables = connection.execute("SHOW TABLES").fetchall()
        sizes = {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchall()  # noqa: S608 (the database names it)
            for (name,) in tables
        }
    return {name: size for name, ((size,),) in sizes.items()}


@LONG
@NEEDS_LOADER
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
def test_the_demo_keeps_settings_and_messages_to_its_user(
    seeded_sandbox: Sandbox, folder: Path
) -> None:
    onlooker = Onlooker(folder / ".meltano", seeded_sandbox.secret)
    seeded_sandbox.answer = onlooker
    (one, *_) = seeded_sandbox.store.conversation_ids()

    with (folder / "demo.log").open("w", encoding="utf-8") as log:
        settings = settings_for(seeded_sandbox, [one])
        parts_of(folder)["load"](settings, log, is_whole=False)

    assert onlooker.hidden
    assert not onlooker.open
    assert (folder / "output" / "demo.duckdb").stat().st_mode & 0o077 == 0


@LONG
@NEEDS_LOADER
def test_the_demo_shows_every_stream_and_then_that_nothing_was_new(
    folder: Path,
) -> None:
    first, second = shown_by(folder), shown_by(folder)

    rows = rows_of(folder)
    assert len(rows) == 10 + 7
    assert all(rows.values())
    for name, count in (rows | {"runs": 1}).items():
        assert f"{name} " in first
        assert f" {count}\n" in first
    _, _, chapter = first.partition("conversations of each channel, and their leads\n")
    lines, _, _ = chapter.partition("\n\n")
    leads = leads_of(folder)
    assert any(
        customer in line and lead in line
        for line in lines.splitlines()
        for customer, lead in leads
    )
    messages = rows["chat_history"] + rows["talk_messages"]
    assert f"This run brought {messages:,} messages in " in first
    assert "Nothing was new" in second
    assert "Who waits now" in first
    assert "report.html" in first
    assert (
        (folder / "output" / "report.html").read_text("utf-8").startswith("<!doctype")
    )


@LONG
@NEEDS_LOADER
def test_a_first_demo_that_was_killed_does_not_spoil_the_next(folder: Path) -> None:
    shown_by(folder)
    whole = rows_of(folder)
    database = folder / "output" / "demo.duckdb"
    database.unlink()
    with demo(folder) as process:
        while not database.exists():
            assert process.poll() is None
            time.sleep(0.01)
        family = psutil.Process(process.pid).children(recursive=True)
        for each in (psutil.Process(process.pid), *family):
            each.kill()
        psutil.wait_procs(family)

    shown_by(folder)

    assert rows_of(folder) == whole


def test_a_database_that_is_open_elsewhere_is_told_in_a_line(folder: Path) -> None:
    path = folder / "output" / "demo.duckdb"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout
        other.stdout.readline()

        shown = shown_by(folder, code=1)

        other.kill()
    assert shown == (
        "demo: output/demo.duckdb is open in another program: close it there, and try"
        " again.\n"
    )


def test_what_is_no_database_is_told_in_a_line(folder: Path) -> None:
    (folder / "output" / "demo.duckdb").write_text("words", encoding="utf-8")

    shown = shown_by(folder, code=1)

    assert shown.startswith("demo: output/demo.duckdb is no database that DuckDB")
    assert shown.count("\n") == 1
