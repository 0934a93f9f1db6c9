"""Which records of a conversation go out."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tap_kommo_chats.run.window import HELD_AT_MOST, Window
from tap_kommo_chats.state.known import Known

HOUR = 60 * 60 * 1000
DAY = 24 * HOUR
RUN = 1_700_000_000_000

Messages = dict[str, tuple[int, str]]
"""By id: when it was sent, and its text."""


class Reading:
    """Reads one conversation again and again, as a run does."""

    def __init__(self, lookback_ms: int = DAY) -> None:
        """Start with nothing known."""
        self.known: Known | None = None
        self.lookback_ms = lookback_ms

    def read(self, messages: Messages, now: int = RUN) -> list[str]:
        """Read what is wanted, newest first, and return the texts that go out."""
        window = Window(self.known, now, self.lookback_ms)
        cutoff = -1 if self.known is None else self.known.cutoff_ms(self.lookback_ms)
        out: list[dict[str, Any]] = []
        for id_, (sent, text) in sorted(messages.items(), key=lambda m: -m[1][0]):
            if sent > cutoff or sent <= 0:
                out += window.take({"message_id": id_, "text": text}, sent)
        out += window.end()
        newest = max((sent for sent, _ in messages.values()), default=0)
        before = self.known.newest_ms if self.known else 0
        newest = max(before, min(newest, now - 1))
        self.known = Known(newest, now, now, digest=window.digest(newest))
        return [record["text"] for record in out]


def test_a_first_reading_writes_everything() -> None:
    assert Reading().read({"a": (RUN - 9 * DAY, "a"), "b": (RUN - 1, "b")}) == [
        "b",
        "a",
    ]


def test_what_did_not_change_is_not_written_again() -> None:
    reading, messages = Reading(), {"a": (RUN - HOUR, "a"), "b": (RUN - 1, "b")}
    reading.read(messages)

    assert reading.read(messages, RUN + HOUR) == []
    assert reading.read(messages, RUN + 2 * HOUR) == []


def test_only_what_is_new_is_written() -> None:
    reading, messages = Reading(), {"a": (RUN - HOUR, "a")}
    reading.read(messages)

    assert reading.read({**messages, "b": (RUN + 1, "b")}, RUN + HOUR) == ["b"]


def test_a_late_message_is_written() -> None:
    reading, messages = Reading(), {"a": (RUN - HOUR, "a")}
    reading.read(messages)

    late = {**messages, "late": (RUN - 20 * HOUR, "late")}
    assert "late" in reading.read(late, RUN + HOUR)
    assert reading.read(late, RUN + 2 * HOUR) == []


def test_an_edited_message_is_written() -> None:
    reading = Reading()
    reading.read({"a": (RUN - HOUR, "a"), "b": (RUN - 1, "b")})

    assert "A" in reading.read({"a": (RUN - HOUR, "A"), "b": (RUN - 1, "b")}, RUN + 1)


def test_with_another_lookback_more_is_written_and_not_less() -> None:
    reading, messages = Reading(), {"a": (RUN - HOUR, "a"), "b": (RUN - 2 * DAY, "b")}
    reading.read(messages)
    reading.lookback_ms = 3 * DAY

    assert reading.read(messages, RUN + HOUR) == ["a", "b"]


def test_without_a_digest_all_of_the_lookback_is_written() -> None:
    reading, messages = Reading(), {"a": (RUN - HOUR, "a")}
    reading.read(messages)
    assert reading.known is not None
    reading.known = Known(reading.known.newest_ms, RUN, RUN)

    assert reading.read(messages, RUN + HOUR) == ["a"]


def test_more_than_can_be_held_is_written_again() -> None:
    reading = Reading()
    messages = {str(n): (RUN - 2 - n, str(n)) for n in range(HELD_AT_MOST + 5)}
    reading.read(messages)

    assert len(reading.read(messages, RUN + HOUR)) == len(messages)


def test_two_contents_of_one_message_in_one_reading_both_go_out() -> None:
    window = Window(None, RUN, DAY)

    first = list(window.take({"message_id": "a", "text": "a"}, RUN - 1))
    second = list(window.take({"message_id": "a", "text": "A"}, RUN - 1))

    assert [r["text"] for r in first + second] == ["a", "A"]


@given(st.data())
def test_after_each_reading_what_went_out_last_is_what_there_is(
    data: st.DataObject,
) -> None:
    reading, messages, held = Reading(), dict[str, tuple[int, str]](), dict[str, str]()
    now = RUN
    for step in range(8):
        now += data.draw(st.sampled_from([HOUR, 5 * HOUR, 30 * HOUR]))
        for number in range(data.draw(st.integers(0, 3))):
            age = data.draw(st.integers(1, DAY))
            messages[f"{step}-{number}"] = (now - age, "first")
        recent = [id_ for id_, (sent, _) in messages.items() if sent > now - DAY]
        is_edited = data.draw(st.booleans())
        if recent and is_edited:
            id_ = recent[data.draw(st.integers(0, len(recent) - 1))]
            messages[id_] = (messages[id_][0], f"edited {step}")
        window_begin = -1 if reading.known is None else reading.known.cutoff_ms(DAY)
        served = {i: (sent, f"{i} {text}") for i, (sent, text) in messages.items()}
        for text in reading.read(served, now):
            held[text.split()[0]] = text

        for id_, (sent, text) in served.items():
            if sent > window_begin:
                assert held[id_] == text
