"""Nothing that a task started outlives it, however it ends."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from airflow_kommo_chats import keeper

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the kernel of Linux is needed"
)

# Runs a command as a task does, which starts another one, and waits.
_TASK = """
import os, subprocess, sys
reading, writing = os.pipe()
process = subprocess.Popen(
    [sys.executable, sys.argv[1], str(reading), *sys.argv[2:]], pass_fds=[reading]
)
os.close(reading)
print(process.pid, flush=True)
sys.exit(process.wait())
"""
_STARTS_ANOTHER = "sleep 300 & echo $! ; echo $$ ; wait"
_DEAF = "trap '' TERM; echo $$ ; echo $$ ; while :; do sleep 1; done"
_GONE_SECONDS = 15


class Task:
    """A task, its keeper, the command and what that started."""

    def __init__(self, command: str) -> None:  # noqa: D107
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-c", _TASK, keeper.__file__),
                *("/bin/sh", "-c", command),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
        assert self.process.stdout
        numbers = [int(self.process.stdout.readline()) for _ in range(3)]
        self.keeper, *self.command = [psutil.Process(number) for number in numbers]

    def go_on(self) -> None:
        """Let a command go on that reads a line first, so that it was seen alive."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def gone(self) -> bool:
        _, left = psutil.wait_procs([self.keeper, *self.command], _GONE_SECONDS)
        return not left


@pytest.mark.parametrize("command", [_STARTS_ANOTHER, _DEAF], ids=["family", "deaf"])
def test_a_killed_task_leaves_nothing(command: str) -> None:
    task = Task(command)

    task.process.kill()

    assert task.gone()
    task.process.communicate()


def test_a_killed_keeper_leaves_no_command_that_listens() -> None:
    task = Task("echo $$ ; echo $$ ; exec sleep 300")

    task.keeper.kill()

    assert task.gone()
    task.process.communicate()


def test_a_command_that_ends_takes_along_what_it_left() -> None:
    task = Task("sleep 300 & echo $! ; echo $! ; read -r _ ; exit 3")

    task.go_on()

    assert task.gone()
    assert task.process.wait() == 3
    task.process.communicate()


def test_a_command_that_was_killed_is_told_by_its_code() -> None:
    task = Task("echo $$ ; echo $$ ; read -r _ ; kill -9 $$")

    task.go_on()

    assert task.process.wait() == 128 + 9
    task.process.communicate()
