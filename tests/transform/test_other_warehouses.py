"""Snowflake and BigQuery: the models are their SQL. Nothing is run there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.dbt import Dbt

if TYPE_CHECKING:
    from collections.abc import Sequence

UV = Path(sys.executable).with_name("uv")
PACKAGES = (
    "dbt-core~=1.11.0",
    "dbt-snowflake~=1.11.0",
    "dbt-bigquery~=1.11.0",
    "sqlglot~=30.0",
)
PROFILES = {
    "kommo": {
        "target": "snowflake",
        "outputs": {
            "snowflake": {
                "type": "snowflake",
                "account": "nowhere",
                "user": "nobody",
                "password": "none",
                "database": "kommo",
                "warehouse": "none",
                "schema": "kommo",
            },
            "bigquery": {
                "type": "bigquery",
                "method": "oauth-secrets",
                "token": "none",
                "project": "kommo",
                "dataset": "kommo",
            },
        },
    }
}
READ = """
import pathlib, sys, sqlglot
for path in map(pathlib.Path, sys.argv[2:]):
    sqlglot.parse(path.read_text(), read=sys.argv[1], error_level="raise")
"""
pytestmark = pytest.mark.slow(reason="what it installs is large")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    venv = tmp_path_factory.mktemp("dbt") / "venv"
    done([UV, "venv", "--quiet", "--python", sys.executable, venv], venv.parent)
    done(
        [
            UV,
            "pip",
            "install",
            "--quiet",
            "--python",
            venv / "bin" / "python",
            *PACKAGES,
        ],
        venv.parent,
    )
    return venv / "bin"


@pytest.mark.parametrize("target", PROFILES["kommo"]["outputs"])
def test_the_models_are_sql_of(target: str, programs: Path, tmp_path: Path) -> None:
    project = Dbt(tmp_path, target, {}).project
    # What is JSON is YAML, too.
    (project / "profiles" / "profiles.yml").write_text(json.dumps(PROFILES), "utf-8")
    done(
        [
            *(programs / "dbt", "compile", f"--target={target}"),
            *("--profiles-dir=profiles", "--no-populate-cache", "--no-introspect"),
        ],
        project,
    )
    compiled = sorted((project / "target" / "compiled").rglob("*.sql"))

    assert len(compiled) > len(list((project / "models").rglob("*.sql")))
    done([programs / "python", "-c", READ, target, *compiled], project)


def done(command: Sequence[str | Path], folder: Path) -> None:
    ended = subprocess.run(
        command,
        cwd=folder,
        env={k: v for k, v in os.environ.items() if not k.startswith("DBT_")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        encoding="utf-8",
        timeout=600,
    )
    assert ended.returncode == 0, ended.stdout
