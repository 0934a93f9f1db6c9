"""Starts commands of Meltano, each in a copy of this process that has it loaded.

    <Meltano's Python> starter.py <meltano>

Loading Meltano takes a second or two of processor time, and a task may have many
accounts. Each line of standard input is a job: the command, its whole environment, and
the files that its standard input comes from and its output goes to. Its log goes to
standard error, and after it a line with its exit code.

Where this Python has no Meltano, the command is started anew for each job.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

# It stands beside this file. Nothing else of this folder is for Meltano to find.
keeper: Any = importlib.import_module("keeper")
sys.path.pop(0)

loaded: Any = None
with suppress(ImportError):
    loaded = importlib.import_module("meltano.cli")

if TYPE_CHECKING:
    from typing import NoReturn

ENDED = "exit_code"
"""The key of the line after a job's log."""


def run(meltano: str, job: dict[str, Any]) -> int:
    """Run a job, and return its exit code."""
    if loaded is None:
        return _run_anew(meltano, job)
    sys.stderr.flush()
    child = os.fork()
    if not child:
        _become(meltano, job)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _run_anew(meltano: str, job: dict[str, Any]) -> int:
    """Run a job in a process of Meltano's own."""
    with Path(job["input"]).open("rb") as given, Path(job["output"]).open("wb") as out:
        return subprocess.run(
            [meltano, *job["command"]],
            env=job["environment"],
            stdin=given,
            stdout=out,
            check=False,
        ).returncode


def _become(meltano: str, job: dict[str, Any]) -> NoReturn:
    """Be the command, and end with it."""
    code = 1
    try:
        keeper.die_with_parent(signal.SIGTERM)
        for place, path, how in (
            (0, job["input"], os.O_RDONLY),
            (1, job["output"], os.O_WRONLY | os.O_TRUNC),
        ):
            opened = os.open(path, how)
            os.dup2(opened, place)
            os.close(opened)
        os.environ.clear()
        os.environ.update(job["environment"])
        sys.argv = [meltano, *job["command"]]
        loaded.main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 (whatever it is, this process ends here)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Run jobs until there are no more."""
    for line in sys.stdin:
        code = run(sys.argv[1], json.loads(line))
        print(json.dumps({ENDED: code}), file=sys.stderr, flush=True)  # noqa: T201 (its answer)


if __name__ == "__main__":
    main()
