"""The DAG's own Meltano, without Airflow."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from airflow_kommo_chats.meltano import LoadError, Meltano, python_of
from airflow_kommo_chats.mistakes import MistakeError
from airflow_kommo_chats.models import failed
from airflow_kommo_chats.words import TAP
from tests.support.marks import LONG
from tests.support.meltano_project import settings_for, share_plugins, utility
from tests.support.onlooker import Onlooker

if TYPE_CHECKING:
    from sandbox import Sandbox
    from tests.support.postgres import PostgresServer

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Airflow does not run on Windows"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Meltano's own folder."""
    found = tmp_path / "meltano"
    found.mkdir()
    share_plugins(found)
    monkeypatch.setenv("MELTANO_SYS_DIR_ROOT", str(found))
    return found


def load(sandbox: Sandbox, folder: Path, **more: str) -> list[str]:
    """Load one conversation into files, and return what was told."""
    (one, *_) = sandbox.store.conversation_ids()
    told: list[str] = []
    with closing(Meltano(told.append)) as meltano:
        meltano.run(
            *("el", "--state-id=north", "--no-install", TAP, "target-jsonl"),
            settings={
                **settings_for(sandbox, [one]),
                "TARGET_JSONL_DESTINATION_PATH": str(folder.parent),
                **more,
            },
        )
    return told


def test_settings_that_meltano_gets_from_the_dag_are_for_its_user_alone(
    seeded_sandbox: Sandbox, folder: Path
) -> None:
    onlooker = Onlooker(folder, seeded_sandbox.secret)
    seeded_sandbox.answer = onlooker

    told = load(seeded_sandbox, folder)

    assert any("Conversations read: 1" in line for line in told)
    assert onlooker.hidden
    assert not onlooker.open


@LONG
def test_a_load_that_failed_says_why_in_the_taps_own_last_line(
    seeded_sandbox: Sandbox, folder: Path
) -> None:
    nobody = {"TAP_KOMMO_CHATS_API_URL": "http://127.0.0.1:9"}

    with pytest.raises(LoadError, match=r"^http://127\.0\.0\.1:9 refuses connections"):
        load(seeded_sandbox, folder, **nobody)


@LONG
def test_a_mistake_in_the_settings_is_told_from_what_may_pass(
    seeded_sandbox: Sandbox, folder: Path
) -> None:
    with pytest.raises(MistakeError, match=r"^shard is no part of a whole"):
        load(seeded_sandbox, folder, TAP_KOMMO_CHATS_SHARD="9/8")


def test_several_commands_are_run_by_one_meltano_and_know_nothing_of_each_other(
    folder: Path,
) -> None:
    state = '{"singer_state": {"bookmarks": {}}}'
    others = {*psutil.Process().children()}
    with closing(Meltano(lambda _line: None)) as meltano:
        meltano.run("state", "set", "--force", "north", state, settings={})
        with pytest.raises(LoadError):
            meltano.run("state", "no-such-command", settings={})
        (process,) = {*psutil.Process().children()} - others
        listed = meltano.run("state", "list", settings={})
        shown = meltano.run("state", "get", "north", settings={})

        assert {*psutil.Process().children()} - others == {process}
    assert listed.split() == ["north"]
    assert json.loads(shown) == json.loads(state)
    assert not process.is_running()
    assert (folder / "meltano.db").exists()


@pytest.mark.parametrize(
    "text",
    [
        "#!/opt/tools/meltano/bin/python3.11\nimport sys\n",
        '#!/bin/sh\n\'\'\'exec\' "/opt/tools/meltano/bin/python3.11" "$0" "$@"\n',
        "#!/bin/sh\n'''exec' /opt/tools/meltano/bin/python3.11 \"$0\" \"$@\"\n",
    ],
    ids=["short", "quoted", "long"],
)
def test_the_python_of_a_meltano_is_the_one_that_it_names(
    text: str, tmp_path: Path
) -> None:
    command = tmp_path / "meltano"
    command.write_text(text, encoding="utf-8")

    assert python_of(str(command)) == "/opt/tools/meltano/bin/python3.11"


def test_a_meltano_that_is_no_script_of_python_is_run_all_the_same(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapper = tmp_path / "bin" / "meltano"
    wrapper.parent.mkdir()
    own = Path(sys.executable).with_name("meltano")
    wrapper.write_text(f'#!/bin/sh\nexec {own} "$@"\n', encoding="utf-8")
    wrapper.chmod(0o755)
    project = tmp_path / "project"
    project.mkdir()
    (project / "meltano.yml").symlink_to(ROOT / "meltano.yml")
    monkeypatch.setenv("MELTANO_PROJECT_ROOT", str(project))
    monkeypatch.setenv("PATH", f"{wrapper.parent}:/usr/bin:/bin")
    # A Python without Meltano.
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")

    with closing(Meltano(lambda _line: None)) as meltano:
        said = meltano.run("--version", settings={})

    assert said.startswith("meltano, version")
    assert folder.exists()


@LONG
def test_models_that_cannot_be_built_are_named(
    postgres: PostgresServer, folder: Path
) -> None:
    utility("dbt-postgres")
    settings = {
        f"TARGET_POSTGRES_{name.upper()}": str(getattr(postgres, name))
        for name in ("host", "port", "user", "password")
    }
    settings["TARGET_POSTGRES_DATABASE"] = database = postgres.create_database()
    with postgres.connect(database) as connection:
        connection.execute("CREATE SCHEMA kommo")
        connection.execute("CREATE TABLE kommo.chat_history (message_id text)")
        # Somebody who may not make tables.
        connection.execute(f"CREATE ROLE {database} LOGIN PASSWORD '{database}'")
        connection.execute(f"GRANT USAGE ON SCHEMA kommo TO {database}")
        connection.execute(f"GRANT CREATE ON DATABASE {database} TO {database}")
    settings["TARGET_POSTGRES_USER"] = settings["TARGET_POSTGRES_PASSWORD"] = database

    with (
        closing(Meltano(lambda _line: None)) as meltano,
        pytest.raises(LoadError) as raised,
    ):
        meltano.run("invoke", "dbt-postgres:build", settings=settings)

    names = failed(raised.value.output)
    assert names, raised.value.output + str(raised.value)
    assert all("(" in name for name in names)
    assert folder.exists()
