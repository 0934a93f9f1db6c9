"""An object store in place of a disk: Meltano's states, and lists of conversations."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.airflow import install
from tests.support.meltano_project import (
    TAP,
    settings_for,
    share_plugins,
    without_settings,
)
from tests.support.native import NativeAccount
from tests.support.object_store import object_store
from tests.support.tap import config_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sandbox import Sandbox
    from tests.support.object_store import ObjectStore

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")
BUCKET = "bucket"
A = "30477717-9f3c-4d3f-8101-60327e14dc48"
STATE_ID = "kommo-south-1of1"
DOCUMENT = (ROOT / "docs" / "airflow.md").read_text("utf-8")
(INSTALL,) = re.findall(r"(?m)^pip install 'meltano\[s3\]'$", DOCUMENT)
(LEAD_THERE,) = re.findall(r"(?m)^export MELTANO_STATE_BACKEND_URI=.*$", DOCUMENT)
MOVE_STATES = """
from airflow_kommo_chats.operators import PrepareTarget
operator = PrepareTarget(task_id="prepare", target="target-postgres")
try:
    operator.move_states()
finally:
    operator.meltano().close()
"""

pytestmark = [
    pytest.mark.slow(reason="it makes environments of its own"),
    pytest.mark.skipif(
        sys.platform == "win32", reason="Airflow does not run on Windows"
    ),
]


@dataclass(frozen=True)
class Worker:
    """A machine with a Meltano project and nothing else: what it keeps is elsewhere.

    Attributes:
        folder: Of the project.
        store: Where the states are.
    """

    folder: Path
    store: ObjectStore

    @property
    def environment(self) -> dict[str, str]:
        """What its programs find in their environment."""
        bin_ = self.folder / ".venv" / "bin"
        return {
            **without_settings(os.environ),
            **self.store.environment,
            "PATH": os.pathsep.join([str(bin_), os.environ["PATH"]]),
            "MELTANO_PROJECT_ROOT": str(self.folder),
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "NO_COLOR": "1",
            "TARGET_JSONL_DESTINATION_PATH": str(self.folder),
            "TARGET_JSONL_DO_TIMESTAMP_FILE": "false",
        }

    def shell(self, script: str, env: Mapping[str, str] | None = None) -> str:
        """Run lines as they stand in the documents, and return what they wrote."""
        return ended(
            *("sh", "-ec", f"{LEAD_THERE}\n{script}"),
            folder=self.folder,
            env={**self.environment, **(env or {})},
        )

    def load(self, settings: Mapping[str, str]) -> list[Any]:
        """Load what is new, and return the records that there are."""
        self.shell(
            f"meltano el --state-id={STATE_ID} --no-install {TAP} target-jsonl",
            settings,
        )
        text = (self.folder / "chat_history.jsonl").read_text("utf-8")
        return [json.loads(line)["message_id"] for line in text.splitlines()]


def ended(*command: str | Path, folder: Path, env: Mapping[str, str]) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=env,
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with object_store(tmp_path_factory.mktemp("store")) as found:
        found.make_bucket(BUCKET)
        yield found


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Meltano in an environment of its own, with what the documents add to it."""
    folder = tmp_path_factory.mktemp("environment")
    made, of_meltano, of_states = (folder / name for name in ("venv", "a.txt", "b.txt"))
    for group, path in (("meltano", of_meltano), ("states", of_states)):
        uv("export", "--locked", "--no-hashes", f"--only-group={group}", f"-o={path}")
    uv("venv", "--seed", f"--python={sys.executable}", made)
    uv("pip", "install", f"--python={made}", f"--requirements={of_meltano}")
    env = {
        **os.environ,
        "PATH": os.pathsep.join([str(made / "bin"), os.environ["PATH"]]),
        # The versions are the locked ones, whatever came out since.
        "PIP_CONSTRAINT": str(of_states),
    }
    ended("sh", "-ec", INSTALL, folder=folder, env=env)
    return made


def uv(*arguments: str | Path) -> None:
    ended(UV, *arguments, "--quiet", folder=ROOT, env=os.environ)


