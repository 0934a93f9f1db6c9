"""The guide for those who change the project."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "CONTRIBUTING.md"
PACKAGE = ROOT / "tap_kommo_chats"


def test_the_guide_tells_the_job_of_each_room_and_module() -> None:
    told = re.findall(r"(?m)^\| \W*`([\w/.]+)`\W* \|", GUIDE.read_text("utf-8"))
    modules = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py"
    }
    rooms = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}

    assert sorted(told) == sorted(modules | rooms)


def test_the_guide_names_only_targets_that_make_help_tells_of() -> None:
    told = set(re.findall(r"`make ([\w-]+)", GUIDE.read_text("utf-8")))
    helped = set(
        re.findall(r"echo 'make ([\w-]+)", (ROOT / "Makefile").read_text("utf-8"))
    )

    assert told <= helped
