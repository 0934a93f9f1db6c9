"""Integers that a warehouse can hold, and the numbers that the CRM gives things."""

from __future__ import annotations

INT64 = range(-(2**63), 2**63)
"""What fits 64 bits. A larger number would stop a load."""


def read_id(value: object) -> int | None:
    """Read a number that the CRM writes as number or as text (both were seen).

    Returns:
        The number; None when it is none from 1 on that fits 64 bits.
    """
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:20])
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if value > 0 and value in INT64 else None


_LONGEST = len(str(INT64.start))


def integer_in(text: str) -> int | None:
    """Read an integer from its text.

    Returns:
        The integer; None when this is not how one that fits 64 bits is written, so that
        a code such as 007 keeps its zeros.
    """
    if len(text) > _LONGEST:
        return None
    try:
        number = int(text)
    except ValueError:
        return None
    return number if str(number) == text and number in INT64 else None
