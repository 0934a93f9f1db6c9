"""What is read from any answer, whatever a server writes into it."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from email.utils import format_datetime

import msgspec
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from tap_kommo_chats.kommo.answers import (
    decode_json,
    read_date,
    retry_after_seconds,
)

WORDS = st.sampled_from(
    [
        *("Thu,", "01", "Jan", "2023", "12:00:00", "+0000", "-9999", "GMT", ":", "0"),
        *("9" * 5, "9" * 12, "9" * 40, "9" * 5000, "9" * 40 + ":00:00", "+" + "9" * 12),
    ]
)


def answer(retry_after: str) -> requests.Response:
    response = requests.Response()
    response.headers["Retry-After"] = retry_after
    return response


@pytest.mark.parametrize(
    "nonsense",
    [
        *("", "soon", "-5", "1.5", "1e3", "\u0663", "9" * 13, "9" * 400, "9" * 5000),
        "Thu, 01 Jan 99999 12:00:00 +0000",
        f"Thu, 01 Jan {'9' * 30} 12:00:00 +0000",
        f"Thu, 01 Jan 2023 {'9' * 30}:00:00 +0000",
    ],
    ids=lambda text: text[:40],
)
def test_a_retry_after_that_is_nonsense_is_none(nonsense: str) -> None:
    assert retry_after_seconds(answer(nonsense)) is None


def test_a_retry_after_is_seconds_or_a_date() -> None:
    later = format_datetime(datetime.now(timezone.utc) + timedelta(hours=1))

    assert retry_after_seconds(answer("86400")) == 86_400
    assert 3_500 < (retry_after_seconds(answer(later)) or 0) <= 3_600


@given(st.lists(WORDS, max_size=7).map(" ".join) | st.text(max_size=30))
def test_whatever_stands_for_a_date_is_one_or_none(text: str) -> None:
    moment = read_date(text)

    assert moment is None or moment.tzinfo is not None
    assert retry_after_seconds(answer(text)) is None or text.strip()


@pytest.mark.parametrize(
    "number",
    [
        *("1e999999999", "-1E+999999999", "1e-999999999", "9e308", "0e999999999"),
        *("1e9999999999999999999", "1e-9999999999999999999"),
        *("9" * 5000, "-" + "9" * 5000, "0." + "3" * 5000),
    ],
    ids=lambda text: text[:24],
)
def test_a_number_that_no_reader_could_hold_is_its_text(number: str) -> None:
    value, _ = decode_json(f'{{"n": [{number}]}}'.encode())

    assert value == {"n": [number]}


@pytest.mark.parametrize(
    "number", ["1.5", "-46.633308000000001", "1e5", "1E-300", "9" * 19, "-0.0"]
)
def test_any_other_number_is_itself(number: str) -> None:
    value, _ = decode_json(f"[{number}]".encode())

    assert value == [Decimal(number)]


DIGITS = st.text("0123456789", min_size=1, max_size=400).map(lambda d: d.lstrip("0"))


@given(
    whole=DIGITS | st.sampled_from(["9" * 4300, "9" * 4301]),
    fraction=DIGITS | st.just("5" * 20_000),
    exponent=st.none() | st.integers() | st.integers(-400, 400),
)
def test_what_was_a_number_can_be_written_and_read_by_anybody(
    whole: str, fraction: str, exponent: int | None
) -> None:
    point = f".{fraction}" if fraction else ""
    power = "" if exponent is None else f"e{exponent}"
    value, _ = decode_json(f'{{"n": {whole or 0}{point}{power}}}'.encode())

    line = msgspec.json.Encoder(decimal_format="number").encode(value)

    assert len(line) < 30_000
    read = json.loads(line)["n"]
    assert isinstance(read, str | int) or math.isfinite(read)
