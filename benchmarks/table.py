"""The table of the benchmarks: its lines, and how they are measured."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.arena import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.arena import Run

ALLOWED = 7
"""Requests a second that each of Kommo's hosts lets in."""


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
        what: What was done.
        measured: What came out.
        target: What is promised.
        met: Whether it was kept.
        seconds: Absolute times, which say little.
        exact: Whether it holds for any amount of work and on any machine.
    """

    what: str
    measured: str
    target: str
    met: bool
    seconds: str = ""
    exact: bool = False


@dataclass(frozen=True)
class Scale:
    """How much work the scenarios are.

    Attributes:
        rounds: How often each program has its turn.
        conversations: In the usual scenario; others follow from it.
        limited: Requests to make under a limit.
        events: In the CRM, to be searched under a limit.
        many: Conversations whose memory is compared with a tenth of them.
        long: Messages of the one long conversation.
        state: Conversations in the large state.
        daily: Conversations known on the day when few of them changed.
        hourly: Conversations known when a few of them change each hour.
        transform: Messages that the analysts' tables are made of.
    """

    rounds: int
    conversations: int
    limited: int
    events: int
    many: int
    long: int
    state: int
    daily: int
    hourly: int
    transform: int


def rounds(times: int, programs: dict[str, Callable[[], Run]]) -> dict[str, list[Run]]:
    """Let programs take turns, so that what slows the machine slows all of them."""
    runs: dict[str, list[Run]] = {name: [] for name in programs}
    for _ in range(times):
        for name, program in programs.items():
            runs[name].append(program())
    return runs


def seconds_of(runs: list[Run]) -> float:
    """Tell how long runs took, the one in the middle."""
    return median(run.seconds for run in runs)


def check(what: str, found: float, expected: float) -> None:
    """Raise `BenchmarkError` when a program did not do its work."""
    if found != expected:
        message = f"{what}: {found:,} and not {expected:,}"
        raise BenchmarkError(message)