def made_worker(folder: Path, environment: Path, store: ObjectStore) -> Worker:
    (folder / ".meltano").mkdir(parents=True)
    shutil.copy(ROOT / "meltano.yml", folder)
    (folder / ".venv").symlink_to(environment)
    share_plugins(folder / ".meltano")
    return Worker(folder, store)


def test_a_run_on_another_worker_goes_on_from_the_state_in_the_store(
    environment: Path, store: ObjectStore, sandbox: Sandbox, tmp_path: Path
) -> None:
    loaded = []
    for number, name in enumerate(("first", "second")):
        message = {"id": name, "text": "words"}
        sandbox.store.add(A, {"timestamp": 1_700_000_000 + number, "message": message})
        worker = made_worker(tmp_path / name, environment, store)
        loaded.append(worker.load(settings_for(sandbox)))

    assert loaded == [["first"], ["second"]]
    assert STATE_ID in worker.shell("meltano state list").split()
    assert {name for name in store.names(BUCKET) if STATE_ID in name} == {
        f"prefix/{STATE_ID}/state.json"
    }


def test_the_dag_moves_states_in_the_store_where_the_shards_change(
    environment: Path, store: ObjectStore, tmp_path: Path
) -> None:
    install()
    worker = made_worker(tmp_path / "worker", environment, store)
    for number in (1, 2):
        part = {"shard": f"{number}/2", "conversations": {f"{number}": {}}}
        state = {"singer_state": {"bookmarks": {"chat_history": part}}}
        id_ = f"kommo-north-{number}of2"
        worker.shell(f"meltano state set --force {id_} '{json.dumps(state)}'")
    accounts = {"north": {"scope_id": "x", "shards": 4}}
    python = ROOT / ".airflow" / "venv" / "bin" / "python"
    env = {
        "PYTHONPATH": str(ROOT / "orchestrate" / "dags"),
        "AIRFLOW_HOME": str(worker.folder / "airflow"),
        "AIRFLOW_CONN_KOMMO": json.dumps({"conn_type": "generic"}),
        "AIRFLOW_VAR_KOMMO_ACCOUNTS": json.dumps(accounts),
    }

    worker.shell(f"{python} -c '{MOVE_STATES}'", env)

    listed = worker.shell("meltano state list").split()
    assert sorted(id_ for id_ in listed if "north" in id_) == [
        f"kommo-north-{number}of4" for number in range(1, 5)
    ]
    moved = json.loads(store.get(BUCKET, "prefix/kommo-north-3of4/state.json"))
    part = moved["completed"]["singer_state"]["bookmarks"]["chat_history"]
    assert part["conversations"] == {"1": {}}


def test_the_tap_reads_a_list_of_conversations_from_the_store(
    store: ObjectStore, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.store.add(A, {"timestamp": 1_700_000_000, "message": {"id": "m"}})
    store.put(BUCKET, "lists/today.txt", f"{A}\n")
    config = {
        **config_for(sandbox, [A]),
        "conversations_file": f"s3://{BUCKET}/lists/today.txt",
    }
    del config["conversation_ids"]

    output = ran(config, store, tmp_path)

    assert output.count('"type":"RECORD","stream":"chat_history"') == 1


def test_what_searches_find_is_kept_in_the_store_and_read_there(
    store: ObjectStore, sandbox: Sandbox, tmp_path: Path
) -> None:
    account = NativeAccount(sandbox)
    place = f"s3://{BUCKET}/found/north.jsonl.gz"
    search = account.config(native_channels=None, found_talks_file=place)
    for talk_id in (1, 2):
        account.open_talk(talk_id, f"chat{talk_id}")
        account.say(talk_id)
        # The second one adds to what the first one kept.
        ran(search, store, tmp_path)

    output = ran(
        account.config(search_crm=False, conversations_file=place), store, tmp_path
    )

    assert output.count('"type":"RECORD","stream":"talk_messages"') == 2


def ran(config: dict[str, Any], store: ObjectStore, folder: Path) -> str:
    """Run the tap with its extra for S3, and return what it wrote."""
    path = folder / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return ended(
        *(UV, "run", "--quiet", "--isolated", "--locked", "--no-default-groups"),
        *("--extra=s3", TAP, f"--config={path}"),
        folder=ROOT,
        env={**os.environ, **store.environment},
    )
