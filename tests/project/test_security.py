"""What `SECURITY.md` promises."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_each_promise_names_tests_that_there_are() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    promises = re.findall(r"(?m)^\| (?!promise|---).* \| (.+) \|$", text)
    tests = {
        name
        for path in ROOT.glob("tests/**/test_*.py")
        for name in re.findall(r"(?m)^def (test_\w+)", path.read_text("utf-8"))
    }

    assert promises
    for held_by in promises:
        named = set(re.findall(r"`(\w+)`", held_by))
        assert named
        assert named <= tests
