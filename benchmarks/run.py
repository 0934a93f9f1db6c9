"""All scenarios, and the table they print."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import changes, size, speed, transform
from benchmarks.arena import BenchmarkError
from benchmarks.table import Scale

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.table import Line

_FULL = Scale(
    rounds=3,
    conversations=1000,
    limited=210,
    events=100_000,
    many=20_000,
    long=100_000,
    state=100_000,
    daily=100_000,
    hourly=3000,
    transform=1_000_000,
)
_QUICK = Scale(
    rounds=1,
    conversations=100,
    limited=35,
    events=2000,
    many=1000,
    long=5000,
    state=10_000,
    daily=2000,
    hourly=200,
    transform=2000,
)

_SCENARIOS: dict[str, Callable[[Path, Scale], Iterator[Line]]] = {
    "fast": speed.fast,
    "latency": speed.latency,
    "growth": speed.growth,
    "limit": speed.limit,
    "search": speed.search,
    "again": changes.again,
    "later": changes.later,
    "daily": changes.daily,
    "idle": changes.idle,
    "hourly": changes.hourly_runs,
    "state": size.state,
    "memory": size.memory,
    "transform": transform.transform,
}


def main(arguments: list[str] | None = None) -> int:
    """Run scenarios and print their table as Markdown.

    Args:
        arguments: The command line; the process's own if None.

    Returns:
        The exit code: 1 if a program did not do its work or a target was missed. With
        `--quick`, times are too short to mean anything and are not judged.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measures the tap beside others."
    )
    parser.add_argument(
        "--only", action="append", choices=_SCENARIOS, help="may be given again"
    )
    parser.add_argument(
        "--quick", action="store_true", help="little work: does it run at all?"
    )
    options = parser.parse_args(arguments)
    scale = _QUICK if options.quick else _FULL

    sys.stdout.write("| what | measured | target | | <sub>absolute</sub> |\n")
    sys.stdout.write("| --- | --- | --- | --- | --- |\n")
    met = True
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        for name, scenario in _SCENARIOS.items():
            if options.only and name not in options.only:
                continue
            try:
                for line in scenario(Path(folder), scale):
                    judged = line.exact or not options.quick
                    met = met and (line.met or not judged)
                    _print(line, judged=judged)
            except BenchmarkError as error:
                sys.stderr.write(f"{name}: {error}\n")
                return 1
    sys.stdout.write(
        "\nProgram by program in turns, medians; the last column is this machine's and "
        "means little.\n"
    )
    return 0 if met else 1


def _print(line: Line, *, judged: bool) -> None:
    verdict = "kept" if line.met else "**missed**"
    if not (judged and line.target):
        verdict = ""
    sys.stdout.write(
        f"| {line.what} | {line.measured} | {line.target} | {verdict} "
        f"| <sub>{line.seconds}</sub> |\n"
    )
    sys.stdout.flush()
