"""The container image: what is in it, what runs in it, as whom, and what it writes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.support.image import Image, built, missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    with built(tmp_path_factory.mktemp("image")) as found:
        yield found


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


def test_it_runs_as_a_user_of_its_own_who_owns_nothing_of_it(image: Image) -> None:
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
