"""The benchmarks still do their work, whatever the times."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.marks import LONG

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "scenario",
    [
        "again",
        "later",
        "state",
        pytest.param("daily", marks=LONG),
        pytest.param("idle", marks=LONG),
        pytest.param("hourly", marks=LONG),
        pytest.param("transform", marks=LONG),
    ],
)
def test_a_scenario_gives_what_does_not_depend_on_time(scenario: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--only", scenario],
        cwd=ROOT,
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=120,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "**missed**" not in done.stdout
