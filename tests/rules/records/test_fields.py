"""How the fields of an API's object are told apart, and how their paths are written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_kommo_chats.integers import INT64
from tap_kommo_chats.records.fields import Known, read_numbers

KNOWN: Known = {"n": (int,), "s": (str,), "inner": {"n": (int,)}}


@given(st.integers(min_value=INT64.start, max_value=INT64.stop - 1))
def test_an_integer_that_came_as_text_is_read_wherever_it_stands(number: int) -> None:
    value = {"n": str(number), "inner": {"n": str(number)}}

    assert read_numbers(value, KNOWN) == {"n": number, "inner": {"n": number}}


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "1.0", "1e3", "007", "-0", "+5", " 5", "5 ", "1_000", "\u0667"),
        *(str(2**63), "9" * 5000),
    ],
)
def test_a_text_that_is_not_how_an_integer_is_written_stays(text: str) -> None:
    value = {"n": text}

    assert read_numbers(value, KNOWN) == value


@pytest.mark.parametrize("value", [{"s": "5"}, {"other": "5"}, {"inner": "5"}])
def test_only_integer_fields_are_read_as_numbers(value: dict[str, Any]) -> None:
    assert read_numbers(value, KNOWN) == value
