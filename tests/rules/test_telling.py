"""What is told a few times, and then counted."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tap_kommo_chats.telling import LINES_AT_MOST, Teller

if TYPE_CHECKING:
    import pytest

LOGGER = logging.getLogger("tests.telling")


def test_the_first_lines_of_a_kind_are_written_and_the_others_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    teller = Teller(LOGGER)

    for number in range(LINES_AT_MOST + 12_345):
        teller.tell("bad ones", f"number {number} is bad")
    teller.tell("odd ones", "one is odd", logging.WARNING)
    teller.sum_up()

    written = [f"number {number} is bad" for number in range(LINES_AT_MOST)]
    more = "... and 12,345 more: bad ones"
    assert caplog.messages == [*written, "one is odd", more]
    assert [record.levelname for record in caplog.records[-2:]] == ["WARNING", "ERROR"]


def test_what_was_summed_up_is_not_told_again(caplog: pytest.LogCaptureFixture) -> None:
    teller = Teller(LOGGER)
    for _ in range(LINES_AT_MOST + 1):
        teller.tell("bad ones", "bad")
    teller.sum_up()
    caplog.clear()

    teller.sum_up()

    assert caplog.messages == []


@given(kinds=st.lists(st.integers(0, 300), max_size=3000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_line_is_written_or_counted_and_few_are_written(
    caplog: pytest.LogCaptureFixture, kinds: list[int]
) -> None:
    caplog.clear()
    teller = Teller(LOGGER)

    for kind in kinds:
        teller.tell(str(kind), f"line of {kind}")
    teller.sum_up()

    sums = [text for text in caplog.messages if text.startswith("...")]
    counted = sum(int(text.split()[2].replace(",", "")) for text in sums)
    written = len(caplog.messages) - len(sums)
    assert written + counted == len(kinds)
    assert written <= 21 * LINES_AT_MOST
    # While there are few kinds, each has its first lines.
    if len(set(kinds)) <= 20:
        assert written == sum(min(n, LINES_AT_MOST) for n in Counter(kinds).values())
