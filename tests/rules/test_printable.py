"""Text of others stands in a line as what it is: text, and one line."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_kommo_chats.printable import escaped, is_printable, printable

HOSTILE = {
    "line end": "\n",
    "return": "\r",
    "escape": "\x1b",
    "C1": "\x9b",
    "delete": "\x7f",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "right to left": "\u202e",
    "isolate": "\u2066",
    "zero width": "\u200b",
    "joiner": "\u200d",
    "byte order mark": "\ufeff",
    "soft hyphen": "\u00ad",
    "half a pair": "\ud800",
    "grapheme joiner": "\u034f",
    "filler": "\u3164",
    "variation": "\ufe0f",
    "tag": "\U000e0041",
}


@pytest.mark.parametrize("char", HOSTILE.values(), ids=HOSTILE)
def test_what_does_not_show_is_escaped(char: str) -> None:
    shown = escaped(f"a{char}b")

    assert not is_printable(char)
    assert shown == f"a{char.encode('unicode_escape').decode()}b"


@pytest.mark.parametrize(
    "text", ["", "Ana", "Olá, ção", "日本語", "مرحبا", "\\n", "🙂"]
)
def test_what_shows_stays(text: str) -> None:
    assert escaped(text) == text


@given(st.text(st.characters()))
def test_nothing_is_left_of_what_does_not_show(text: str) -> None:
    shown = escaped(text)

    assert not {unicodedata.category(char)[0] for char in shown} & {"C"}
    assert len(shown.splitlines()) <= 1
    assert escaped(shown) == shown
    shown.encode()


@given(st.text(st.characters()), st.integers(min_value=10, max_value=50))
def test_it_is_cut(text: str, at_most: int) -> None:
    shown = printable(text, at_most)

    assert len(shown) <= at_most
    assert shown == escaped(text) or shown.endswith("...")


def test_an_escape_counts_as_long_as_it_is_written() -> None:
    assert printable("\x1b" * 3, 12) == r"\x1b\x1b\x1b"
    assert printable("\x1b" * 4, 12) == r"\x1b\x1b\..."
