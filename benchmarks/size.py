"""How large the state and the process are."""

from __future__ import annotations

import json
import sys
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.arena import Arena, measure
from benchmarks.table import Line, check

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.table import Scale


def state(folder: Path, scale: Scale) -> Iterator[Line]:
    """A large state."""
    output, log = folder / "state.jsonl", folder / "state.txt"
    command = (sys.executable, "-m", "benchmarks.state", str(scale.state))
    times: list[dict[str, float]] = []
    for _ in range(scale.rounds):
        measure(command, output, log)
        times.append(json.loads(log.read_text(encoding="utf-8").splitlines()[-1]))
    load = median(each["load"] for each in times)
    write = median(each["write"] for each in times)
    size = output.stat().st_size / scale.state
    yield Line(
        f"state of {scale.state:,} conversations: bytes for each",
        f"{size:.1f}",
        "at most 64",
        size <= 64,  # noqa: PLR2004 (the target)
        f"{output.stat().st_size / 1e6:.1f} MB",
        exact=True,
    )
    yield Line(
        "the same: seconds to load, to write",
        f"{load:.2f}, {write:.2f}",
        "below 1, below 1",
        max(load, write) < 1,
    )
    measure((*command, "active"), output, log)
    size = output.stat().st_size / scale.state
    yield Line(
        "the same, all of them active within the look-back: bytes for each",
        f"{size:.1f}",
        "at most 110",
        size <= 110,  # noqa: PLR2004 (the target)
        f"{size * 1e5 / 1e6:.1f} MB for a day of 1,000,000 messages in 100,000",
        exact=True,
    )


def memory(folder: Path, scale: Scale) -> Iterator[Line]:
    """Peak memory of the tap's process."""
    few, many = scale.many // 10, scale.many
    with Arena(folder, few, mean=4) as small, Arena(folder, many, mean=4) as large:
        less, more = small.tap(), large.tap()
    with Arena(folder, 1, length=scale.long) as one:
        long = one.tap()
        check("messages", long.count_messages(), scale.long)
    yield Line(
        f"peak memory, {many:,} / {few:,} conversations",
        f"{more.peak_mb / less.peak_mb:.2f}",
        "at most 1.3",
        more.peak_mb <= 1.3 * less.peak_mb,
        f"{more.peak_mb:.0f} / {less.peak_mb:.0f} MB",
    )
    yield Line(
        f"peak memory, one conversation of {scale.long:,} messages",
        f"{long.peak_mb:.0f} MB",
        "below 150 MB",
        long.peak_mb < 150,  # noqa: PLR2004 (the target)
        f"{long.seconds:.1f} s",
    )
