"""Meltano's three commands that run a tap into a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.foreign_project import ForeignProject
from tests.support.marks import LONG
from tests.support.meltano_project import TAP, settings_for

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox

A = "30477717-9f3c-4d3f-8101-60327e14dc48"
LOADER = "target-jsonl"


@LONG
@pytest.mark.parametrize(
    "command",
    [
        ("run", "--no-install", TAP, LOADER),
        ("el", "--state-id=mine", TAP, LOADER),
        # Deprecated, and what older schedules call.
        ("elt", "--state-id=mine", TAP, LOADER),
    ],
    ids=lambda command: command[0],
)
def test_a_second_run_loads_what_came_in_between(
    sandbox: Sandbox, tmp_path: Path, command: tuple[str, ...]
) -> None:
    project = ForeignProject(tmp_path)
    for number in range(3):
        sandbox.store.add(
            A, {"timestamp": 1_700_000_000 + number, "message": {"id": f"m{number}"}}
        )

        ended = project.meltano(*command, env=settings_for(sandbox))

        assert ended.code == 0, ended.said
        lines = (tmp_path / "chat_history.jsonl").read_text("utf-8").splitlines()
        # The loader appends, so a message that was read twice would stand there twice.
        assert [f'"message_id": "m{n}"' in line for n, line in enumerate(lines)] == [
            True
        ] * (number + 1)
