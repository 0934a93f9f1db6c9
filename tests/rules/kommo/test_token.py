"""What a token says of itself."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import long_lived_token
from tap_kommo_chats.kommo.token import Claims, note_of_end, read_claims
from tap_kommo_chats.times import DAY_MS, HOUR_MS

END_S = 1_800_000_000
END_MS = END_S * 1000
TOKEN = long_lived_token(scopes=["crm", "files"], expires_at=END_S)


def token_of(claims: Any) -> str:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{part}.c2ln"


def test_a_token_tells_its_scopes_and_its_end() -> None:
    assert read_claims(TOKEN) == Claims(frozenset(("crm", "files")), END_MS)


@pytest.mark.parametrize(
    ("claims", "read"),
    [
        ({}, Claims(None, None)),
        ({"scopes": "crm", "exp": "soon"}, Claims(None, None)),
        ({"scopes": [7, "crm", None]}, Claims(frozenset(("crm",)), None)),
        ({"exp": END_S + 0.25}, Claims(None, END_MS + 250)),
        ({"exp": True}, Claims(None, None)),
        ({"exp": 10**30}, Claims(None, None)),
        ({"exp": float("inf")}, Claims(None, None)),
        ([1], None),
        (None, None),
    ],
)
def test_a_token_is_read_leniently(claims: Any, read: Claims | None) -> None:
    assert read_claims(token_of(claims)) == read


@given(st.text() | st.text(alphabet=".e30_-="))
def test_any_text_can_be_asked(text: str) -> None:
    assert read_claims(text) is None or text.count(".") == 2


@pytest.mark.parametrize(
    ("before_ms", "told"),
    [
        (14 * DAY_MS + 1, None),
        (14 * DAY_MS, "in 14 day(s)"),
        (DAY_MS, "in 1 day(s)"),
        (HOUR_MS, "in less than a day"),
        (0, "ended on 2027-01-15"),
        (-DAY_MS, "ended on 2027-01-15"),
    ],
)
def test_its_end_is_told_from_fourteen_days_before_on(
    before_ms: int, told: str | None
) -> None:
    note = note_of_end(TOKEN, END_MS - before_ms)

    if told is None:
        assert note is None
    else:
        assert note is not None
        assert told in note
        assert "make a new long-lived token" in note


def test_a_token_that_tells_no_end_is_not_warned_of() -> None:
    assert note_of_end("no token", END_MS) is None
    assert note_of_end(token_of({}), END_MS) is None
