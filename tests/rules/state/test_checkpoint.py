"""When a STATE goes out."""

from __future__ import annotations

import pytest

from tap_kommo_chats.state.checkpoint import Checkpoint


class Writer:
    """Writes states, each of which takes some time, and is the clock."""

    def __init__(self, seconds: float) -> None:
        """Start at 0; a state takes so many seconds."""
        self.now = 0.0
        self.written = 0
        self._seconds = seconds

    def write(self) -> None:
        self.written += 1
        self.now += self._seconds

    def clock(self) -> float:
        return self.now


def after_a_first(writer: Writer, size_bytes: int) -> Checkpoint:
    checkpoint = Checkpoint(writer.write, writer.clock)
    writer.now += 3600
    checkpoint.write_if_due(size_bytes)
    assert writer.written == 1
    return checkpoint


@pytest.mark.parametrize(("size_bytes", "at_most"), [(1000, 60), (2_000_000, 300)])
def test_a_state_is_due_soon_while_it_is_small(size_bytes: int, at_most: int) -> None:
    writer = Writer(0.001)
    checkpoint = after_a_first(writer, size_bytes)
    checkpoint.write_if_due(size_bytes)
    assert writer.written == 1

    writer.now += at_most
    checkpoint.write_if_due(size_bytes)

    assert writer.written == 2


def test_writing_states_takes_at_most_a_twentieth_of_the_time() -> None:
    writer = Writer(30.0)
    checkpoint = after_a_first(writer, 1000)

    writer.now += 30 * 19
    checkpoint.write_if_due(1000)
    assert writer.written == 1
    writer.now += 30
    checkpoint.write_if_due(1000)

    assert writer.written == 2


def test_a_state_that_is_asked_for_goes_out_at_once() -> None:
    writer = Writer(0.0)

    Checkpoint(writer.write, writer.clock).write()

    assert writer.written == 1
