"""Which Pythons `make test-all` runs the fast tests on."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.meltano_project import ROOT

if TYPE_CHECKING:
    from pathlib import Path

OWN = sys.version_info[:2]


@pytest.fixture
def parts() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "scripts" / "pythons.py"))


def python(folder: Path, name: str, answer: str) -> Path:
    """Make a command that answers as a Python does that is asked for its version."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{answer}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_each_python_of_path_and_of_pyenv_is_found_once(
    parts: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, pyenv = tmp_path / "bin", tmp_path / "pyenv"
    first = python(path, "python3.98", "echo 3 98")
    python(path, "python3.9", "echo 3 9")
    python(path, "python3.98-config", "echo 3 98")
    # As pyenv's commands do where no version is chosen.
    python(path, "python3.97", "exit 127")
    python(path, f"python3.{OWN[1]}", f"echo 3 {OWN[1]}")
    python(pyenv / "versions" / "3.98.1" / "bin", "python3.98", "echo 3 98")
    second = python(pyenv / "versions" / "3.97.0" / "bin", "python3.97", "echo 3 97")
    monkeypatch.setenv("PATH", f"{path}:/bin:/usr/bin")
    monkeypatch.setenv("PYENV_ROOT", str(pyenv))

    found = parts["others"]()

    made = {minor: each for minor, each in found.items() if tmp_path in each.parents}
    assert made == {(3, 98): first, (3, 97): second}
    assert OWN not in found
    assert min(found) >= (3, 10)


def test_a_python_that_is_claimed_and_not_there_is_told(
    parts: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    claimed = set(re.findall(r":: (3\.\d+)\"", text))

    parts["told"]({})

    told = capsys.readouterr().out.splitlines()
    own = ".".join(map(str, OWN))
    assert {line.split()[1] for line in told} == claimed - {own}


def test_all_tests_are_those_on_the_other_pythons_too() -> None:
    make = shutil.which("make")
    assert make

    done = subprocess.run(
        [make, "--dry-run", "test-all", f"PYTHON={sys.executable}"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        encoding="utf-8",
    )

    (line,) = [line for line in done.stdout.splitlines() if "pythons.py" in line]
    assert " -m 'not slow' " in line
