"""The container images: what is in them, what runs, as whom, and what they write."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import yaml

from tests.support.image import ROOT, Builder, Image, builder, missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AIRFLOW_RUNS = "airflow db migrate && airflow dags test of_a_test"
DAG = """
from airflow_kommo_chats.dag import make_dag
dag = make_dag(target="target-duckdb", dag_id="of_a_test", schedule=None)
"""
PARSE = """
import json
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag
(bundle,) = DagBundlesManager().get_all_dag_bundles()
bag = DagBag(bundle.path)
print(json.dumps([bag.import_errors, sorted(bag.dags)]))
"""
POD = """
import json, sys
from airflow.executors.executor_loader import ExecutorLoader
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
executor = ExecutorLoader.get_default_executor()
pod = PodGenerator.construct_pod(
    dag_id="kommo_chats", task_id="read", pod_id="read-1", try_number=1, date=None,
    kube_image=executor.kube_config.kube_image, args=["python", "-m", "a_task"],
    pod_override_object=None, namespace="default", scheduler_job_id="1",
    base_worker_pod=PodGenerator.deserialize_model_file(
        executor.kube_config.pod_template_file
    ),
)
print(json.dumps([type(executor).__name__, PodGenerator.serialize_pod(pod)["spec"]]))
"""
(POD_TEMPLATE,) = re.findall(
    r"(?ms)^```yaml\n(apiVersion: v1\nkind: Pod\n.*?)^```",
    (ROOT / "docs" / "kubernetes.md").read_text("utf-8"),
)
STATES = """
from meltano.core.state_store import StateBackend
for scheme in ("s3", "gs", "azure"):
    StateBackend.get_manager_factory(scheme=scheme)
"""

pytestmark = [
    pytest.mark.slow(reason="it builds an image, which takes minutes"),
    pytest.mark.skipif(
        bool(missing()), reason=f"not installed: {missing()} (apt install them)"
    ),
    pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() != 0,
        reason="only root may look into an image without a container engine",
    ),
]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    with builder(tmp_path_factory.mktemp("images")) as found:
        yield found


@pytest.fixture(scope="module")
def image(images: Builder) -> Image:
    return images.build("load")


@pytest.fixture(scope="module")
def airflow(images: Builder) -> Image:
    return images.build("airflow")


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("volume")
    # Its user has to get there.
    for parent in (folder, *folder.parents[:3]):
        parent.chmod(parent.stat().st_mode | 0o011)
    return folder


def test_a_load_runs_in_it_read_only_and_offline(image: Image, volume: Path) -> None:
    ran = image.run(volume, "meltano", "run", "tap-kommo-chats", "target-duckdb")

    assert ran.code == 0, ran.said
    with duckdb.connect(volume / "kommo.duckdb", read_only=True) as database:
        assert database.execute("SELECT count(*) FROM chat_history").fetchone() == (
            ran.served,
        )
    # Of the image's own user, and for nobody else to read.
    written = [path for path in volume.rglob("*") if not path.is_symlink()]
    assert {path.stat().st_uid for path in written} == {image.user}
    assert not [path for path in written if path.stat().st_mode & 0o077]


def test_the_next_run_goes_on_from_the_volume(image: Image, volume: Path) -> None:
    ran = image.run(volume, "meltano", "run", "tap-kommo-chats", "target-duckdb")

    assert ran.code == 0, ran.said
    assert "No state was found" not in ran.said


def test_dbt_makes_the_analysts_tables_in_it(image: Image, volume: Path) -> None:
    ran = image.run(volume, "meltano", "invoke", "dbt-duckdb:build")

    assert ran.code == 0, ran.said
    with duckdb.connect(volume / "kommo.duckdb", read_only=True) as database:
        assert database.execute("SELECT count(*) FROM kommo_messages").fetchone() != (
            0,
        )


def test_states_may_be_in_any_object_store_that_meltano_knows(
    image: Image, volume: Path
) -> None:
    ran = image.run(volume, ".venv/bin/python", "-c", STATES)

    assert ran.code == 0, ran.said


@pytest.mark.parametrize("name", ["image", "airflow"])
def test_it_runs_as_a_user_of_its_own_who_owns_nothing_of_it(
    name: str, request: pytest.FixtureRequest
) -> None:
    image = request.getfixturevalue(name)
    owned = [
        path
        for path in (image.root / "opt").rglob("*")
        if path.lstat().st_uid == image.user
    ]

    assert image.user > 0
    assert not owned


def test_it_holds_what_runs_and_neither_tests_nor_anything_of_the_builders(
    image: Image,
) -> None:
    project = image.root / "opt" / "kommo-chats"
    names = {path.name for path in project.iterdir()}

    assert names == {
        *(".meltano", ".venv", "LICENSE", "Makefile", "README.md", "meltano.yml"),
        *("orchestrate", "pyproject.toml", "requirements", "tap_kommo_chats"),
        *("transform", "uv.lock"),
    }
    assert {path.name for path in (project / ".meltano").iterdir()} >= {
        *("extractors", "loaders", "utilities", "run", "logs", "dbt")
    }
    assert (project / "orchestrate" / "dags" / "airflow_kommo_chats").is_dir()


def test_airflow_finds_the_dag_in_its_image(airflow: Image, volume: Path) -> None:
    ran = airflow.run(volume, "python", "-c", PARSE)

    assert ran.code == 0, ran.said
    assert answer(ran.said) == [{}, ["kommo_chats"]]


def test_airflow_runs_the_dag_in_its_image_read_only_and_offline(
    airflow: Image, volume: Path
) -> None:
    dags = volume / "dags"
    dags.mkdir()
    (dags / "of_a_test.py").write_text(DAG, encoding="utf-8")
    env = {"AIRFLOW__CORE__DAGS_FOLDER": "/data/dags"}

    ran = airflow.run(volume, "sh", "-c", AIRFLOW_RUNS, env=env)

    assert ran.code == 0, ran.said
    with duckdb.connect(volume / "airflow.duckdb", read_only=True) as database:
        assert database.execute(
            "SELECT count(DISTINCT conversation_id), count(*) > 0 FROM chat_history"
        ).fetchone() == (1, True)


def test_kubernetes_executor_makes_pods_of_the_documented_template_in_its_image(
    airflow: Image, volume: Path
) -> None:
    (volume / "pod.yaml").write_text(POD_TEMPLATE, encoding="utf-8")
    env = {
        "AIRFLOW__CORE__EXECUTOR": "KubernetesExecutor",
        "AIRFLOW__KUBERNETES_EXECUTOR__POD_TEMPLATE_FILE": "/data/pod.yaml",
    }

    ran = airflow.run(volume, "python", "-c", POD, env=env)

    assert ran.code == 0, ran.said
    executor, spec = answer(ran.said)
    (given,) = yaml.safe_load(POD_TEMPLATE)["spec"]["containers"]
    (container,) = spec["containers"]
    assert executor == "KubernetesExecutor"
    assert container == {
        **given,
        # The entry point of the image runs it.
        "args": ["python", "-m", "a_task"],
        "env": container["env"],
    }


def answer(said: str) -> Any:
    """Return what a script wrote, whatever was said around it."""
    (line,) = [line for line in said.splitlines() if line.startswith("[")]
    return json.loads(line)
