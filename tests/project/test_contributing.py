"""The guide for those who change the project."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "CONTRIBUTING.md"
PACKAGE = ROOT / "tap_kommo_chats"


def test_the_guide_tells_the_job_of_each_module() -> None:
    told = re.findall(r"(?m)^\| `(\w+\.py|\w+/)` \|", GUIDE.read_text("utf-8"))
    modules = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py"}
    packages = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}

    assert sorted(told) == sorted(modules | packages)


def test_the_guide_names_only_targets_that_make_help_tells_of() -> None:
    told = set(re.findall(r"`make ([\w-]+)", GUIDE.read_text("utf-8")))
    helped = set(
        re.findall(r"echo 'make ([\w-]+)", (ROOT / "Makefile").read_text("utf-8"))
    )

    assert told <= helped
